//! What became of people and of what is registered of them: key fields that took another value, residents who began or
//! ceased to count in an area, main residences that moved. Derived from the changes that were accepted, and written in
//! their transaction. Knows no list and no reader.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, NaiveDate, Utc};
use doorstep_core::accept::Hold;
use doorstep_core::crdt::FlatChange;
use doorstep_core::ids::{AreaCode, EventId, RecordId};
use doorstep_core::projection::Projection;
use doorstep_core::protocol::codec;
use doorstep_core::records::{self, Merge};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Value;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::judging::AcceptedChange;
use super::load::Locked;
use super::sealed::SealedRecord;
use super::sealing;
use crate::clock;
use crate::error::{ApiError, ApiResult};
use crate::random;
use crate::state::AppState;

const INSERT_FIELDS: &str = include_str!("sql/insert_field_changes.sql");
const SEALED: &str = include_str!("sql/sealed_records.sql");
const PRESENCE: &str = include_str!("sql/presence.sql");
const INSERT_POPULATION: &str = include_str!("sql/insert_population_changes.sql");
const MAIN_RESIDENCES: &str = include_str!("sql/main_residences.sql");
const INSERT_ADDRESSES: &str = include_str!("sql/insert_address_changes.sql");

/// Fields whose changes are kept beside those that a person decides (rule 'review').
const WATCHED: [(&str, &str); 9] = [
    ("resident", "household_number"),
    ("resident", "relation_to_head"),
    ("resident", "cancel_reason"),
    ("house", "address"),
    ("residence", "resident"),
    ("residence", "house"),
    ("residence", "kind"),
    ("residence", "address"),
    ("residence", "until"),
];

/// The code of 死亡 in `cancel_reason`.
const DEAD: &str = "1";
/// The codes of 迁出 and 出国（境）定居.
const MOVED_OUT: [&str; 2] = ["3", "4"];

/// A key field that took another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) field: String,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// What a change touches that is kept, as it stood before the change.
#[derive(Debug)]
pub(super) struct Watch {
    new: bool,
    before: Vec<(String, Value)>,
}

impl Watch {
    /// Looks at a record before a change.
    pub(super) fn begin(hold: &Hold, change: &FlatChange) -> Self {
        let new = hold.registers.is_empty();
        let kept = |key: &str| is_watched(&hold.record_type, key);
        let value = |key: &str| hold.registers.get(key).cloned().unwrap_or_default();
        let before = if new {
            Vec::new()
        } else {
            let keys = change.ops.iter().filter(|op| kept(&op.key));
            keys.map(|op| (op.key.clone(), value(&op.key))).collect()
        };
        Self { new, before }
    }

    /// Whether the record is new, and what the change moved. A value that lost against a concurrent one moved nothing.
    pub(super) fn end(self, hold: &Hold) -> (bool, Vec<Moved>) {
        let moved = self.before.into_iter().filter_map(|(field, before)| {
            let after = hold.registers.get(&field).cloned().unwrap_or_default();
            (after != before).then_some(Moved {
                field,
                before,
                after,
            })
        });
        (self.new, moved.collect())
    }
}

fn is_watched(record_type: &str, key: &str) -> bool {
    let review = || {
        records::record_type(record_type)
            .and_then(|declared| declared.field(key))
            .is_some_and(|field| field.merge == Merge::Review)
    };
    WATCHED.contains(&(record_type, key)) || review()
}

/// What the writing needs of a commit.
pub(super) struct Commit<'a> {
    pub(super) state: &'a AppState,
    pub(super) records: &'a BTreeMap<RecordId, Locked>,
    pub(super) projections: &'a BTreeMap<RecordId, Projection>,
    pub(super) changes: &'a [AcceptedChange],
    pub(super) now: DateTime<Utc>,
}

/// Writes the rows of a commit, after records, links and areas stand as the commit leaves them.
pub(super) async fn write(tx: &mut PgConnection, commit: &Commit<'_>) -> ApiResult<()> {
    write_fields(tx, commit).await?;
    let residents = commit.concerned();
    if residents.is_empty() {
        return Ok(());
    }
    write_population(tx, commit, &residents).await?;
    write_addresses(tx, commit, &residents).await
}

impl Commit<'_> {
    /// The residents whose presence or main residence may have changed, with the change that did it.
    fn concerned(&self) -> BTreeMap<RecordId, &AcceptedChange> {
        let mut residents = BTreeMap::new();
        for change in self
            .changes
            .iter()
            .filter(|change| change.new || !change.moved.is_empty())
        {
            let Some(locked) = self.records.get(&change.record) else {
                continue;
            };
            match locked.hold.record_type.as_str() {
                "resident" => {
                    residents.insert(change.record, change);
                }
                "residence" => {
                    let links = self
                        .projections
                        .get(&change.record)
                        .into_iter()
                        .flat_map(|now| &now.links);
                    let now = links
                        .filter(|(field, _)| field == "resident")
                        .map(|(_, id)| *id);
                    let before = change
                        .moved
                        .iter()
                        .filter(|moved| moved.field == "resident");
                    let before = before.filter_map(|moved| moved.before.as_text()?.parse().ok());
                    residents.extend(now.chain(before).map(|resident| (resident, change)));
                }
                _ => {}
            }
        }
        residents
    }

    fn text(&self, record: RecordId, key: &str) -> Option<&str> {
        self.projections.get(&record)?.fields.get(key)?.as_text()
    }

    fn made_at(&self, change: &AcceptedChange) -> DateTime<Utc> {
        clock::storable(Timestamp(change.change.time)).unwrap_or(self.now)
    }
}

async fn write_fields(tx: &mut PgConnection, commit: &Commit<'_>) -> ApiResult<()> {
    let stamp = commit.state.clock.timestamp();
    let mut ids = Vec::new();
    let mut names: (Vec<Uuid>, Vec<String>, Vec<String>, Vec<String>) = Default::default();
    let (mut hashes, mut users, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    let mut made_at = Vec::new();
    let mut bodies = Vec::new();
    for change in commit.changes {
        let Some(locked) = commit.records.get(&change.record) else {
            continue;
        };
        let (Some((key, _)), Some(area)) = (&locked.key, locked.hold.areas.first()) else {
            continue;
        };
        for moved in &change.moved {
            let id: EventId = random::id(stamp, EventId::new)?;
            let plain = codec::to_bytes(&(&moved.before, &moved.after));
            bodies.push(sealing::seal_row(
                key,
                "field_changes",
                id.as_bytes(),
                &plain,
            )?);
            ids.push(id.0);
            names.0.push(change.record.0);
            names.1.push(locked.hold.record_type.clone());
            names.2.push(area.to_string());
            names.3.push(moved.field.clone());
            hashes.push(change.hash.0.to_vec());
            users.push(change.user.0);
            devices.push(change.device.0);
            made_at.push(commit.made_at(change));
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_FIELDS)
        .bind(ids)
        .bind(names.0)
        .bind(names.1)
        .bind(names.2)
        .bind(names.3)
        .bind(hashes)
        .bind(users)
        .bind(devices)
        .bind(made_at)
        .bind(bodies)
        .bind(commit.now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Where a resident counts now, where the ledger says another thing.
#[derive(Debug, sqlx::FromRow)]
struct Presence {
    resident: Uuid,
    area: String,
    residence: Option<Uuid>,
    present: bool,
    /// Whether the resident ever counted anywhere.
    known: bool,
    /// Whether the resident counted in this area before.
    returns: bool,
}

async fn write_population(
    tx: &mut PgConnection,
    commit: &Commit<'_>,
    residents: &BTreeMap<RecordId, &AcceptedChange>,
) -> ApiResult<()> {
    let ids: Vec<Uuid> = residents.keys().map(|id| id.0).collect();
    let rows: Vec<Presence> = sqlx::query_as(PRESENCE)
        .bind(ids)
        .fetch_all(&mut *tx)
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let other = |row: &Presence| {
        let opposite =
            |held: &&Presence| held.resident == row.resident && held.present != row.present;
        rows.iter().find(opposite).map(|held| held.area.clone())
    };
    let change = |row: &Presence| residents.get(&RecordId(row.resident));
    let births = births(tx, commit, &rows).await?;
    let kind = |row: &Presence| kind_of(commit, row, births.get(&row.resident).copied());
    sqlx::query(INSERT_POPULATION)
        .bind(rows.iter().map(|row| row.resident).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.area.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.present).collect::<Vec<_>>())
        .bind(rows.iter().map(kind).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.residence).collect::<Vec<_>>())
        .bind(rows.iter().map(other).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| change(row).map(|change| change.user.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| change(row).map(|change| change.device.0))
                .collect::<Vec<_>>(),
        )
        .bind(commit.now)
        .execute(tx)
        .await?;
    Ok(())
}

/// When those were born who count for the first time. A resident's own record may have come with an earlier commit.
async fn births(
    tx: &mut PgConnection,
    commit: &Commit<'_>,
    rows: &[Presence],
) -> ApiResult<BTreeMap<Uuid, NaiveDate>> {
    let new = rows.iter().filter(|row| row.present && !row.known);
    let (here, earlier): (Vec<Uuid>, Vec<Uuid>) = new
        .map(|row| row.resident)
        .partition(|id| commit.projections.contains_key(&RecordId(*id)));
    let born = |text: &str| text.parse::<NaiveDate>().ok();
    let mut births: BTreeMap<Uuid, NaiveDate> = here
        .into_iter()
        .filter_map(|id| Some((id, born(commit.text(RecordId(id), "birth_date")?)?)))
        .collect();
    if !earlier.is_empty() {
        let rows: Vec<SealedRecord> = sqlx::query_as(SEALED).bind(earlier).fetch_all(tx).await?;
        for row in rows {
            let registers = row.open(&commit.state.keys).await?;
            let date = registers
                .get("birth_date")
                .and_then(Value::as_text)
                .and_then(born);
            births.extend(date.map(|date| (row.id, date)));
        }
    }
    Ok(births)
}

fn kind_of(commit: &Commit<'_>, row: &Presence, born: Option<NaiveDate>) -> &'static str {
    let resident = RecordId(row.resident);
    let put_status = |change: &AcceptedChange| {
        change.record == resident && change.moved.iter().any(|moved| moved.field == "status")
    };
    if row.present {
        return match born {
            _ if row.returns && commit.changes.iter().any(put_status) => "restored",
            Some(born) if is_newborn(born, commit.now) => "birth",
            _ => "in",
        };
    }
    let cancelled = commit
        .projections
        .get(&resident)
        .is_some_and(|now| now.cancelled);
    match commit.text(resident, "cancel_reason") {
        Some(DEAD) if cancelled => "death",
        Some(reason) if cancelled && MOVED_OUT.contains(&reason) => "out",
        _ if cancelled => "cancelled",
        _ => "out",
    }
}

/// Born within the last year: whoever is first registered then was born here, not come from elsewhere.
fn is_newborn(born: NaiveDate, now: DateTime<Utc>) -> bool {
    now.date_naive()
        .checked_sub_months(Months::new(12))
        .is_some_and(|limit| born > limit)
}

/// A main residence that is not the one the ledger has.
#[derive(Debug, sqlx::FromRow)]
struct Main {
    resident: Uuid,
    from_residence: Option<Uuid>,
    from_house: Option<Uuid>,
    from_areas: Option<Vec<String>>,
    to_residence: Option<Uuid>,
    to_house: Option<Uuid>,
    to_areas: Option<Vec<String>>,
}

impl Main {
    /// An array literal: arrays of unequal length can't be unnested.
    fn areas(&self) -> ApiResult<String> {
        let named = self.to_areas.iter().chain(&self.from_areas).flatten();
        let areas: BTreeSet<AreaCode> = named
            .map(|area| area.parse().map_err(ApiError::internal))
            .collect::<ApiResult<_>>()?;
        let texts: Vec<&str> = areas.iter().map(AreaCode::as_str).collect();
        Ok(format!("{{{}}}", texts.join(",")))
    }
}

async fn write_addresses(
    tx: &mut PgConnection,
    commit: &Commit<'_>,
    residents: &BTreeMap<RecordId, &AcceptedChange>,
) -> ApiResult<()> {
    let ids: Vec<Uuid> = residents.keys().map(|id| id.0).collect();
    let rows: Vec<Main> = sqlx::query_as(MAIN_RESIDENCES)
        .bind(ids)
        .fetch_all(&mut *tx)
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let change = |row: &Main| residents.get(&RecordId(row.resident));
    sqlx::query(INSERT_ADDRESSES)
        .bind(rows.iter().map(|row| row.resident).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(Main::areas)
                .collect::<ApiResult<Vec<_>>>()?,
        )
        .bind(
            rows.iter()
                .map(|row| row.from_residence)
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.from_house).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.to_residence).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.to_house).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| change(row).map(|change| change.user.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| change(row).map(|change| change.device.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| change(row).map(|change| commit.made_at(change)))
                .collect::<Vec<_>>(),
        )
        .bind(commit.now)
        .execute(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn key_fields_are_watched_and_others_are_not() {
        for (kind, key) in [
            ("resident", "name"),
            ("resident", "relation_to_head"),
            ("residence", "main"),
            ("residence", "house"),
            ("house", "address"),
        ] {
            assert!(is_watched(kind, key), "{kind} {key}");
        }
        for (kind, key) in [
            ("resident", "phone"),
            ("resident", "tags/x"),
            ("house", "remark"),
        ] {
            assert!(!is_watched(kind, key), "{kind} {key}");
        }
        for (kind, key) in WATCHED {
            assert!(
                records::record_type(kind).unwrap().field(key).is_some(),
                "{kind} {key}"
            );
        }
    }

    #[test]
    fn a_newborn_is_less_than_a_year_old() {
        let now = DateTime::from_timestamp(1_795_482_000, 0).unwrap(); // 24 November 2026
        assert!(is_newborn("2026-11-01".parse().unwrap(), now));
        assert!(!is_newborn("2025-11-24".parse().unwrap(), now));
    }
}
