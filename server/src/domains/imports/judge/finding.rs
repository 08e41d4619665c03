//! Which of the register's records a batch's rows come near, and which of them a row is. Knows no verdict.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::ids::RecordId;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;

use super::super::match_house::{self, Match, text};
use super::super::match_resident::{self, NUMBERS, Near};
use super::super::tokens;
use super::{Judge, Reading};
use crate::domains::registry::service::reason;
use crate::error::ApiResult;
use crate::register::{self, Opened};
use crate::state::AppState;

/// The register's records that come near a batch.
pub(super) struct Found {
    pub(super) records: BTreeMap<RecordId, Opened>,
    pub(super) fields: BTreeMap<RecordId, Fields>,
    /// Records by row.
    near: BTreeMap<i32, BTreeSet<RecordId>>,
    /// By row, what was merged away of records that carry its source's number, and into which.
    merged: BTreeMap<i32, BTreeSet<RecordId>>,
    survivors: BTreeMap<RecordId, RecordId>,
    /// Houses by row.
    houses: BTreeMap<i32, BTreeSet<RecordId>>,
    /// Residences by resident.
    residences: BTreeMap<RecordId, Vec<RecordId>>,
}

impl Judge {
    /// The records that come near the rows.
    pub(super) async fn look_up(
        &self,
        tx: &mut PgConnection,
        state: &AppState,
        readings: &[Reading],
    ) -> ApiResult<Found> {
        let is_resident = self.declared.name == "resident";
        let mut wanted = Wanted::default();
        let mut sources = Wanted::default();
        let mut houses = Wanted::default();
        let mut names: Vec<(i32, Vec<i64>)> = Vec::new();
        let blind = |token: &String| state.keys.blind(token);
        for reading in readings {
            let (at, fields) = (reading.number, &reading.row.fields);
            let source = tokens::code(&self.declared.name, "community_id", fields);
            sources.add(at, source.clone(), blind);
            wanted.add(at, source, blind);
            if is_resident {
                for key in NUMBERS {
                    wanted.add(at, tokens::number(key, fields), blind);
                }
                for residence in &reading.row.residences {
                    if let Some(address) = text(residence, "address") {
                        houses.add(at, tokens::house_at(address), blind);
                    }
                }
                let tokens = tokens::name(fields);
                if !tokens.is_empty() && text(fields, "birth_date").is_some() {
                    names.push((at, tokens.iter().map(blind).collect()));
                }
            } else if let Some(address) = text(fields, "address") {
                wanted.add(at, tokens::house_at(address), blind);
            }
        }
        let mut near = by_row(register::find_by_tokens(tx, &self.declared.name, &wanted.0).await?);
        // By name only who is not found by number: it costs most.
        names.retain(|(row, _)| !near.contains_key(row));
        for (row, id) in register::find_residents_by_names(tx, &self.area, &names).await? {
            near.entry(row).or_default().insert(id);
        }
        let kind = &self.declared.name;
        let merged = by_row(register::find_merged_by_tokens(tx, kind, &sources.0).await?);
        let aliases: Vec<RecordId> = merged.values().flatten().copied().collect();
        let survivors = register::survivors(tx, &aliases).await?.into_iter();
        let survivors = survivors.map(|(alias, survivor, _)| (alias, survivor));
        let houses = by_row(register::find_by_tokens(tx, "house", &houses.0).await?);
        let residents: Vec<RecordId> = if is_resident {
            let ids: BTreeSet<RecordId> = near.values().flatten().copied().collect();
            ids.into_iter().collect()
        } else {
            Vec::new()
        };
        let mut residences: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
        for (residence, resident) in register::residences_of(tx, &residents).await? {
            residences.entry(resident).or_default().push(residence);
        }
        let ids: BTreeSet<RecordId> = near
            .values()
            .chain(merged.values())
            .chain(houses.values())
            .flatten()
            .chain(residences.values().flatten())
            .copied()
            .collect();
        let ids: Vec<RecordId> = ids.into_iter().collect();
        let mut records = register::open(tx, &state.keys, &ids).await?;
        // What lies elsewhere is another community's: a row may be like it, but never is it.
        records.retain(|_, record| record.record_type != "house" || self.holds(record));
        // What was entered in error, or taken back, is no record that a row could be.
        records.retain(|_, record| {
            record
                .registers
                .get("cancel_reason")
                .and_then(Value::as_text)
                != Some(reason::IN_ERROR)
        });
        let fields = records
            .iter()
            .map(|(id, record)| (*id, record.registers.fields()))
            .collect();
        Ok(Found {
            records,
            fields,
            near,
            merged,
            survivors: survivors.collect(),
            houses,
            residences,
        })
    }

    pub(super) fn holds(&self, record: &Opened) -> bool {
        record.areas.iter().any(|area| self.area.contains(area))
    }

    /// The record that a row's own one was merged into: whoever merged them has decided that they are one.
    fn merged_into(&self, reading: &Reading, found: &Found) -> Option<RecordId> {
        let source = text(&reading.row.fields, "community_id")?;
        let carries = |id: &&RecordId| {
            let held = found
                .fields
                .get(id)
                .and_then(|held| text(held, "community_id"));
            // Another community counts for itself.
            let is_here = found.records.get(id).is_some_and(|alias| self.holds(alias));
            held == Some(source) && is_here
        };
        let aliases = found.merged.get(&reading.number)?;
        found.survivors.get(aliases.iter().find(carries)?).copied()
    }

    /// The record that a row is, or is like.
    pub(super) fn find(&self, reading: &Reading, found: &Found) -> Match {
        let near: Vec<&Opened> = found
            .near
            .get(&reading.number)
            .into_iter()
            .flatten()
            .filter_map(|id| found.records.get(id))
            .collect();
        let empty = Fields::new();
        let fields_of = |record: &Opened| found.fields.get(&record.id).unwrap_or(&empty);
        let matched = if self.declared.name == "resident" {
            let near: Vec<Near<'_>> = near
                .iter()
                .map(|record| Near {
                    record,
                    fields: fields_of(record),
                    places: found.places_of(record.id),
                })
                .collect();
            match_resident::resident(&reading.row.fields, &reading.places, &near)
        } else {
            let near: Vec<(&Opened, &Fields)> = near
                .iter()
                .map(|record| (*record, fields_of(record)))
                .collect();
            match_house::house(&reading.row.fields, &near)
        };
        let matched = match matched {
            Match::Like(_) | Match::None => self
                .merged_into(reading, found)
                .map_or(matched, Match::Merged),
            _ => matched,
        };
        match matched {
            // Another community's record is not this file's to change.
            Match::Same(id) if !found.records.get(&id).is_some_and(|held| self.holds(held)) => {
                Match::Like(id)
            }
            other => other,
        }
    }
}

impl Found {
    fn places_of(&self, resident: RecordId) -> Vec<String> {
        let register = self
            .fields
            .get(&resident)
            .map(|fields| tokens::place(fields, "register_address"));
        let ties = self
            .residences
            .get(&resident)
            .into_iter()
            .flatten()
            .filter_map(|id| self.fields.get(id))
            .map(|fields| tokens::place(fields, "address"));
        ties.chain(register)
            .filter(|place| !place.is_empty())
            .collect()
    }

    pub(super) fn house_at(&self, row: i32, place: &str) -> Option<RecordId> {
        let at = |id: &&RecordId| {
            self.fields.get(id).is_some_and(|fields| {
                tokens::place(fields, "address") == place
                    && text(fields, "status") != Some("cancelled")
            })
        };
        self.houses
            .get(&row)?
            .iter()
            .find(|id| !place.is_empty() && at(id))
            .copied()
    }

    /// The residence that a tie is, among those that fit.
    pub(super) fn residence(
        &self,
        resident: RecordId,
        tie: &Fields,
        place: &str,
        fits: impl Fn(&Opened) -> bool,
    ) -> Option<&Opened> {
        let held: Vec<(&Opened, &Fields)> = self
            .residences
            .get(&resident)
            .into_iter()
            .flatten()
            .filter_map(|id| Some((self.records.get(id)?, self.fields.get(id)?)))
            .filter(|(record, _)| fits(record))
            .collect();
        let source = text(tie, "source");
        let by_source = held
            .iter()
            .find(|(_, fields)| source.is_some() && text(fields, "source") == source);
        let by_place = || {
            held.iter().find(|(_, fields)| {
                text(fields, "kind") == text(tie, "kind")
                    && !place.is_empty()
                    && tokens::place(fields, "address") == place
            })
        };
        by_source.or_else(by_place).map(|(record, _)| *record)
    }
}

/// Tokens to look up, by row.
#[derive(Default)]
struct Wanted(Vec<(i32, i64)>);

impl Wanted {
    fn add(&mut self, row: i32, tokens: Vec<String>, blind: impl Fn(&String) -> i64) {
        self.0
            .extend(tokens.iter().map(|token| (row, blind(token))));
    }
}

fn by_row(found: Vec<(i32, RecordId)>) -> BTreeMap<i32, BTreeSet<RecordId>> {
    let mut rows: BTreeMap<i32, BTreeSet<RecordId>> = BTreeMap::new();
    for (row, id) in found {
        rows.entry(row).or_default().insert(id);
    }
    rows
}
