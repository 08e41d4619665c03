//! Cancelling a record with its reason and evidence, and restoring it.

use chrono::NaiveDate;
use doorstep_core::ids::RecordId;
use doorstep_core::value::{Fields, Value};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::checks::problems;
use super::edit::{finish, lock, put};
use super::model::{CancelRecord, PeopleOfHouse, RecordRow, RecordView, RestoreRecord};
use super::standing::{NOTE, cancelled, reason, restored};
use super::view::{self, Open};
use super::{reminders, store};
use crate::database::system_tx;
use crate::domains::audit::Action;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, FieldProblem, Problems};
use crate::register::Submitter;
use crate::state::AppState;

/// Cancels a record with its reason; of a house, says what becomes of the people in it.
pub(super) async fn cancel(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: CancelRecord,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<RecordView> {
    let mut tx = system_tx(&state.pool).await?;
    let people = store::ties_of_house(&mut tx, id.0).await?;
    // All that will be written, in the register's order, before anything is judged.
    let all: Vec<Uuid> = people.iter().copied().chain([id.0]).collect();
    let ties = store::lock(&mut tx, &all).await?;
    let open = lock(&mut tx, state, actor, id, None).await?;
    unchanged(&open.row.sealed.version.to_string())?;
    let declared = view::declared(&open.row.sealed.record_type)?;
    if open.row.sealed.cancelled {
        return Err(ApiError::conflict("already_cancelled", "这份档案已经注销"));
    }
    let on = input.on.unwrap_or_else(|| state.clock.today());
    let mut fields = cancelled(&input.reason, on);
    let note = input.note.map_or(Value::Null, Value::from);
    fields.insert(NOTE.to_owned(), note);
    let evidence = if declared.named("evidence").is_some() {
        "evidence"
    } else {
        "photos"
    };
    fields.extend(
        input
            .evidence
            .iter()
            .map(|digest| (format!("{evidence}/{digest}"), true.into())),
    );
    let (errors, _) = problems(declared, &open.fields, &fields, state.clock.today());
    let mut wrong = Problems::from(errors);
    let known = doorstep_core::codes::table("cancel_reason")
        .is_some_and(|table| table.known(&input.reason));
    wrong.require(known, "reason", "unknown_code", "请从注销原因表中选择");
    wrong.require(
        on <= state.clock.today(),
        "on",
        "in_future",
        "注销日期不能晚于今天",
    );
    wrong.finish()?;
    let mut puts = vec![open.put(fields)];
    if !people.is_empty() {
        let target = match &input.people {
            None => return Err(house_has_people(people.len())),
            Some(PeopleOfHouse::End) => None,
            Some(PeopleOfHouse::Move { house }) => Some(other_house(&mut tx, &open, *house).await?),
        };
        for tie in ties.into_iter().filter(|tie| tie.sealed.id != id.0) {
            let tie = Open::new(state, tie).await?;
            let moved = target.map_or_else(
                || ended(on),
                |house| Fields::from([("house".to_owned(), house.to_string().into())]),
            );
            puts.push(tie.put(moved));
        }
    }
    let mut applied = put(&mut tx, state, Submitter::user(state, actor), puts).await?;
    let withdrawn = reminders::withdraw(&mut tx, state, &[id]).await?;
    applied.told.add(withdrawn);
    let detail = json!({ "people": people.len(), "evidence": input.evidence.len() });
    finish(state, actor, tx, applied, id, Action::CancelRecord, detail).await
}

/// A residence that ends on a day, since its house is no more.
fn ended(on: NaiveDate) -> Fields {
    let mut fields = cancelled(reason::ENDED, on);
    fields.insert("main".to_owned(), false.into());
    fields
}

fn house_has_people(count: usize) -> ApiError {
    let message = format!("这套房屋还有 {count} 条居住关系，请选择一并终止，或迁到另一套房屋");
    let mut error = ApiError::conflict("house_has_people", message);
    error.fields.push(FieldProblem {
        path: "people".to_owned(),
        code: "required".to_owned(),
        message: "请选择房屋内人员的去向".to_owned(),
    });
    error
}

/// The house that people move to: in the same village, since a residence stays where it was made.
async fn other_house(tx: &mut PgConnection, from: &Open, house: Uuid) -> ApiResult<RecordId> {
    let from = &from.row.sealed;
    let fits = |row: &RecordRow| {
        row.sealed.record_type == "house"
            && !row.sealed.cancelled
            && row.sealed.id != from.id
            && row.sealed.wrapped.area == from.wrapped.area
    };
    if store::record(tx, house).await?.filter(fits).is_none() {
        return Err(ApiError::field(
            "people/house",
            "no_such_house",
            "请选择同一居村委内有效的房屋；迁往别处请到迁入地登记新的居住关系",
        ));
    }
    Ok(RecordId(house))
}

/// Restores a cancelled record.
pub(super) async fn restore(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: RestoreRecord,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<RecordView> {
    let mut problems = Problems::default();
    let note = input.note.trim().to_owned();
    problems.require(
        (1..=500).contains(&note.chars().count()),
        "note",
        "note_form",
        "请填写恢复原因，不超过 500 字",
    );
    problems.finish()?;
    let mut tx = system_tx(&state.pool).await?;
    let open = lock(&mut tx, state, actor, id, None).await?;
    unchanged(&open.row.sealed.version.to_string())?;
    if !open.row.sealed.cancelled {
        return Err(ApiError::conflict(
            "not_cancelled",
            "这份档案没有注销，不用恢复",
        ));
    }
    let mut fields = restored();
    fields.insert(NOTE.to_owned(), note.into());
    let applied = put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![open.put(fields)],
    )
    .await?;
    finish(
        state,
        actor,
        tx,
        applied,
        id,
        Action::RestoreRecord,
        json!({}),
    )
    .await
}
