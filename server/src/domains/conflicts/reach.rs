//! Where an item's decisions reach besides its own area, and whether someone's rights reach there too. Changes nothing.

use std::collections::BTreeSet;

use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::projection::{AREA_KEY, subjects};
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use sqlx::PgConnection;

use super::case::{Case, Refused};
use super::decisions::Outcome;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Kind};
use crate::register::{self, Opened};
use crate::state::AppState;

/// What one must be able to do, in any of these areas or above it.
#[derive(Clone, Debug)]
pub(super) struct Reach(pub(super) Permission, pub(super) Vec<AreaCode>);

impl Reach {
    fn deciding(record: &Opened) -> Self {
        Self(Permission::DecideConflicts, record.areas.clone())
    }
}

/// Refuses who may not do all of this.
///
/// # Errors
/// `beyond_own_area`.
pub(super) fn require(actor: &Actor, reaches: &[Reach]) -> ApiResult<()> {
    let may = |Reach(permission, areas): &Reach| {
        let mut areas = areas.iter();
        areas.any(|area| actor.why(*permission, area).is_some())
    };
    if reaches.iter().all(may) {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Forbidden,
        "beyond_own_area",
        "这项裁决也涉及您区划以外的档案，请转给管辖两地的上级主管办理",
    ))
}

/// Both records of a pair.
pub(super) fn of_pair(case: &Case) -> Vec<Reach> {
    let pair = case.row.other_id.map(RecordId).into_iter();
    let records = pair.chain([case.record]);
    let records = records.filter_map(|id| case.records.get(&id));
    records.map(Reach::deciding).collect()
}

/// The residences that say to be the resident's main one: the one held, and the one claimed.
pub(super) fn of_mains(case: &Case) -> Vec<Reach> {
    let residences = case.residences_of(case.record);
    let mains = residences.filter(|residence| is_main(residence));
    mains.map(Reach::deciding).collect()
}

/// Whether a residence says to be its resident's main one.
pub(super) fn is_main(residence: &Opened) -> bool {
    residence.registers.get("main") == Some(&Value::Bool(true))
}

/// What was written: whoever puts it back must have been able to write it.
pub(super) fn of_undoing(case: &Case, outcome: &Outcome) -> Vec<Reach> {
    let permission = match case.row.kind.as_str() {
        "duplicate_person" => return of_pair(case),
        "main_residence" => Permission::DecideConflicts,
        "refused_change" | "quarantined" => Permission::WriteRegister,
        _ => return Vec::new(),
    };
    let records = outcome.writes.iter().map(|write| write.record);
    let records = records.filter_map(|id| case.records.get(&id));
    records
        .map(|record| Reach(permission, record.areas.clone()))
        .collect()
}

/// All that one of an item's decisions may need: both records of a pair; the residences of a claim; what was refused
/// would have needed it of its maker.
pub(super) async fn of(
    tx: &mut PgConnection,
    state: &AppState,
    case: &Case,
) -> ApiResult<Vec<Reach>> {
    match case.row.kind.as_str() {
        "duplicate_person" => Ok(of_pair(case)),
        "main_residence" => Ok(of_mains(case)),
        _ => of_refused(tx, state, case).await,
    }
}

async fn of_refused(tx: &mut PgConnection, state: &AppState, case: &Case) -> ApiResult<Vec<Reach>> {
    let mut places = Vec::new();
    let mut named = BTreeSet::new();
    for refused in &case.refused {
        match &refused.item {
            Item::Change(_) => {
                places.push(lies_in(case, refused));
                named.extend(resident(case, refused));
            }
            Item::Event(event) => {
                places.push(vec![event.area]);
                if event.event_type == "visit" {
                    named.extend(subjects(&event.event_type, &event.fields));
                }
            }
        }
    }
    // Of whom was merged away the survivor counts, as when it was refused.
    let mut named: Vec<RecordId> = named.into_iter().collect();
    for (alias, survivor, _) in register::survivors(tx, &named).await? {
        named.retain(|id| *id != alias);
        named.push(survivor);
    }
    let named = register::open(tx, &state.keys, &named).await?;
    places.extend(named.into_values().map(|record| record.areas));
    let reach = |areas| Reach(Permission::WriteRegister, areas);
    Ok(places.into_iter().map(reach).collect())
}

/// Where the record of a refused change lies, or would begin.
fn lies_in(case: &Case, refused: &Refused) -> Vec<AreaCode> {
    let begins_in = || text(refused, AREA_KEY)?.parse().ok();
    match case.opened() {
        Some(record) => record.areas.clone(),
        None => vec![begins_in().unwrap_or(case.row.area())],
    }
}

/// The resident whom a refused change would bring into an area.
fn resident(case: &Case, refused: &Refused) -> Option<RecordId> {
    if refused.row.code != "resident_elsewhere" {
        return None;
    }
    let held = || case.opened()?.registers.get("resident")?.as_text();
    text(refused, "resident").or_else(held)?.parse().ok()
}

fn text<'a>(refused: &'a Refused, key: &str) -> Option<&'a str> {
    refused.puts.as_ref()?.get(key).and_then(Value::as_text)
}
