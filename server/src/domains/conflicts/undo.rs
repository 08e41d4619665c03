//! Taking a decision back within a day: the former values are put as new changes and the item is open again. What was
//! edited since stays; then there is nothing to take back.

use std::collections::BTreeMap;

use chrono::Duration;
use doorstep_core::ids::{ConflictId, RecordId};
use doorstep_core::protocol::codec;
use serde_json::json;
use sqlx::PgConnection;

use super::case::{self, Case};
use super::decide::{messages, require_applied};
use super::decisions::{Decided, Outcome, Written};
use super::plan::Plan;
use super::rows::ConflictRow;
use super::{comes_to, list, reach, store};
use crate::database::system_tx;
use crate::domains::audit::{self, Entry};
use crate::domains::auth::Actor;
use crate::domains::checks;
use crate::domains::registry::service::{cancelled, reason};
use crate::error::{ApiError, ApiResult};
use crate::register::{self, Opened, Told};
use crate::state::AppState;

/// How long a decision can be taken back.
pub(super) const WITHIN: Duration = Duration::days(1);

/// What a decision left.
pub(super) async fn open_outcome(
    state: &AppState,
    row: &ConflictRow,
    sealed: &[u8],
) -> ApiResult<Outcome> {
    let plain = register::open_outcome(&state.keys, row.id(), &row.wrapped, sealed).await?;
    codec::from_bytes(&plain).map_err(ApiError::internal)
}

/// Whether a decision can still be put back: nothing it wrote was changed since.
pub(super) async fn is_possible(
    tx: &mut PgConnection,
    state: &AppState,
    case: &Case,
    outcome: &Outcome,
) -> ApiResult<bool> {
    if outcome.lasting || is_closed_by_another(&case.row) {
        return Ok(false);
    }
    let ids: Vec<RecordId> = outcome.writes.iter().map(|write| write.record).collect();
    let records = register::open(tx, &state.keys, &ids).await?;
    Ok(outcome.writes.iter().all(|write| stands(&records, write)))
}

fn is_closed_by_another(row: &ConflictRow) -> bool {
    row.decision
        .as_deref()
        .is_some_and(|decision| decision.contains("\"closed\""))
}

/// Whether a record still holds what was written.
fn stands(records: &BTreeMap<RecordId, Opened>, write: &Written) -> bool {
    let record = records.get(&write.record);
    record.is_some_and(|record| record.holds(&write.after))
}

/// Takes a decision back.
pub(super) async fn undo(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
    unchanged: impl FnOnce(&str) -> ApiResult<()>,
) -> ApiResult<Decided> {
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let found = case::find_to_decide(&mut tx, actor, id).await?;
    let outcome = match &found.outcome {
        Some(sealed) => open_outcome(state, &found, sealed).await?,
        None => return Err(not_decided()),
    };
    let ids: Vec<RecordId> = outcome
        .writes
        .iter()
        .map(|write| write.record)
        .chain(outcome.merged)
        .collect();
    let case = Case::lock(&mut tx, state, &found, &ids).await?;
    unchanged(&case.row.version.to_string())?;
    if case.row.status == "open" || case.row.version != found.version {
        return Err(not_decided());
    }
    if case.row.decided_at.is_none_or(|at| at + WITHIN <= now) {
        return Err(ApiError::conflict(
            "too_late",
            "裁决已超过一天，不能撤销；如需更正请直接修改档案",
        ));
    }
    if outcome.lasting || is_closed_by_another(&case.row) {
        return Err(ApiError::conflict(
            "cannot_undo",
            "这次裁决不能撤销，如需更正请直接修改档案",
        ));
    }
    let stands = |write: &Written| stands(&case.records, write);
    if !outcome.writes.iter().all(stands) {
        return Err(ApiError::conflict(
            "changed_since",
            "裁决之后又有人修改过，不能撤销；如需更正请直接修改档案",
        ));
    }
    reach::require(actor, &reach::of_undoing(&case, &outcome))?;
    let mut sent = Told::default();
    if let Some(other) = outcome.merged {
        sent.add(register::bring_back(&mut tx, other).await?);
    }
    // Open again before anything is put back: what the former values bring up anew is what this item is about.
    let reopened: Vec<_> = outcome.closed.iter().chain([&id]).map(|id| id.0).collect();
    store::reopen(&mut tx, &reopened, now + register::DUE)
        .await
        .map_err(opened_again)?;
    let plan = back(state, &outcome);
    let writes = comes_to::writes(actor, &case, &plan)?;
    let mut applied = register::apply(&mut tx, state, plan.submissions(state, actor.user)).await?;
    require_applied(&applied)?;
    let text = "一项裁决已被主管撤销，正在重新核对，结果会再通知您。";
    let told: BTreeMap<_, _> = case
        .makers()
        .into_iter()
        .map(|user| (user, text.to_owned()))
        .collect();
    let count = told.len();
    let tells = comes_to::tells(&mut tx, state, &told).await?;
    let mut states = messages(state, &case, "conflict_reopened", told);
    if let Some(other) = outcome.merged {
        states.extend(checks::service::go_back(&mut tx, &outcome.checks, other).await?);
    }
    let messages = register::append_states(&mut tx, states, now).await?;
    // In the order in which the logs were numbered.
    sent.add(std::mem::take(&mut applied.told));
    sent.add(messages);
    applied.told = sent;
    let row = store::find(&mut tx, id.0).await?.ok_or_else(not_decided)?;
    let items = list::views(state, &mut tx, &[row]).await?;
    let item = items.into_iter().next().ok_or_else(not_decided)?;
    let entry = Entry::by(actor, now, audit::Action::UndoConflict)
        .subject("conflict", id)
        .area(case.row.area())
        .detail(
            json!({ "kind": case.row.kind, "record": case.record, "changes": applied.changes }),
        );
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    applied.queues.insert(item.area);
    applied.tell(state);
    Ok(Decided {
        item,
        changes: applied.changes,
        created: Vec::new(),
        told: count,
        writes,
        tells,
    })
}

fn not_decided() -> ApiError {
    ApiError::conflict("not_decided", "这个事项还没有裁决，或刚被重新打开，请刷新")
}

/// A newer item about the same thing is open already.
fn opened_again(error: sqlx::Error) -> ApiError {
    let twice = error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation);
    if twice {
        ApiError::conflict(
            "opened_again",
            "同一内容已有新的待裁决事项，请直接裁决新的那一项",
        )
    } else {
        error.into()
    }
}

/// The former values, the last written first; what the decision made is cancelled.
fn back(state: &AppState, outcome: &Outcome) -> Plan {
    let mut plan = Plan::default();
    for write in outcome.writes.iter().rev() {
        if !outcome.created.contains(&write.record) {
            plan.put(write.record, &write.record_type, write.before.clone());
            continue;
        }
        let cancelled = cancelled(reason::IN_ERROR, state.clock.today());
        plan.put(write.record, &write.record_type, cancelled);
    }
    plan
}
