//! What jobs and other domains may ask of checks.

use doorstep_core::ids::{AreaCode, ConflictId, RecordId, ScopeId};
use doorstep_core::protocol::frames::StateEntry;
use sqlx::PgConnection;
use uuid::Uuid;

pub use super::model::OpenCheck;
use super::{act, escalate, open, relations, store, tell};
use crate::database::below;
use crate::error::ApiResult;
use crate::state::AppState;

/// Opens checks for new claims and for those whom a change left without head or guardian, acts on what was answered, and tells supervisors of what is overdue. For a job; safe
/// to run on several nodes at once.
///
/// # Errors
/// When the database fails; what was done by then stays done.
pub async fn work(state: &AppState) -> ApiResult<()> {
    open::open_for_claims(state).await?;
    relations::review(state).await?;
    act::act_on_answers(state).await?;
    escalate::escalate(state).await
}

/// What the open checks of an area are about, as far as the transaction's areas reach.
///
/// # Errors
/// When the database fails.
pub async fn open_in(tx: &mut PgConnection, area: &AreaCode) -> ApiResult<Vec<OpenCheck>> {
    Ok(store::open_in(tx, &below(*area)).await?)
}

/// Ends the open checks of items that were decided without them, in the decision's transaction; gives what phones are
/// told.
///
/// # Errors
/// When the database fails.
pub async fn close_of(
    tx: &mut PgConnection,
    state: &AppState,
    items: &[ConflictId],
) -> ApiResult<Vec<(ScopeId, StateEntry)>> {
    let ids: Vec<_> = items.iter().map(|item| item.0).collect();
    let rows = store::close_of(tx, &ids, state.clock.now()).await?;
    rows.iter().map(tell::withdrawn).collect()
}

/// Ends the open checks about records that are erased, in that transaction; gives what phones are told.
///
/// # Errors
/// When the database fails.
pub async fn close_about(
    tx: &mut PgConnection,
    state: &AppState,
    records: &[RecordId],
) -> ApiResult<Vec<(ScopeId, StateEntry)>> {
    let ids: Vec<_> = records.iter().map(|record| record.0).collect();
    let rows = store::close_about(tx, &ids, state.clock.now()).await?;
    rows.iter().map(tell::withdrawn).collect()
}

/// Lets the open checks about a record that is merged away be about the survivor, in that transaction; gives which they
/// are, for [`go_back`], and what phones are told.
///
/// # Errors
/// When the database fails.
pub async fn follow(
    tx: &mut PgConnection,
    state: &AppState,
    other: RecordId,
    survivor: RecordId,
) -> ApiResult<(Vec<Uuid>, Vec<(ScopeId, StateEntry)>)> {
    let rows = store::follow(tx, other.0, survivor.0, state.clock.now()).await?;
    let told = rows.iter().map(|check| match check.is_open() {
        true => tell::asked(check),
        false => tell::withdrawn(check),
    });
    let told = told.collect::<ApiResult<_>>()?;
    Ok((rows.iter().map(|check| check.id).collect(), told))
}

/// Lets checks that followed a merge be about the other record again, in the transaction that undoes it; gives what
/// phones are told. What was answered meanwhile stays as it was answered.
///
/// # Errors
/// When the database fails.
pub async fn go_back(
    tx: &mut PgConnection,
    checks: &[Uuid],
    other: RecordId,
) -> ApiResult<Vec<(ScopeId, StateEntry)>> {
    let rows = store::go_back(tx, checks, other.0).await?;
    rows.iter().map(tell::asked).collect()
}
