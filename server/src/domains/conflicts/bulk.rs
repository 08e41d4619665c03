//! Deciding many items of one field by one rule: first a look at what it comes to, then one decision for each, in a
//! transaction of its own, with its own result.

use doorstep_core::address;
use doorstep_core::ids::{AreaCode, ChangeHash, ConflictId, DeviceId};
use doorstep_core::names;
use doorstep_core::records::{self, Field, FieldKind, SearchIndex, read};
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use serde_json::json;
use sqlx::types::Uuid;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::case::{self, Case};
use super::decide::{self, check_note};
use super::decisions::{Action, Decide};
use super::rows::ConflictRow;
use super::rules::{BulkChosen, BulkDecide, BulkDone, BulkItem, BulkRule, BulkTell};
use super::store::{self, Filter};
use super::values::{self, Sight};
use crate::database::{between, system_tx};
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::http::area_in;
use crate::register::{self, Maker};
use crate::state::AppState;

const MOST: u32 = 500;
const UNLESS_TOLD: u32 = 200;
const MOVED: &str = "这一项在预览之后有变动，没有裁决，请重新预览";

/// Says what the rule would decide of the items that fit, or decides those that such a look showed.
pub(super) async fn decide_many(
    state: &AppState,
    actor: &Actor,
    input: BulkDecide,
) -> ApiResult<BulkDone> {
    check_note(input.note.as_deref())?;
    let area = check(actor, &input)?;
    let done = if input.dry_run {
        look(state, actor, &input, &area).await?
    } else {
        carry_out(state, actor, &input, &area).await?
    };
    actor.trail.note_area(area);
    actor.trail.note_no_subject();
    actor
        .trail
        .note_detail(json!({ "rule": rule_code(input.rule), "field": input.field,
        "dry_run": input.dry_run, "items": done.items.len(), "decided": done.decided }));
    Ok(done)
}

async fn look(
    state: &AppState,
    actor: &Actor,
    input: &BulkDecide,
    area: &AreaCode,
) -> ApiResult<BulkDone> {
    let limit = input.limit.unwrap_or(UNLESS_TOLD).clamp(1, MOST);
    let filter = Filter {
        areas: between(&[*area]),
        kind: Some("field"),
        status: Some("open"),
        field: Some(input.field.clone()),
        rows: i64::from(limit) + 1,
        ..Filter::default()
    };
    let mut tx = scoped_tx(&state.pool, actor, Permission::DecideConflicts).await?;
    let mut rows = store::list(&mut tx, &filter).await?;
    drop(tx);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let mut item = weigh(state, input, row).await?;
        decide_one(state, actor, input, &mut item).await;
        items.push(item);
    }
    Ok(sum(true, items, more))
}

/// Decides what the look showed, each as it was then.
async fn carry_out(
    state: &AppState,
    actor: &Actor,
    input: &BulkDecide,
    area: &AreaCode,
) -> ApiResult<BulkDone> {
    let chosen = input.items.as_deref().unwrap_or_default();
    let mut items = Vec::with_capacity(chosen.len());
    for one in chosen {
        let mut tx = system_tx(&state.pool).await?;
        let found = case::find_to_decide(&mut tx, actor, ConflictId(one.id)).await;
        drop(tx);
        let mut item = match found {
            Ok(row) => {
                let fits = row.field() == Some(input.field.as_str())
                    && row.kind == "field"
                    && area.contains(&row.area());
                let item = weigh(state, input, row).await?;
                if fits && item.version == one.version && item.choice == Some(one.choice) {
                    item
                } else {
                    moved(item)
                }
            }
            Err(error) => BulkItem {
                result: error.code.to_owned(),
                message: Some(error.message),
                ..unknown(one)
            },
        };
        decide_one(state, actor, input, &mut item).await;
        items.push(item);
    }
    Ok(sum(false, items, false))
}

fn unknown(one: &BulkChosen) -> BulkItem {
    BulkItem {
        id: one.id,
        version: one.version,
        title: String::new(),
        result: "no_match".to_owned(),
        message: None,
        choice: None,
        value: None,
        tells: Vec::new(),
    }
}

/// An item that is not what the look showed: left as it is.
fn moved(item: BulkItem) -> BulkItem {
    BulkItem {
        result: "stale".to_owned(),
        message: Some(MOVED.to_owned()),
        choice: None,
        value: None,
        ..item
    }
}

fn sum(dry_run: bool, items: Vec<BulkItem>, more: bool) -> BulkDone {
    let mut told: BTreeMap<Uuid, BulkTell> = BTreeMap::new();
    for tell in items.iter().flat_map(|item| &item.tells) {
        let to = told.entry(tell.user).or_insert_with(|| BulkTell {
            user: tell.user,
            user_name: tell.user_name.clone(),
            items: 0,
        });
        to.items += 1;
    }
    let mut tells: Vec<BulkTell> = told.into_values().collect();
    tells.sort_by_key(|tell| Reverse(tell.items));
    let decided = items
        .iter()
        .filter(|item| matches!(item.result.as_str(), "decided" | "would_decide"));
    BulkDone {
        dry_run,
        decided: decided.count(),
        items,
        tells,
        more,
    }
}

fn rule_code(rule: BulkRule) -> &'static str {
    match rule {
        BulkRule::Newest => "newest",
        BulkRule::Device { .. } => "device",
        BulkRule::EqualNormalised => "equal_normalised",
    }
}

fn check(actor: &Actor, input: &BulkDecide) -> ApiResult<AreaCode> {
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
    let chosen = input.items.as_ref().map_or(0, Vec::len);
    problems.require(
        input.dry_run || chosen > 0,
        "items",
        "preview_first",
        "请先预览，再按预览的结果执行",
    );
    problems.require(
        chosen <= MOST as usize,
        "items",
        "too_many",
        "一次最多裁决 500 项，请分几次执行",
    );
    problems.finish()?;
    let area = area.ok_or_else(|| ApiError::field("area", "required", "请选择区划"))?;
    actor.require_some(Permission::DecideConflicts, &area)?;
    actor.trail.note_area(area);
    Ok(area)
}

/// What the rule says of an item.
async fn weigh(state: &AppState, input: &BulkDecide, row: ConflictRow) -> ApiResult<BulkItem> {
    let (id, version) = (row.id, row.version);
    let mut tx = system_tx(&state.pool).await?;
    let case = Case::open(&mut tx, state, row).await?;
    let hashes: Vec<ChangeHash> = case.body.values.iter().map(|value| value.change).collect();
    let makers = register::makers(&mut tx, case.record, &hashes).await?;
    drop(tx);
    let record_type = case.record_type().unwrap_or_default();
    let field = records::record_type(record_type).and_then(|declared| declared.field(&input.field));
    let choice = choose(input.rule, &case, field, &makers);
    Ok(BulkItem {
        id,
        version,
        title: case
            .opened()
            .map(|record| values::title(record, Sight::Masked))
            .unwrap_or_default(),
        result: "no_match".to_owned(),
        message: choice
            .is_none()
            .then(|| "这条规则不适用于这一项，请逐项裁决".to_owned()),
        choice,
        value: choice
            .and_then(|choice| case.body.values.get(choice))
            .map(|value| values::shown(field, &value.value, Sight::Personal)),
        tells: Vec::new(),
    })
}

/// Decides an item by the value that it was weighed to, if to any; or tries whether that could be: the look is the
/// decision itself.
async fn decide_one(state: &AppState, actor: &Actor, input: &BulkDecide, item: &mut BulkItem) {
    let Some(choice) = item.choice else { return };
    let decision = Decide {
        action: Action::Take { choice },
        note: input.note.clone(),
        dry_run: input.dry_run,
    };
    let version = item.version.to_string();
    let unchanged = |now: &str| {
        if now == version {
            return Ok(());
        }
        Err(ApiError::new(Kind::Stale, "stale", MOVED))
    };
    match decide::decide(state, actor, ConflictId(item.id), decision, unchanged).await {
        Ok(decided) => {
            let result = if input.dry_run {
                "would_decide"
            } else {
                "decided"
            };
            item.result = result.to_owned();
            item.tells = decided.tells;
        }
        Err(error) => {
            item.result = error.code.to_owned();
            item.message = Some(error.message);
        }
    }
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
            .filter_map(|(at, value)| Some((makers.get(&value.change)?.ord, at)))
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
