//! Creating, changing, cancelling and restoring records on the console: judged by the register like a phone's changes,
//! with the user's own rights, and wholly or not at all.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use doorstep_core::ids::{AreaCode, AreaLevel, RecordId};
use doorstep_core::projection::{AREA_KEY, TYPE_KEY, VERSION_KEY};
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::records::{self, FieldKind, Mode, RecordType, Severity};
use doorstep_core::rights::Permission;
use doorstep_core::value::{Fields, Value};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{
    CancelRecord, CreateRecord, EditRecord, PeopleOfHouse, RecordRow, RecordView, RestoreRecord,
    Written,
};
use super::view::{self, Open};
use super::{file, store};
use crate::database::{Tx, system_tx};
use crate::domains::audit::{self, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, FieldProblem, Problems};
use crate::random;
use crate::register::{self, Applied, Prepared, Submission, Submitter};
use crate::state::AppState;

/// Values to be put into one record.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) record: RecordId,
    pub(super) record_type: String,
    pub(super) fields: Fields,
}

impl Put {
    pub(super) fn of(open: &Open, fields: Fields) -> Self {
        Self {
            record: RecordId(open.row.sealed.id),
            record_type: open.row.sealed.record_type.clone(),
            fields,
        }
    }
}

/// Puts values through the register, in the caller's transaction. What the register refuses is refused whole: on the
/// console the person is there to mend it, so nothing goes to the queue.
pub(super) async fn put(
    tx: &mut PgConnection,
    state: &AppState,
    who: Submitter,
    puts: Vec<Put>,
) -> ApiResult<Applied> {
    let items = puts.into_iter().map(|put| Prepared::Put {
        record: put.record,
        record_type: put.record_type,
        fields: put.fields,
    });
    let submission = Submission {
        who,
        envelope: None,
        items: items.collect(),
    };
    let applied = register::apply(tx, state, vec![submission]).await?;
    for outcome in applied
        .receipts
        .iter()
        .flat_map(|receipt| &receipt.outcomes)
    {
        match outcome {
            Outcome::Accepted | Outcome::Duplicate => {}
            Outcome::Refused(refusal) if refusal.code == "out_of_scope" => {
                return Err(ApiError::forbidden());
            }
            Outcome::Refused(refusal) => {
                let path = refusal.field.as_deref().unwrap_or("fields");
                return Err(ApiError::field(
                    path,
                    &refusal.code,
                    refusal.message.clone(),
                ));
            }
            Outcome::Waiting => {
                return Err(ApiError::internal(anyhow::anyhow!("a put can't wait")));
            }
        }
    }
    Ok(applied)
}

/// A record under its lock that the actor may write; 'not found' where the actor can't even read it.
pub(super) async fn lock(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    record_type: Option<&str>,
) -> ApiResult<Open> {
    actor.trail.note_subject("record", id);
    let rows = store::lock(tx, &[id.0]).await?;
    let row = rows
        .into_iter()
        .find(|row| record_type.is_none_or(|wanted| row.sealed.record_type == wanted));
    let row = row.ok_or_else(|| ApiError::not_found("这份档案"))?;
    let areas = row.sealed.areas()?;
    if !areas
        .iter()
        .any(|area| actor.why(Permission::ReadRegister, area).is_some())
    {
        return Err(ApiError::not_found("这份档案"));
    }
    actor.trail.note_area(row.sealed.area()?);
    if !areas
        .iter()
        .any(|area| actor.why(Permission::WriteRegister, area).is_some())
    {
        return Err(ApiError::forbidden());
    }
    Open::new(state, row).await
}

/// What a write leaves, after its audit entry and the commit.
pub(super) async fn finish(
    state: &AppState,
    actor: &Actor,
    mut tx: Tx,
    mut applied: Applied,
    subject: RecordId,
    action: &str,
    detail: serde_json::Value,
) -> ApiResult<RecordView> {
    // Read before the audit entry, whose lock all writers share.
    let row = store::record(&mut tx, subject.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这份档案"))?;
    let area = row.sealed.area()?;
    let view = file::as_view(state, &mut tx, row).await?;
    let entry = Entry::by(actor, state.clock.now(), action)
        .subject("record", subject)
        .area(area);
    audit::record(&mut tx, entry.detail(detail)).await?;
    tx.commit().await?;
    applied.tell(state);
    Ok(view)
}

/// Creates a record in a village.
pub(super) async fn create(
    state: &AppState,
    actor: &Actor,
    record_type: &'static str,
    input: CreateRecord,
) -> ApiResult<Written> {
    let declared = view::declared(record_type)?;
    let id = match input.id {
        Some(id) => RecordId(id),
        None => random::id(state.clock.timestamp(), RecordId::new)?,
    };
    actor.trail.note_subject("record", id);
    let mut fields = written(declared, input.fields);
    fields
        .entry("status".to_owned())
        .or_insert_with(|| "active".into());
    fields.retain(|_, value| !value.is_null());
    let mut tx = system_tx(&state.pool).await?;
    let refers = references(&mut tx, declared, &fields).await?;
    let area = village(input.area.as_deref(), &refers)?;
    actor.require(Permission::WriteRegister, &area)?;
    actor.trail.note_area(area);
    let (errors, warnings) = problems(declared, &Fields::new(), &fields, today(state));
    let mut errors = errors;
    errors.extend(refers.problems(actor));
    Problems::from(errors).finish()?;
    if store::exists(&mut tx, id.0).await? {
        return Err(ApiError::conflict(
            "already_there",
            "这份档案已经登记过，请刷新后查看",
        ));
    }
    fields.insert(TYPE_KEY.to_owned(), declared.name.as_str().into());
    fields.insert(VERSION_KEY.to_owned(), i64::from(declared.version).into());
    fields.insert(AREA_KEY.to_owned(), area.as_str().into());
    let put_all = vec![Put {
        record: id,
        record_type: declared.name.clone(),
        fields,
    }];
    let applied = put(&mut tx, state, Submitter::user(state, actor), put_all).await?;
    let conflicts_opened = applied.conflicts;
    let detail = json!({ "type": record_type });
    let record = finish(
        state,
        actor,
        tx,
        applied,
        id,
        &format!("create_{record_type}"),
        detail,
    )
    .await?;
    Ok(Written {
        record,
        warnings,
        conflicts_opened,
    })
}

/// Changes a record's fields.
pub(super) async fn update(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: EditRecord,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<Written> {
    let mut tx = system_tx(&state.pool).await?;
    let open = lock(&mut tx, state, actor, id, None).await?;
    unchanged(&open.row.sealed.version.to_string())?;
    let declared = view::declared(&open.row.sealed.record_type)?;
    if let Some(key) = input
        .fields
        .keys()
        .find(|key| ["status", "cancel_reason", "cancelled_on"].contains(&key.as_str()))
    {
        return Err(ApiError::field(
            key,
            "own_operation",
            "注销和恢复请用各自的操作办理",
        ));
    }
    if open.row.sealed.cancelled {
        return Err(ApiError::conflict(
            "cancelled",
            "这份档案已注销，请先恢复再修改",
        ));
    }
    let edits = written(declared, input.fields);
    let refers = references(&mut tx, declared, &edits).await?;
    let (mut errors, warnings) = problems(declared, &open.fields, &edits, today(state));
    errors.extend(refers.problems(actor));
    Problems::from(errors).finish()?;
    let names: BTreeSet<String> = edits
        .keys()
        .map(|key| records::split_key(key).0.to_owned())
        .collect();
    let applied = put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![Put::of(&open, edits)],
    )
    .await?;
    let conflicts_opened = applied.conflicts;
    let detail = json!({ "fields": names, "changed": applied.changes > 0 });
    let record = finish(state, actor, tx, applied, id, "update_record", detail).await?;
    Ok(Written {
        record,
        warnings,
        conflicts_opened,
    })
}

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
    let on = input.on.unwrap_or_else(|| today(state));
    let mut fields = Fields::from([
        ("status".to_owned(), "cancelled".into()),
        ("cancel_reason".to_owned(), input.reason.into()),
        ("cancelled_on".to_owned(), on.to_string().into()),
        (
            "cancel_note".to_owned(),
            input.note.map_or(Value::Null, Value::from),
        ),
    ]);
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
    let (errors, _) = problems(declared, &open.fields, &fields, today(state));
    let mut wrong = Problems::from(errors);
    let reason = fields
        .get("cancel_reason")
        .and_then(Value::as_text)
        .unwrap_or_default();
    let known =
        doorstep_core::codes::table("cancel_reason").is_some_and(|table| table.known(reason));
    wrong.require(known, "reason", "unknown_code", "请从注销原因表中选择");
    wrong.require(
        on <= today(state),
        "on",
        "in_future",
        "注销日期不能晚于今天",
    );
    wrong.finish()?;
    let mut puts = vec![Put::of(&open, fields)];
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
            puts.push(Put::of(&tie, moved));
        }
    }
    let applied = put(&mut tx, state, Submitter::user(state, actor), puts).await?;
    let detail = json!({ "people": people.len(), "evidence": input.evidence.len() });
    finish(state, actor, tx, applied, id, "cancel_record", detail).await
}

/// A residence that ends on a day, since its house is no more.
fn ended(on: NaiveDate) -> Fields {
    Fields::from([
        ("status".to_owned(), "cancelled".into()),
        ("cancel_reason".to_owned(), "83".into()), // 关系终止
        ("cancelled_on".to_owned(), on.to_string().into()),
        ("main".to_owned(), false.into()),
    ])
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
            && row.sealed.area_code == from.area_code
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
    let fields = Fields::from([
        ("status".to_owned(), "active".into()),
        ("cancel_reason".to_owned(), Value::Null),
        ("cancelled_on".to_owned(), Value::Null),
        ("cancel_note".to_owned(), note.into()),
    ]);
    let applied = put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![Put::of(&open, fields)],
    )
    .await?;
    finish(state, actor, tx, applied, id, "restore_record", json!({})).await
}

/// Today in Shanghai.
pub(super) fn today(state: &AppState) -> NaiveDate {
    view::day(state.clock.now())
}

/// Values as they are kept: texts trimmed, numbers in normal form; a blank clears.
fn written(declared: &RecordType, fields: Fields) -> Fields {
    let mut fields: Fields = fields
        .into_iter()
        .filter(|(key, _)| !key.starts_with('_'))
        .map(|(key, value)| match value {
            Value::Text(text) if text.trim().is_empty() => (key, Value::Null),
            value => (key, value),
        })
        .collect();
    records::read::normalise(declared, &mut fields);
    fields
}

/// What an edit makes wrong, or leaves wrong in what it touches; and what should be looked at. Faults that the record
/// had before, in fields that the edit leaves alone, don't stand in its way.
pub(super) fn problems(
    declared: &RecordType,
    before: &Fields,
    edits: &Fields,
    today: NaiveDate,
) -> (Vec<FieldProblem>, Vec<FieldProblem>) {
    let mut after = before.clone();
    after.extend(edits.clone());
    let cleared: Vec<String> = after
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| key.clone())
        .collect();
    let undeclared = cleared.iter().filter(|key| declared.field(key).is_none());
    let mut errors: Vec<FieldProblem> = undeclared
        .map(|key| FieldProblem {
            path: super::service::short(key),
            code: "unknown_field".to_owned(),
            message: "没有这个项目，请检查名称".to_owned(),
        })
        .collect();
    after.retain(|_, value| !value.is_null());
    let check = |fields: &Fields| records::validate_on(declared, fields, Mode::Whole, Some(today));
    let had = if before.is_empty() {
        Vec::new()
    } else {
        check(before)
    };
    let touched = |path: &str| {
        edits
            .keys()
            .any(|key| records::split_key(key).0 == records::split_key(path).0)
    };
    let mut warnings = Vec::new();
    for problem in check(&after) {
        let old = had
            .iter()
            .any(|held| held.path == problem.path && held.code == problem.code);
        if old && !touched(&problem.path) {
            continue;
        }
        let shown = FieldProblem {
            path: problem.path,
            code: problem.code.into_owned(),
            message: problem.message,
        };
        match problem.severity {
            Severity::Error => errors.push(shown),
            Severity::Warning => warnings.push(shown),
        }
    }
    (errors, warnings)
}

/// The records that values refer to.
#[derive(Debug, Default)]
struct References(Vec<Reference>);

#[derive(Debug)]
struct Reference {
    field: String,
    label: String,
    areas: Vec<AreaCode>,
    area: Option<AreaCode>,
    house: bool,
}

async fn references(
    tx: &mut PgConnection,
    declared: &RecordType,
    fields: &Fields,
) -> ApiResult<References> {
    let mut references = References::default();
    for (key, value) in fields {
        let Some(field) = declared.field(key) else {
            continue;
        };
        let FieldKind::Reference(wanted) = &field.kind else {
            continue;
        };
        let Some(id) = value.as_text().and_then(|text| text.parse::<Uuid>().ok()) else {
            continue;
        };
        let row = store::record(tx, id)
            .await?
            .filter(|row| row.sealed.record_type == *wanted && !row.sealed.cancelled);
        references.0.push(Reference {
            field: key.clone(),
            label: field.label.clone(),
            areas: row
                .as_ref()
                .map_or_else(|| Ok(Vec::new()), |row| row.sealed.areas())?,
            area: row.as_ref().map(|row| row.sealed.area()).transpose()?,
            house: wanted == "house",
        });
    }
    Ok(references)
}

impl References {
    /// Those that aren't there, or not for this actor to know.
    fn problems(&self, actor: &Actor) -> Vec<FieldProblem> {
        let visible = |reference: &&Reference| {
            !reference
                .areas
                .iter()
                .any(|area| actor.why(Permission::ReadRegister, area).is_some())
        };
        let problem = |reference: &Reference| FieldProblem {
            path: reference.field.clone(),
            code: "no_such_record".to_owned(),
            message: format!(
                "找不到所选的{}，可能已注销，或不在您的权限范围内",
                reference.label
            ),
        };
        self.0.iter().filter(visible).map(problem).collect()
    }
}

/// The village a new record is made in: the one told, else the house's.
fn village(told: Option<&str>, refers: &References) -> ApiResult<AreaCode> {
    let of_house = refers
        .0
        .iter()
        .find(|reference| reference.house)
        .and_then(|reference| reference.area);
    let area = match told {
        Some(text) => text.parse().ok(),
        None => of_house,
    };
    area.filter(|area: &AreaCode| area.level() == AreaLevel::Village)
        .ok_or_else(|| {
            ApiError::field("area", "village_form", "请选择居村委，区划代码为 12 位数字")
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect()
    }

    fn codes(before: &Fields, edits: &Fields) -> Vec<String> {
        let today = "2026-11-24".parse().unwrap();
        let (errors, _) = problems(view::declared("resident").unwrap(), before, edits, today);
        errors
            .into_iter()
            .map(|problem| format!("{}:{}", problem.path, problem.code))
            .collect()
    }

    #[test]
    fn an_edit_answers_for_what_it_touches_and_not_for_old_faults() {
        // An old record without its required sex, and with a phone that is none.
        let old = fields(&[("name", "张三"), ("phone", "12"), ("population_kind", "01")]);
        assert_eq!(
            codes(&old, &fields(&[("workplace", "某厂")])),
            Vec::<String>::new()
        );
        assert_eq!(codes(&old, &fields(&[("phone", "13")])).len(), 1);
        let cleared = Fields::from([("name".to_owned(), Value::Null)]);
        assert_eq!(codes(&old, &cleared), ["name:required"]);
        let unknown = Fields::from([("nickname".to_owned(), Value::Null)]);
        assert_eq!(codes(&old, &unknown), ["nickname:unknown_field"]);
    }

    #[test]
    fn what_is_written_is_kept_in_normal_form_and_a_blank_clears() {
        let declared = view::declared("resident").unwrap();
        let kept = written(
            declared,
            fields(&[("phone", "138 1234 1234"), ("remark", "  "), ("_area", "x")]),
        );
        assert_eq!(kept.get("phone"), Some(&"13812341234".into()));
        assert_eq!(kept.get("remark"), Some(&Value::Null));
        assert!(!kept.contains_key("_area"));
    }
}
