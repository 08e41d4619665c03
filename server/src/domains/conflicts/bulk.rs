//! Deciding many items of one field by one rule: first a look at what it comes to, then one decision for each, in a
//! transaction of its own, with its own result.

use doorstep_core::address;
use doorstep_core::ids::{ChangeHash, ConflictId, DeviceId};
use doorstep_core::names;
use doorstep_core::records::{self, Field, FieldKind, SearchIndex, read};
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use serde_json::json;
use std::collections::BTreeMap;

use super::case::Case;
use super::decide::{self, check_note};
use super::model::{Action, BulkDecide, BulkDone, BulkItem, BulkRule, ConflictRow, Decide};
use super::store::{self, Filter};
use super::values::{self, Sight};
use crate::database::system_tx;
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::http::area_in;
use crate::register::{self, Maker};
use crate::state::AppState;

const MOST: u32 = 500;
const UNLESS_TOLD: u32 = 200;

/// Decides the items that fit by the rule, or says what it would decide.
pub(super) async fn decide_many(
    state: &AppState,
    actor: &Actor,
    input: BulkDecide,
) -> ApiResult<BulkDone> {
    check_note(input.note.as_deref())?;
    let filter = filter(actor, &input)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::DecideConflicts).await?;
    let mut rows = store::list(&mut tx, &filter).await?;
    drop(tx);
    let limit = usize::try_from(filter.rows - 1).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut done = BulkDone {
        dry_run: input.dry_run,
        decided: 0,
        items: Vec::with_capacity(rows.len()),
        more,
    };
    for row in rows {
        let item = one(state, actor, &input, row).await?;
        done.decided += usize::from(matches!(item.result.as_str(), "decided" | "would_decide"));
        done.items.push(item);
    }
    actor
        .trail
        .note_detail(json!({ "rule": rule_code(input.rule), "field": input.field,
        "dry_run": input.dry_run, "items": done.items.len(), "decided": done.decided }));
    Ok(done)
}

fn rule_code(rule: BulkRule) -> &'static str {
    match rule {
        BulkRule::Newest => "newest",
        BulkRule::Device { .. } => "device",
        BulkRule::EqualNormalised => "equal_normalised",
    }
}

fn filter(actor: &Actor, input: &BulkDecide) -> ApiResult<Filter> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, Some(&input.area));
    problems.require(
        input.kind == "field",
        "kind",
        "not_in_bulk",
        "只有“字段冲突”可以按规则批量裁决，其余请逐项裁决",
    );
    let declared = records::all()
        .iter()
        .any(|declared| declared.field(&input.field).is_some());
    problems.require(
        declared,
        "field",
        "unknown_field",
        "没有这个项目，请从列表中选择",
    );
    problems.finish()?;
    if let Some(area) = &area {
        actor.require_some(Permission::DecideConflicts, area)?;
        actor.trail.note_area(*area);
    }
    let limit = input.limit.unwrap_or(UNLESS_TOLD).clamp(1, MOST);
    Ok(Filter {
        area_pattern: area.map(|area| format!("{}%", area.prefix())),
        kind: Some("field"),
        status: Some("open"),
        field: Some(input.field.clone()),
        rows: i64::from(limit) + 1,
        ..Filter::default()
    })
}

async fn one(
    state: &AppState,
    actor: &Actor,
    input: &BulkDecide,
    row: ConflictRow,
) -> ApiResult<BulkItem> {
    let (id, version) = (row.id(), row.version);
    let mut tx = system_tx(&state.pool).await?;
    let case = Case::open(&mut tx, state, row).await?;
    let hashes: Vec<ChangeHash> = case.body.values.iter().map(|value| value.change).collect();
    let makers = register::makers(&mut tx, case.record, &hashes).await?;
    drop(tx);
    let record_type = case.record_type().unwrap_or_default();
    let field = records::record_type(record_type).and_then(|declared| declared.field(&input.field));
    let choice = choose(input.rule, &case, field, &makers);
    let mut item = BulkItem {
        id: id.0,
        title: case
            .opened()
            .map(|record| values::title(record, Sight::Masked))
            .unwrap_or_default(),
        result: "no_match".to_owned(),
        message: None,
        choice,
        value: choice
            .and_then(|choice| case.body.values.get(choice))
            .map(|value| values::shown(field, &value.value, Sight::Personal)),
    };
    let Some(choice) = choice else {
        item.message = Some("这条规则不适用于这一项，请逐项裁决".to_owned());
        return Ok(item);
    };
    if input.dry_run {
        item.result = "would_decide".to_owned();
        return Ok(item);
    }
    match take(state, actor, id, choice, version, input.note.clone()).await {
        Ok(()) => item.result = "decided".to_owned(),
        Err(error) => {
            item.result = error.code.to_owned();
            item.message = Some(error.message);
        }
    }
    Ok(item)
}

async fn take(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
    choice: usize,
    version: i32,
    note: Option<String>,
) -> ApiResult<()> {
    let decision = Decide {
        action: Action::Take { choice },
        note,
        dry_run: false,
    };
    let unchanged = |now: &str| {
        if now == version.to_string() {
            return Ok(());
        }
        Err(ApiError::new(
            Kind::Stale,
            "stale",
            "这一项刚被别人改过，请刷新后再裁决",
        ))
    };
    decide::decide(state, actor, id, decision, unchanged)
        .await
        .map(drop)
}

/// The number of the value that the rule takes.
fn choose(
    rule: BulkRule,
    case: &Case,
    field: Option<&Field>,
    makers: &BTreeMap<ChangeHash, Maker>,
) -> Option<usize> {
    let held = case.body.values.iter().enumerate();
    match rule {
        BulkRule::Newest => held
            .filter_map(|(at, value)| Some((makers.get(&value.change)?.made_at, at)))
            .max()
            .map(|(_, at)| at),
        BulkRule::Device { device } => {
            let own: Vec<(usize, &Value)> = held
                .filter(|(_, value)| {
                    makers
                        .get(&value.change)
                        .is_some_and(|maker| maker.device == DeviceId(device))
                })
                .map(|(at, value)| (at, &value.value))
                .collect();
            let (first, value) = own.first()?;
            own.iter()
                .all(|(_, other)| other == value)
                .then_some(*first)
        }
        BulkRule::EqualNormalised => {
            let forms: Vec<String> = case
                .body
                .values
                .iter()
                .map(|value| normal_form(field, &value.value))
                .collect();
            let equal = forms.windows(2).all(|pair| pair[0] == pair[1]);
            (equal && !forms.is_empty()).then_some(0)
        }
    }
}

/// A value with what makes no difference taken off: width, blanks, ways of writing one address or number.
fn normal_form(field: Option<&Field>, value: &Value) -> String {
    let Some(text) = value.as_text() else {
        return serde_json::to_string(value).unwrap_or_default();
    };
    let Some(field) = field else {
        return text.to_owned();
    };
    match field.kind {
        FieldKind::Address => address::parse(text).key(),
        FieldKind::Text if field.search == Some(SearchIndex::Name) => names::fold(text),
        _ => match read::read(field, text, None) {
            Ok(values) => values
                .into_values()
                .next()
                .and_then(|value| value.as_text().map(str::to_owned))
                .unwrap_or_default(),
            Err(_) => text.trim().to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn ways_of_writing_one_thing_have_one_form() {
        let resident = records::record_type("resident").unwrap();
        let form = |key: &str, text: &str| normal_form(resident.field(key), &Value::from(text));
        assert_eq!(
            form("register_address", "陕西中路十二弄28号1702室"),
            form("register_address", "陕西中路12弄28号楼1702")
        );
        assert_eq!(
            form("id_number", "３１０１０１１９７００４２７５６２１"),
            form("id_number", "310101197004275621")
        );
        assert_ne!(form("name", "叶海思"), form("name", "叶海斯"));
    }
}
