//! Acting on answers: each counts once, from one who is responsible, while the check is open. Where all who were asked
//! about a claim confirm it, the main residence moves; else the supervisors are told at once.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use doorstep_core::ids::{EventId, UserId};
use doorstep_core::protocol::frames::EventEntry;
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{CheckRow, Kind};
use super::store::{self, End};
use super::tell;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::conflicts::service::Claim;
use crate::domains::{registry, users};
use crate::error::ApiResult;
use crate::register::{self, Applied};
use crate::state::AppState;

/// Answers looked at together.
const STEP: i64 = 100;
/// An answer that lay longer than this is history.
const LOOK_BACK: TimeDelta = TimeDelta::days(30);

/// Acts on every answer that nothing was done about yet, each in a transaction of its own.
pub(super) async fn act_on_answers(state: &AppState) -> ApiResult<()> {
    loop {
        let since = state.clock.now() - LOOK_BACK;
        let mut tx = system_tx(&state.pool).await?;
        let waiting = store::answers(&mut tx, since, STEP).await?;
        drop(tx);
        if waiting.is_empty() {
            return Ok(());
        }
        // One that fails must not keep the others waiting; it is tried again later.
        let mut failed = None;
        for (event, user) in waiting {
            if let Err(error) = act(state, EventId(event), UserId(user)).await {
                failed.get_or_insert(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

/// Acts on one answer.
pub(super) async fn act(state: &AppState, event: EventId, user: UserId) -> ApiResult<()> {
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let entry = register::read::event_entries(&mut tx, &state.keys, &[event.0])
        .await?
        .remove(&event);
    let answer = entry.as_ref().and_then(Answer::read);
    let found = match &answer {
        Some(answer) => store::find(&mut tx, answer.check).await?,
        None => None,
    };
    let (Some(answer), Some(found)) = (answer, found) else {
        store::note_answer(&mut tx, event.0, "unknown", now).await?;
        return Ok(tx.commit().await?);
    };
    // Records and the claim before the check: the order in which a decision locks them.
    let claim = match found.item() {
        Some(item) if answer.status == "confirmed" => Claim::lock(&mut tx, state, item).await?,
        _ => None,
    };
    let Some(check) = store::lock(&mut tx, found.id).await? else {
        return Ok(());
    };
    let outcome = if !is_responsible(&mut tx, state, user, &check).await? {
        "not_responsible"
    } else if !check.is_open() {
        "late"
    } else {
        "taken"
    };
    if !store::note_answer(&mut tx, event.0, outcome, now).await? {
        return Ok(()); // another node was first
    }
    let mut told = Vec::new();
    let mut applied = Applied::default();
    let mut moved = false;
    if outcome == "taken" {
        let end = End {
            id: check.id,
            status: answer.status,
            at: now,
            answer: Some(event.0),
            by: Some(user.0),
        };
        store::end(&mut tx, &end).await?;
        if let Some(claim) = claim.filter(|_| check.kind == Kind::MainResidence.code()) {
            let all = store::statuses(&mut tx, claim.item().0).await?;
            if all.iter().all(|status| status == "confirmed") {
                applied = claim.confirm(&mut tx, state, user).await?;
                moved = true;
            }
        }
        told.push(tell::withdrawn(&check)?);
        told.extend(tell_outcome(&mut tx, state, user, &check, answer.status, moved).await?);
    } else {
        let text = match outcome {
            "late" => "这项核查已由他人办结，您的反馈已留存，不用再处理。",
            _ => "这项核查不在您的负责区域，您的反馈已留存，请联系主管。",
        };
        told.extend(tell::message(state, [user], &check, "check_settled", text));
    }
    applied
        .told
        .add(register::append_states(&mut tx, told, now).await?);
    let entry = Entry::by_server(now, Action::AnswerCheck)
        .user(user)
        .subject("check", check.id)
        .area(check.area()?)
        .detail(json!({ "answer": answer.status, "outcome": outcome, "moved": moved }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    applied.tell(state);
    Ok(())
}

/// What an answer says.
struct Answer {
    check: Uuid,
    status: &'static str,
}

impl Answer {
    fn read(event: &EventEntry) -> Option<Self> {
        let text = |key: &str| event.fields.get(key).and_then(Value::as_text);
        Some(Self {
            check: text("check")?.parse().ok()?,
            status: status(text("answer")?)?,
        })
    }
}

/// What a code of the table `check_answer` makes of a check.
pub(super) fn status(code: &str) -> Option<&'static str> {
    match code {
        "01" => Some("confirmed"),
        "02" => Some("denied"),
        "03" => Some("returned"),
        _ => None,
    }
}

async fn is_responsible(
    tx: &mut PgConnection,
    state: &AppState,
    user: UserId,
    check: &CheckRow,
) -> ApiResult<bool> {
    let area = check.area()?;
    let grants = users::service::grants_of(state, tx, user).await?;
    Ok(grants
        .iter()
        .any(|grant| grant.role.may(Permission::WriteRegister) && grant.area.contains(&area)))
}

/// Tells the others who were asked that it is answered, and the supervisors what was found.
async fn tell_outcome(
    tx: &mut PgConnection,
    state: &AppState,
    user: UserId,
    check: &CheckRow,
    status: &str,
    moved: bool,
) -> ApiResult<
    Vec<(
        doorstep_core::ids::ScopeId,
        doorstep_core::protocol::frames::StateEntry,
    )>,
> {
    let concerned = registry::service::concerned(tx, state, &check.area()?).await?;
    let supervisors: BTreeSet<UserId> = concerned.supervisors;
    let collectors: BTreeSet<UserId> = concerned
        .collectors
        .into_iter()
        .filter(|collector| !supervisors.contains(collector))
        .collect();
    let others = match status {
        "confirmed" => "这项核查已确认，不用再上门。",
        "denied" => "这项核查已否认，不用再上门，由主管继续办理。",
        _ => "这项核查已退回主管，不用再上门。",
    };
    let mut told = tell::message(state, collectors, check, "check_settled", others);
    let text = match status {
        "confirmed" if moved => "各方核查都属实，变更已生效，请更新后查看。",
        "confirmed" => "采集员核查后确认属实。",
        "denied" => "采集员核查后否认，请在待裁决事项中核对并裁决。",
        _ => "采集员退回了一项核查，请安排他人核查或直接裁决。",
    };
    let supervisors = supervisors.into_iter().filter(|other| *other != user);
    told.extend(tell::message(
        state,
        supervisors,
        check,
        "check_answered",
        text,
    ));
    Ok(told)
}
