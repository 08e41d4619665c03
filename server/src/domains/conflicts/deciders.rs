//! Whom an item can be given to: who may take every decision that it offers. Some of them reach beyond the item's area,
//! and need a right there too. Changes nothing.

use std::collections::BTreeSet;

use doorstep_core::ids::{ConflictId, UserId};
use doorstep_core::rights::Permission;
use sqlx::PgConnection;

use super::case::{self, Case};
use super::decisions::Decider;
use super::reach::{self, Reach};
use crate::database::system_tx;
use crate::domains::auth::Actor;
use crate::domains::users;
use crate::error::ApiResult;
use crate::state::AppState;

/// Everyone who may decide an item, by name: wherever its decisions reach, through a right there or above.
pub(super) async fn deciders(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
) -> ApiResult<Vec<Decider>> {
    let mut tx = system_tx(&state.pool).await?;
    let row = case::find_to_decide(&mut tx, actor, id).await?;
    let case = Case::open(&mut tx, state, row).await?;
    let deciders = who_may(&mut tx, state, &case).await?;
    drop(tx);
    let ids: Vec<UserId> = deciders.into_iter().collect();
    let called = users::service::called(state, &ids).await?.into_iter();
    let decider = |(UserId(id), users::Called { name, login })| Decider { id, name, login };
    let mut deciders: Vec<Decider> = called.map(decider).collect();
    deciders.sort_by(|one, other| (&one.name, &one.login).cmp(&(&other.name, &other.login)));
    Ok(deciders)
}

/// The users who may take every decision that an item offers; in a system transaction.
pub(super) async fn who_may(
    tx: &mut PgConnection,
    state: &AppState,
    case: &Case,
) -> ApiResult<BTreeSet<UserId>> {
    let here = Reach(Permission::DecideConflicts, vec![case.row.area()]);
    let mut deciders = holders(tx, state, &here).await?;
    for reach in reach::of(tx, state, case).await? {
        let holders = holders(tx, state, &reach).await?;
        deciders.retain(|user| holders.contains(user));
    }
    // Nobody accepts what they sent themselves.
    for refused in &case.refused {
        deciders.remove(&UserId(refused.row.user_id));
    }
    Ok(deciders)
}

async fn holders(
    tx: &mut PgConnection,
    state: &AppState,
    Reach(permission, areas): &Reach,
) -> ApiResult<BTreeSet<UserId>> {
    let mut holders = BTreeSet::new();
    for area in areas {
        let grants = users::service::holders_within(tx, state, *permission, area).await?;
        holders.extend(grants.iter().map(|grant| grant.user));
    }
    Ok(holders)
}
