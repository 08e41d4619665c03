//! How many visits there were and what they came to.

use doorstep_core::rights::Permission;

use super::list::filter;
use super::model::{VisitCounts, VisitQuery};
use super::store;
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::ApiResult;
use crate::state::AppState;

pub(super) async fn count(
    state: &AppState,
    actor: &Actor,
    query: VisitQuery,
) -> ApiResult<VisitCounts> {
    let filter = filter(actor, query)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let mut counts = VisitCounts::default();
    for (purpose, result, user, visits) in store::counts(&mut tx, &filter).await? {
        counts.visits += visits;
        *counts
            .purposes
            .entry(purpose.unwrap_or_default())
            .or_insert(0) += visits;
        *counts
            .results
            .entry(result.unwrap_or_default())
            .or_insert(0) += visits;
        *counts.collectors.entry(user.to_string()).or_insert(0) += visits;
    }
    counts.verified = store::verified(&mut tx, &filter).await?;
    Ok(counts)
}
