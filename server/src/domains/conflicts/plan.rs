//! What a decision comes to: changes to make, people to tell, other items it closes. And the decisions about one
//! record: one value, another value, nothing, what was refused.

use std::collections::BTreeMap;

use doorstep_core::envelope::Item;
use doorstep_core::ids::{RecordId, UserId};
use doorstep_core::records::{self, Mode, RecordType, Severity, read};
use doorstep_core::value::{Fields, Value};
use sqlx::types::Uuid;

use super::case::{Case, Refused};
use crate::domains::auth::Actor;
use crate::domains::registry::service::restored;
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::register::{Prepared, Put, Submission, Submitter};
use crate::state::AppState;

/// What a decision comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Values to put, in order.
    pub(super) puts: Vec<Put>,
    /// By whose rights the puts are judged, where that is not the server's: the decider's, of what was refused to others.
    pub(super) judged_as: Option<Submitter>,
    /// Events to take, each as its maker's.
    pub(super) events: Vec<Submission>,
    /// The record that becomes an alias, and of which.
    pub(super) merge: Option<(RecordId, RecordId)>,
    /// Records that the puts make.
    pub(super) created: Vec<RecordId>,
    /// Other items that this decision answers.
    pub(super) close: Vec<Uuid>,
    /// The item ends without a decision.
    pub(super) dismissed: bool,
    /// Who is told what. No text names a person or a value.
    pub(super) told: BTreeMap<UserId, String>,
    /// More about the decision, for the record: numbers and ids, no personal data.
    pub(super) detail: serde_json::Map<String, serde_json::Value>,
}

impl Plan {
    /// Puts values on a record.
    pub(super) fn put(&mut self, record: RecordId, record_type: &str, fields: Fields) {
        if !fields.is_empty() {
            let record_type = record_type.to_owned();
            self.puts.push(Put {
                record,
                record_type,
                fields,
            });
        }
    }

    /// What goes to the register, for the decider.
    pub(super) fn submissions(&self, state: &AppState, by: UserId) -> Vec<Submission> {
        let judged_as = self.judged_as.clone();
        let who = judged_as.unwrap_or_else(|| Submitter::server(state, by));
        let own = Submission::puts(who, self.puts.iter().cloned());
        std::iter::once(own)
            .chain(self.events.iter().cloned())
            .collect()
    }
}

/// One of the values in dispute.
pub(super) fn take(case: &Case, choice: usize) -> ApiResult<Plan> {
    let chosen = case.body.values.get(choice).ok_or_else(|| {
        ApiError::field(
            "choice",
            "unknown_choice",
            "没有这个选项，请从列出的几个值中选择",
        )
    })?;
    let record = case.require_record()?;
    let mut plan = Plan::default();
    plan.detail.insert("choice".into(), choice.into());
    let lives_on =
        case.row.kind == "update_cancelled" && chosen.value.as_text() != Some("cancelled");
    let fields = if lives_on {
        restored()
    } else {
        Fields::from([(case.row.subject.clone(), chosen.value.clone())])
    };
    plan.put(record.id, &record.record_type, fields);
    let name = subject_label(case);
    for user in case.makers() {
        let own = case
            .body
            .values
            .iter()
            .any(|value| value.user == Some(user) && value.value == chosen.value);
        let text = match (case.row.kind.as_str(), own, lives_on) {
            ("update_cancelled", _, true) => {
                "主管已裁决：这份档案不注销，继续有效，请更新后再走访。".to_owned()
            }
            ("update_cancelled", _, false) => {
                "主管已裁决：这份档案按注销处理，之后不必再修改。".to_owned()
            }
            (_, true, _) => format!("「{name}」的冲突已由主管裁决：采用了您填写的内容。"),
            (_, false, _) => format!("「{name}」的冲突已由主管裁决：采用了另一方填写的内容。"),
        };
        plan.told.insert(user, text);
    }
    Ok(plan)
}

/// Another value than those in dispute.
pub(super) fn value(case: &Case, value: &Value) -> ApiResult<Plan> {
    let record = case.require_record()?;
    let declared = declared(&record.record_type)?;
    let key = case.row.subject.as_str();
    let mut whole = record.registers.fields();
    let put = normalised(declared, &whole, key, value)?;
    whole.retain(|key, _| !key.starts_with('_'));
    match &put {
        Value::Null => whole.remove(key),
        put => whole.insert(key.to_owned(), put.clone()),
    };
    let mut problems = Problems::default();
    for problem in records::validate(declared, &whole, Mode::Whole) {
        if problem.path == key && problem.severity == Severity::Error {
            problems.add("value", &problem.code, problem.message);
        }
    }
    problems.finish()?;
    let mut plan = Plan::default();
    plan.put(
        record.id,
        &record.record_type,
        Fields::from([(key.to_owned(), put)]),
    );
    let text = format!(
        "「{}」的冲突已由主管裁决：核实后填写了新的内容，请更新后查看。",
        subject_label(case)
    );
    plan.told = case
        .makers()
        .into_iter()
        .map(|user| (user, text.clone()))
        .collect();
    Ok(plan)
}

/// A value as a person writes it, in the field's normal form.
pub(super) fn normalised(
    declared: &RecordType,
    whole: &Fields,
    key: &str,
    value: &Value,
) -> ApiResult<Value> {
    let (Some(field), Some(text)) = (declared.field(key), value.as_text()) else {
        return Ok(value.clone());
    };
    if field.is_many() {
        return Ok(value.clone());
    }
    let kind = field
        .kind_field
        .as_ref()
        .and_then(|kind| whole.get(kind))
        .and_then(Value::as_text);
    let read = read::read(field, text, kind)
        .map_err(|unreadable| ApiError::field(key, unreadable.code, unreadable.message))?;
    Ok(read.into_values().next().unwrap_or(Value::Null))
}

/// There is nothing to decide.
pub(super) fn dismiss(case: &Case) -> Plan {
    let text = match case.row.kind.as_str() {
        "duplicate_person" => "主管核对后认定：两份档案是两个人，各自保留。".to_owned(),
        kind => format!(
            "主管已核对您的「{}」，不需要改动。",
            super::list::kind_label(kind)
        ),
    };
    Plan {
        dismissed: true,
        told: case
            .makers()
            .into_iter()
            .map(|user| (user, text.clone()))
            .collect(),
        ..Plan::default()
    }
}

/// What was refused is right after all: the same values are put, and the events taken, as far as the decider could
/// have written them there.
///
/// # Errors
/// `own_refused_item`, `unknown_items`, `unreadable_item`, `record_missing`.
pub(super) fn accept(
    case: &Case,
    state: &AppState,
    actor: &Actor,
    only: Option<&[Uuid]>,
) -> ApiResult<Plan> {
    let chosen: Vec<&Refused> = case
        .refused
        .iter()
        .filter(|refused| only.is_none_or(|only| only.contains(&refused.row.id)))
        .collect();
    if chosen.is_empty() || only.is_some_and(|only| only.len() != chosen.len()) {
        return Err(ApiError::field(
            "items",
            "unknown_items",
            "没有找到要采纳的内容，请从列出的内容中选择",
        ));
    }
    if chosen.iter().any(|refused| refused.puts.is_none()) {
        return Err(ApiError::field(
            "items",
            "unreadable_item",
            "有一条内容的数据已损坏，不能采纳，请只选择能读出的内容或不采纳",
        ));
    }
    if chosen
        .iter()
        .any(|refused| UserId(refused.row.user_id) == actor.user)
    {
        return Err(ApiError::new(
            Kind::Forbidden,
            "own_refused_item",
            "这里有您自己提交的内容，不能由您自己采纳，请转给其他主管裁决",
        ));
    }
    let decider = Submitter::user(state, actor);
    let mut plan = Plan {
        judged_as: Some(decider.clone()),
        ..Plan::default()
    };
    plan.detail.insert("items".into(), chosen.len().into());
    let mut fields = Fields::new();
    for refused in &chosen {
        match (&refused.item, &refused.puts) {
            (Item::Change(_), Some(puts)) => fields.extend(puts.clone()),
            (Item::Event(event), _) => plan.events.push(Submission {
                who: Submitter {
                    user: UserId(refused.row.user_id),
                    device: doorstep_core::ids::DeviceId(refused.row.device_id),
                    ..decider.clone()
                },
                envelope: None,
                items: vec![Prepared::Taken(event.clone())],
            }),
            _ => {}
        }
    }
    if !fields.is_empty() {
        put_accepted(case, fields, &mut plan)?;
    }
    for user in case.makers() {
        let taken = chosen.iter().any(|refused| refused.row.user_id == user.0);
        plan.told.insert(user, outcome_text(taken).to_owned());
    }
    Ok(plan)
}

fn put_accepted(case: &Case, mut fields: Fields, plan: &mut Plan) -> ApiResult<()> {
    let record_type = case
        .record_type()
        .ok_or_else(|| ApiError::conflict("record_missing", "看不出这是哪种档案，不能采纳"))?;
    if case.opened().is_some() {
        fields.retain(|key, _| !records::is_reserved(key));
    } else {
        // What was refused may say these too.
        let area = case.row.wrapped.area;
        let mut begun = records::begin(declared(record_type)?, area, Fields::new());
        begun.extend(fields);
        fields = begun;
        plan.created.push(case.record);
    }
    plan.put(case.record, record_type, fields);
    Ok(())
}

/// What was refused stays refused.
pub(super) fn refuse(case: &Case) -> Plan {
    let told = case
        .makers()
        .into_iter()
        .map(|user| (user, outcome_text(false).to_owned()));
    Plan {
        told: told.collect(),
        ..Plan::default()
    }
}

fn outcome_text(taken: bool) -> &'static str {
    if taken {
        "您转给主管的修改已被采纳，并已写入档案。"
    } else {
        "主管核对后没有采纳您的修改；内容仍有留存，如有异议请联系主管。"
    }
}

/// The declaration of a type.
pub(super) fn declared(record_type: &str) -> ApiResult<&'static RecordType> {
    records::record_type(record_type)
        .ok_or_else(|| ApiError::conflict("unknown_type", "这种档案没有登记，不能这样裁决"))
}

fn subject_label(case: &Case) -> String {
    case.record_type()
        .and_then(|record_type| super::values::label(record_type, &case.row.subject))
        .unwrap_or_else(|| super::list::kind_label(&case.row.kind))
}
