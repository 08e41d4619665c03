//! Deciding an item: the changes, the item's end, the messages and the audit entry are one transaction. A dry run is
//! the same transaction, given up at its end.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{ConflictId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::value::{Fields, Value};
use serde_json::json;
use sqlx::PgConnection;

use super::case::{self, Case};
use super::decisions::{
    Action, Decide, Decided, DecidedTell, DecidedWrite, Outcome, Written, actions_of,
};
use super::plan::{self, Plan};
use super::rows::ConflictRow;
use super::{comes_to, list, persons, reach, residence, store};
use crate::database::system_tx;
use crate::domains::audit::{self, Entry};
use crate::domains::auth::Actor;
use crate::domains::checks;
use crate::error::{ApiError, ApiResult, FieldProblem, Kind, Problems};
use crate::register::{self, Applied, Put};
use crate::state::AppState;

/// The longest note.
const LONGEST_NOTE: usize = 500;

/// Decides an item. `unchanged` refuses a version that the decider has not seen.
pub(super) async fn decide(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
    input: Decide,
    unchanged: impl FnOnce(&str) -> ApiResult<()>,
) -> ApiResult<Decided> {
    check_note(input.note.as_deref())?;
    let mut tx = system_tx(&state.pool).await?;
    let found = case::find_to_decide(&mut tx, actor, id).await?;
    let others = match &input.action {
        Action::Merge { .. } => persons::named_by(&mut tx, state, &found).await?,
        _ => Vec::new(),
    };
    let case = Case::lock(&mut tx, state, &found, &others).await?;
    unchanged(&case.row.version.to_string())?;
    require_open(&case)?;
    let plan = plan_of(&mut tx, state, actor, &case, &input.action).await?;
    let code = input.action.code();
    let (writes, tells) = comes_to::of(&mut tx, state, actor, &case, &plan).await?;
    let mut done = carry_out(&mut tx, state, actor.user, &case, plan, code, input.note).await?;
    let entry = Entry::by(actor, state.clock.now(), audit::Action::DecideConflict)
        .subject("conflict", id)
        .area(case.row.area());
    let detail = json!({ "kind": case.row.kind, "record": case.record, "action": code,
        "changes": done.applied.changes, "created": done.created, "told": done.told });
    if input.dry_run {
        // It was carried out to be sure that the register takes it; not committed, it never was.
        drop(tx);
        actor
            .trail
            .note_detail(json!({ "action": code, "dry_run": true }));
        return would(state, &found, &done, writes, tells).await;
    }
    let row = store::find(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这个待裁决事项"))?;
    let items = list::views(state, &mut tx, &[row]).await?;
    audit::record(&mut tx, entry.detail(detail)).await?;
    tx.commit().await?;
    done.applied.queues.insert(case.row.area());
    done.applied.tell(state);
    let item = items
        .into_iter()
        .next()
        .ok_or_else(|| ApiError::not_found("这个待裁决事项"))?;
    Ok(Decided {
        item,
        changes: done.applied.changes,
        created: done.created.iter().map(|id| id.0).collect(),
        told: done.told,
        writes,
        tells,
    })
}

/// The answer to who only asked: the item as it still stands.
async fn would(
    state: &AppState,
    found: &ConflictRow,
    done: &Done,
    writes: Vec<DecidedWrite>,
    tells: Vec<DecidedTell>,
) -> ApiResult<Decided> {
    let mut tx = system_tx(&state.pool).await?;
    let items = list::views(state, &mut tx, std::slice::from_ref(found)).await?;
    let item = items
        .into_iter()
        .next()
        .ok_or_else(|| ApiError::not_found("这个待裁决事项"))?;
    Ok(Decided {
        item,
        changes: done.applied.changes,
        created: Vec::new(),
        told: done.told,
        writes,
        tells,
    })
}

/// What carrying out a plan did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) applied: Applied,
    pub(super) created: Vec<RecordId>,
    pub(super) told: usize,
}

pub(super) fn check_note(note: Option<&str>) -> ApiResult<()> {
    let mut problems = Problems::default();
    problems.require(
        note.is_none_or(|note| note.chars().count() <= LONGEST_NOTE),
        "note",
        "too_long",
        "说明不能超过 500 字，请精简后再提交",
    );
    problems.finish()
}

fn require_open(case: &Case) -> ApiResult<()> {
    if case.row.status == "open" {
        return Ok(());
    }
    Err(ApiError::conflict(
        "already_decided",
        "这个事项已经裁决过了，请刷新列表",
    ))
}

async fn plan_of(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    case: &Case,
    action: &Action,
) -> ApiResult<Plan> {
    if !actions_of(&case.row.kind).contains(&action.code()) {
        return Err(ApiError::field(
            "action",
            "wrong_action",
            format!(
                "“{}”不能这样裁决，请从列出的办法中选择",
                list::kind_label(&case.row.kind)
            ),
        ));
    }
    match action {
        Action::Take { choice } => plan::take(case, *choice),
        Action::Value { value } => plan::value(case, value),
        Action::Dismiss => Ok(plan::dismiss(case)),
        Action::Refuse => Ok(plan::refuse(case)),
        Action::Accept { items } => plan::accept(case, state, actor, items.as_deref()),
        Action::Confirm => {
            // Not by one of the two communities alone.
            reach::require(actor, &reach::of_mains(case))?;
            residence::confirm(tx, case, state).await
        }
        Action::Deny => residence::deny(tx, case, state).await,
        Action::Merge {
            survivor,
            take_from_other,
        } => persons::merge(tx, state, actor, case, RecordId(*survivor), take_from_other).await,
        Action::Split {
            keep,
            fields,
            residences,
        } => persons::split(tx, state, case, *keep, fields, residences).await,
    }
}

/// Makes the changes, ends the item and those it answers, and tells people. The caller writes the audit entry, commits
/// and tells those online.
pub(super) async fn carry_out(
    tx: &mut PgConnection,
    state: &AppState,
    by: UserId,
    case: &Case,
    plan: Plan,
    action: &str,
    note: Option<String>,
) -> ApiResult<Done> {
    let now = state.clock.now();
    let writes = written(tx, state, &plan).await?;
    let mut applied = register::apply(tx, state, plan.submissions(state, by)).await?;
    require_applied(&applied).map_err(|error| match &plan.judged_as {
        Some(_) => beyond_rights(error),
        None => error,
    })?;
    if let Some((other, survivor)) = plan.merge {
        applied
            .told
            .add(register::merge_away(tx, other, survivor).await?);
    }
    let settled: Vec<ConflictId> = plan
        .close
        .iter()
        .copied()
        .chain([case.row.id])
        .map(ConflictId)
        .collect();
    let mut asked = checks::service::close_of(tx, state, &settled).await?;
    let mut followed = Vec::new();
    if let Some((other, survivor)) = plan.merge {
        let (checks, told) = checks::service::follow(tx, state, other, survivor).await?;
        followed = checks;
        asked.extend(told);
    }
    let outcome = Outcome {
        note: note.filter(|note| !note.trim().is_empty()),
        writes,
        created: plan.created.clone(),
        merged: plan.merge.map(|(other, _)| other),
        closed: plan.close.iter().copied().map(ConflictId).collect(),
        lasting: !plan.events.is_empty(),
        checks: followed,
    };
    let mut detail = plan.detail;
    detail.insert("action".into(), action.into());
    let decision = serde_json::Value::Object(detail).to_string();
    let sealed = register::seal_outcome(
        &state.keys,
        case.row.id(),
        &case.row.wrapped,
        &codec::to_bytes(&outcome),
    )
    .await?;
    let end = store::End {
        id: case.row.id,
        status: if plan.dismissed {
            "dismissed"
        } else {
            "decided"
        },
        at: now,
        by: by.0,
        decision: &decision,
        outcome: &sealed,
    };
    store::decide(tx, &end).await?;
    close(tx, state, by, case, &plan.close, now).await?;
    let told = plan.told.len();
    let mut states = messages(state, case, "conflict_decided", plan.told);
    states.extend(asked);
    applied
        .told
        .add(register::append_states(tx, states, now).await?);
    Ok(Done {
        applied,
        created: plan.created,
        told,
    })
}

/// What the plan writes, with what stands there now: what an undo puts back.
async fn written(tx: &mut PgConnection, state: &AppState, plan: &Plan) -> ApiResult<Vec<Written>> {
    let ids: Vec<RecordId> = plan.puts.iter().map(|put| put.record).collect();
    let records = register::open(tx, &state.keys, &ids).await?;
    let before = |put: &Put| -> Fields {
        let Some(opened) = records.get(&put.record) else {
            return Fields::new();
        };
        let value = |key: &String| opened.registers.get(key).cloned().unwrap_or(Value::Null);
        let keys = put.fields.keys();
        keys.map(|key| (key.clone(), value(key))).collect()
    };
    let written = plan.puts.iter().map(|put| Written {
        record: put.record,
        record_type: put.record_type.clone(),
        before: before(put),
        after: put.fields.clone(),
    });
    Ok(written.collect())
}

/// Refuses a decision that the register would not take.
pub(super) fn require_applied(applied: &Applied) -> ApiResult<()> {
    applied.require_all(|refusal| {
        // What nobody can write is not to be passed on once more.
        let message = match refusal.code.as_str() {
            "too_many_elements" | "event_too_large" => {
                "这条内容超出了一次可写入的上限，不能采纳；请让填报人分几次补填，再选择“不采纳”"
            }
            "unknown_area" => {
                "所填的区划不在区划表中，不能采纳；请让填报人更新应用后重新登记，再选择“不采纳”"
            }
            _ => &refusal.message,
        };
        let mut error = ApiError::new(Kind::Conflict, "not_applicable", message);
        error.fields.push(FieldProblem {
            path: refusal.field.clone().unwrap_or_default(),
            code: refusal.code.clone(),
            message: message.to_owned(),
        });
        error
    })
}

/// What the decider could not have written there either is not the decider's to accept.
fn beyond_rights(error: ApiError) -> ApiError {
    const RIGHTS: [&str; 3] = ["out_of_scope", "field_not_writable", "resident_elsewhere"];
    let lacks = |problem: &crate::error::FieldProblem| RIGHTS.contains(&problem.code.as_str());
    if !error.fields.iter().any(lacks) {
        return error;
    }
    let mut beyond = ApiError::new(
        Kind::Forbidden,
        "beyond_own_rights",
        "其中有您自己也不能填写的项目或区划，不能由您采纳，请只选择其余内容，或转给有权限的上级主管",
    );
    beyond.fields = error.fields;
    beyond
}

/// Ends the items that this decision answers too.
async fn close(
    tx: &mut PgConnection,
    state: &AppState,
    by: UserId,
    case: &Case,
    ids: &[sqlx::types::Uuid],
    now: DateTime<Utc>,
) -> ApiResult<()> {
    let decision = json!({ "action": "closed", "by_conflict": case.row.id }).to_string();
    for id in ids {
        let Some(row) = store::lock(tx, *id).await? else {
            continue;
        };
        let outcome = codec::to_bytes(&Outcome::default());
        let sealed = register::seal_outcome(&state.keys, row.id(), &row.wrapped, &outcome).await?;
        let end = store::End {
            id: *id,
            status: "dismissed",
            at: now,
            by: by.0,
            decision: &decision,
            outcome: &sealed,
        };
        store::decide(tx, &end).await?;
    }
    Ok(())
}

/// The messages to those concerned; each takes the place of the one that said the item was opened.
pub(super) fn messages(
    state: &AppState,
    case: &Case,
    code: &str,
    told: BTreeMap<UserId, String>,
) -> Vec<(ScopeId, StateEntry)> {
    let about = register::About::Conflict(case.record);
    let at = state.clock.timestamp();
    told.into_iter()
        .map(|(user, text)| register::message(user, case.row.id, code, &text, about, at))
        .collect()
}
