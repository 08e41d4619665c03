//! Writing the rows of records that changes touched: sealed state, facets, and, only where a change may have moved
//! them, search tokens and links: those cost most. Knows no judging and no log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, RecordId, UserId};
use doorstep_core::projection::{self, Projection};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::judging::AcceptedChange;
use super::load::Locked;
use super::store::{self, NewRecords, RecordContents};
use super::{filters, sealing};
use crate::error::{ApiError, ApiResult};
use crate::keys::KeyRing;

/// What changes did to one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Touch {
    /// Who made the last of them.
    by: UserId,
    tokens: bool,
    links: bool,
}

/// The records that changes touched.
pub(super) fn touched(
    changes: &[AcceptedChange],
    records: &BTreeMap<RecordId, Locked>,
) -> BTreeMap<RecordId, Touch> {
    let mut touched: BTreeMap<RecordId, Touch> = BTreeMap::new();
    for change in changes {
        let Some(locked) = records.get(&change.record) else {
            continue;
        };
        let kind = &locked.hold.record_type;
        let touch = touched.entry(change.record).or_insert(Touch {
            by: change.user,
            tokens: false,
            links: false,
        });
        touch.by = change.user;
        for op in &change.change.ops {
            touch.tokens |= change.new
                || projection::feeds_tokens(kind, &op.key)
                || filters::feeds(kind, &op.key)
                || revives(kind, &op.key);
            touch.links |= change.new || projection::feeds_links(kind, &op.key);
        }
    }
    touched
}

/// Whether a change of this key may bring back a file whose number another one carries since: that is found by tokens.
fn revives(record_type: &str, key: &str) -> bool {
    record_type == "resident" && key == "status"
}

/// Search tokens to be put.
#[derive(Default)]
struct Tokens {
    ids: Vec<Uuid>,
    areas: Vec<String>,
    tokens: Vec<String>,
}

/// Writes the touched records and gives their projections, with tokens where they were derived.
///
/// # Errors
/// When the database or the keys fail.
pub(super) async fn write(
    tx: &mut PgConnection,
    keys: &KeyRing,
    records: &mut BTreeMap<RecordId, Locked>,
    touched: &BTreeMap<RecordId, Touch>,
    now: DateTime<Utc>,
) -> ApiResult<BTreeMap<RecordId, Projection>> {
    let mut projections = BTreeMap::new();
    let mut new = NewRecords::default();
    let mut begun = RecordContents::default();
    let mut held = RecordContents::with_capacity(touched.len());
    let mut tokens = Tokens::default();
    let (mut linked, mut links) = (Vec::new(), Vec::new());
    for (id, touch) in touched {
        let Some(locked) = records.get_mut(id) else {
            continue;
        };
        let is_new = locked.stored.is_none();
        if locked.key.is_none() {
            locked.key = Some(keys.new_record_key(*id, made_in(locked)?).await?);
        }
        let kind = &locked.hold.record_type;
        let registers = &locked.hold.registers;
        let projection = projection::project_anew(kind, registers, !touch.tokens);
        if is_new {
            begin(&mut new, *id, locked);
        }
        let contents = if is_new { &mut begun } else { &mut held };
        push(contents, *id, locked, touch, &projection)?;
        if touch.tokens {
            tokens.push(keys, *id, locked, &projection);
        }
        if touch.links {
            linked.push((id.0, is_new));
            links.extend(
                projection
                    .links
                    .iter()
                    .map(|(field, target)| (id.0, field.clone(), target.0)),
            );
        }
        projections.insert(*id, projection);
    }
    if !begun.id.is_empty() {
        store::insert_records(tx, &new, &begun, now).await?;
    }
    if !held.id.is_empty() {
        store::update_records(tx, &held, now).await?;
    }
    if !tokens.ids.is_empty() {
        store::put_tokens(tx, &tokens.ids, &tokens.areas, &tokens.tokens).await?;
    }
    let had_links = linked.iter().filter(|(_, is_new)| !is_new);
    let had_links: Vec<Uuid> = had_links.map(|(id, _)| *id).collect();
    store::replace_links(tx, &had_links, &links).await?;
    Ok(projections)
}

/// The area whose key wraps a new record's.
fn made_in(locked: &Locked) -> ApiResult<AreaCode> {
    let first = locked.hold.areas.first().copied();
    first.ok_or_else(|| ApiError::internal(anyhow::anyhow!("no area")))
}

fn areas_literal(locked: &Locked) -> String {
    let areas: Vec<&str> = locked.hold.areas.iter().map(AreaCode::as_str).collect();
    format!("{{{}}}", areas.join(","))
}

fn begin(new: &mut NewRecords, id: RecordId, locked: &Locked) {
    let Some((_, wrapped)) = &locked.key else {
        return;
    };
    new.id.push(id.0);
    new.record_type.push(locked.hold.record_type.clone());
    new.area_code.push(wrapped.area.to_string());
    new.areas.push(areas_literal(locked));
    new.epoch
        .push(i32::try_from(locked.hold.epoch).unwrap_or(i32::MAX));
    new.wrapped_key.push(wrapped.sealed.clone());
    new.key_version.push(wrapped.version);
}

fn push(
    contents: &mut RecordContents,
    id: RecordId,
    locked: &Locked,
    touch: &Touch,
    projection: &Projection,
) -> ApiResult<()> {
    let Some((key, _)) = &locked.key else {
        return Ok(());
    };
    let registers = &locked.hold.registers;
    let version = locked.stored.as_ref().map_or(0, |stored| stored.version) + 1;
    contents.id.push(id.0);
    contents.cancelled.push(projection.cancelled);
    contents
        .heads
        .push(registers.heads().iter().flat_map(|head| head.0).collect());
    contents
        .state
        .push(sealing::seal_state(key, id, version, registers)?);
    contents.version.push(version);
    contents
        .facets
        .push(projection::facets(&locked.hold.record_type, &projection.fields).into());
    contents.updated_by.push(touch.by.0);
    Ok(())
}

impl Tokens {
    fn push(&mut self, keys: &KeyRing, id: RecordId, locked: &Locked, projection: &Projection) {
        let narrowing = filters::tokens(&locked.hold.record_type, &projection.fields);
        let blind: Vec<String> = narrowing
            .chain(projection.tokens.iter().cloned())
            .map(|token| keys.blind(&token).to_string())
            .collect();
        self.ids.push(id.0);
        self.areas.push(areas_literal(locked));
        self.tokens.push(format!("{{{}}}", blind.join(",")));
    }
}
