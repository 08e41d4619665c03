//! Whom an item can be given to: who may take every decision that it offers. Some of them reach beyond the item's area,
//! and need a right there too. Changes nothing.

use std::collections::BTreeSet;

use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, ConflictId, RecordId, UserId};
use doorstep_core::projection::{AREA_KEY, subjects};
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use sqlx::PgConnection;

use super::case::{self, Case, Refused};
use super::decisions::Decider;
use crate::database::system_tx;
use crate::domains::auth::Actor;
use crate::domains::users;
use crate::error::ApiResult;
use crate::register;
use crate::state::AppState;

/// What one must be able to do, in any of these areas or above it.
type Reach = (Permission, Vec<AreaCode>);

/// Everyone who may decide an item, by name: wherever its decisions reach, through a right there or above.
pub(super) async fn deciders(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
) -> ApiResult<Vec<Decider>> {
    let mut tx = system_tx(&state.pool).await?;
    let row = case::find_to_decide(&mut tx, actor, id).await?;
    let case = Case::open(&mut tx, state, row).await?;
    let here = (Permission::DecideConflicts, vec![case.row.area()]);
    let mut deciders = holders(&mut tx, state, &here).await?;
    for reach in beyond(&mut tx, state, &case).await? {
        let holders = holders(&mut tx, state, &reach).await?;
        deciders.retain(|user| holders.contains(user));
    }
    drop(tx);
    // Nobody accepts what they sent themselves.
    for refused in &case.refused {
        deciders.remove(&UserId(refused.row.user_id));
    }
    let ids: Vec<UserId> = deciders.into_iter().collect();
    let called = users::service::called(state, &ids).await?.into_iter();
    let decider = |(UserId(id), users::Called { name, login })| Decider { id, name, login };
    let mut deciders: Vec<Decider> = called.map(decider).collect();
    deciders.sort_by(|one, other| (&one.name, &one.login).cmp(&(&other.name, &other.login)));
    Ok(deciders)
}

async fn holders(
    tx: &mut PgConnection,
    state: &AppState,
    (permission, areas): &Reach,
) -> ApiResult<BTreeSet<UserId>> {
    let mut holders = BTreeSet::new();
    for area in areas {
        let grants = users::service::holders_within(tx, state, *permission, area).await?;
        holders.extend(grants.iter().map(|grant| grant.user));
    }
    Ok(holders)
}

/// Where the item's decisions reach besides its own area: both records of a pair; what an accepted item would have
/// needed of its maker.
async fn beyond(tx: &mut PgConnection, state: &AppState, case: &Case) -> ApiResult<Vec<Reach>> {
    if case.row.kind == "duplicate_person" {
        let pair = case.row.other_id.map(RecordId).into_iter();
        let records = pair.chain([case.record]);
        let records = records.filter_map(|id| case.records.get(&id));
        return Ok(records
            .map(|record| (Permission::DecideConflicts, record.areas.clone()))
            .collect());
    }
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
    let named: Vec<RecordId> = named.into_iter().collect();
    let named = register::open(tx, &state.keys, &named).await?;
    places.extend(named.into_values().map(|record| record.areas));
    let reach = |areas| (Permission::WriteRegister, areas);
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
