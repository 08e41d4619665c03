//! What a person's change leaves to find out: a household whose head left it, a ward whose guardian's file ended. The
//! check goes to those responsible where the others live; it ends by itself as soon as there is a head again.

use std::collections::BTreeSet;

use doorstep_core::ids::RecordId;
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::StateEntry;
use serde_json::json;
use sqlx::PgConnection;

use super::model::Kind;
use super::open::{self, Ask};
use super::{store, tell};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::registry;
use crate::error::ApiResult;
use crate::register::{self, RelationReview};
use crate::state::AppState;

/// Looks at everyone whose change may concern others, each in a transaction of its own.
pub(super) async fn review(state: &AppState) -> ApiResult<()> {
    while review_next(state).await? {}
    Ok(())
}

async fn review_next(state: &AppState) -> ApiResult<bool> {
    let mut tx = system_tx(&state.pool).await?;
    let Some(review) = register::take_relation_review(&mut tx).await? else {
        return Ok(false);
    };
    let mut told = Vec::new();
    let mut opened = 0;
    if let Some(token) = review.household_token {
        opened += household(&mut tx, state, review, token, &mut told).await?;
    }
    if review.cancelled {
        opened += wards(&mut tx, state, review, &mut told).await?;
    }
    let now = state.clock.now();
    let told = register::append_states(&mut tx, told, now).await?;
    if opened > 0 {
        let entry = Entry::by_server(now, Action::OpenChecks)
            .subject("record", review.resident)
            .detail(json!({ "checks": opened }));
        audit::record(&mut tx, entry).await?;
    }
    tx.commit().await?;
    told.to(&state.hub);
    Ok(true)
}

async fn household(
    tx: &mut PgConnection,
    state: &AppState,
    review: RelationReview,
    token: i64,
    told: &mut Vec<(ScopeId, StateEntry)>,
) -> ApiResult<usize> {
    let household = registry::service::household(tx, state, token).await?;
    if household.has_head || household.members.is_empty() {
        for check in store::close_household(tx, token, state.clock.now()).await? {
            told.push(tell::withdrawn(&check)?);
        }
        return Ok(0);
    }
    let Some((resident, area)) = household.members.first().copied() else {
        return Ok(0);
    };
    let ask = Ask {
        kind: Kind::HouseholdHead,
        area,
        resident,
        residence: None,
        conflict: None,
        other: Some(RecordId(review.resident)),
        household: Some(token),
    };
    Ok(usize::from(asked(tx, state, &ask, told).await?))
}

async fn wards(
    tx: &mut PgConnection,
    state: &AppState,
    review: RelationReview,
    told: &mut Vec<(ScopeId, StateEntry)>,
) -> ApiResult<usize> {
    let guardian = RecordId(review.resident);
    let mut opened = 0;
    for (resident, area) in registry::service::wards(tx, state, guardian).await? {
        let ask = Ask {
            kind: Kind::Guardian,
            area,
            resident,
            residence: None,
            conflict: None,
            other: Some(guardian),
            household: None,
        };
        opened += usize::from(asked(tx, state, &ask, told).await?);
    }
    Ok(opened)
}

async fn asked(
    tx: &mut PgConnection,
    state: &AppState,
    ask: &Ask,
    told: &mut Vec<(ScopeId, StateEntry)>,
) -> ApiResult<bool> {
    let Some(check) = open::ask(tx, state, ask).await? else {
        return Ok(false);
    };
    told.push(tell::asked(&check)?);
    told.extend(tell::remind(tx, state, &check, &BTreeSet::new()).await?.1);
    Ok(true)
}
