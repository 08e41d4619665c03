//! Answering a check on the console: the same event that a phone records, taken by the register and acted on at once.

use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::records::{self, Mode, Severity};
use doorstep_core::rights::Permission;
use doorstep_core::value::Fields;
use serde_json::json;
use uuid::Uuid;

use super::model::{AnswerCheck, CheckView};
use super::{act, list};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::random;
use crate::register::{self, Prepared, Submission, Submitter};
use crate::state::AppState;

pub(super) async fn answer(
    state: &AppState,
    actor: &Actor,
    id: Uuid,
    input: AnswerCheck,
) -> ApiResult<CheckView> {
    let mut tx = system_tx(&state.pool).await?;
    let check = list::find(&mut tx, actor, id).await?;
    let area = check.area()?;
    actor.require(Permission::WriteRegister, &area)?;
    if !check.is_open() {
        return Err(ApiError::conflict(
            "already_settled",
            "这项核查已经办结，请刷新列表",
        ));
    }
    let fields = fields(state, RecordId(check.resident), id, input)?;
    let event = random::id(state.clock.timestamp(), EventId::new)?;
    let item = doorstep_core::envelope::EventItem {
        id: event,
        event_type: "check_answer".to_owned(),
        area,
        fields,
    };
    let submission = Submission {
        who: Submitter::user(state, actor),
        envelope: None,
        items: vec![Prepared::Event(item)],
    };
    let mut applied = register::apply(&mut tx, state, vec![submission]).await?;
    applied.require_all(|refusal| {
        let path = refusal.field.as_deref().unwrap_or("answer");
        ApiError::field(path, &refusal.code, refusal.message.clone())
    })?;
    let entry = Entry::by(actor, state.clock.now(), Action::AnswerCheck)
        .subject("check", id)
        .area(area);
    audit::record(&mut tx, entry.detail(json!({ "event": event }))).await?;
    tx.commit().await?;
    applied.tell(state);
    act::act(state, event, actor.user).await?;
    list::show(state, actor, id).await
}

/// The event's values, every wrong one named.
fn fields(
    state: &AppState,
    resident: RecordId,
    check: Uuid,
    input: AnswerCheck,
) -> ApiResult<Fields> {
    let mut fields = Fields::from([
        ("check".to_owned(), check.to_string().into()),
        ("resident".to_owned(), resident.to_string().into()),
        ("at".to_owned(), state.clock.timestamp().0.into()),
        ("answer".to_owned(), input.answer.into()),
    ]);
    if let Some(note) = input.note.filter(|note| !note.trim().is_empty()) {
        fields.insert("note".to_owned(), note.trim().into());
    }
    fields.extend(
        input
            .photos
            .iter()
            .map(|digest| (format!("photos/{digest}"), true.into())),
    );
    let declared = records::record_type("check_answer")
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("no declaration of check_answer")))?;
    let mut problems = Problems::default();
    for problem in records::validate(declared, &fields, Mode::Whole) {
        if problem.severity == Severity::Error {
            problems.add(&problem.path, &problem.code, problem.message);
        }
    }
    let known = fields
        .get("answer")
        .and_then(doorstep_core::value::Value::as_text)
        .and_then(act::status);
    problems.require(
        known.is_some(),
        "answer",
        "unknown_code",
        "核查结论请从属实、不属实、退回中选择",
    );
    problems.finish()?;
    Ok(fields)
}
