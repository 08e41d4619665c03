//! Lists of residents, houses and residences: by what is typed, area, facets, state and date of the last verification.

use doorstep_core::ids::{AreaCode, AreaLevel};
use doorstep_core::records::{FieldKind, Sensitivity, SetOf, split_key};
use doorstep_core::rights::Permission;
use serde_json::json;
use uuid::Uuid;

use super::find;
use super::model::{RecordPage, RecordQuery, RecordRow};
use super::store::{self, Filter};
use super::view::{self, Open};
use crate::database::Tx;
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiResult, Problems};
use crate::http::{PageParams, area_in};
use crate::register;
use crate::state::AppState;

/// The most that are counted.
const MOST_COUNTED: i64 = 10_001;

/// Records of a type that fit, in the order of ids.
pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    record_type: &'static str,
    query: RecordQuery,
) -> ApiResult<RecordPage> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor.clone(),
    };
    let mut filter = filter(state, actor, record_type, &query)?;
    filter.after = paging.after()?;
    filter.rows = paging.rows();
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    filter.ids = find::typed(
        state,
        actor,
        &mut tx,
        record_type,
        query.text.as_deref(),
        filter.areas.as_deref(),
    )
    .await?;
    let total = if query.count == Some(true) {
        Some(count(state, &mut tx, &filter).await?)
    } else {
        None
    };
    let rows = store::list(&mut tx, &filter).await?;
    let page = paging.page(rows, |row: &RecordRow| row.sealed.id, |row| row)?;
    actor
        .trail
        .note_detail(json!({ "found": page.items.len() }));
    let items = views(state, tx, record_type, page.items).await?;
    Ok(RecordPage {
        items,
        next: page.next,
        total,
    })
}

/// How many fit, at most one more than are counted.
async fn count(state: &AppState, tx: &mut Tx, filter: &Filter) -> ApiResult<i64> {
    let now = state.clock.now();
    if state.long_lists.knows(filter, now) {
        return Ok(MOST_COUNTED);
    }
    let total = store::count(tx, filter, MOST_COUNTED).await?;
    if total == MOST_COUNTED {
        state.long_lists.note(filter, now);
    }
    Ok(total)
}

/// Rows as callers see them, residents with their residences.
pub(super) async fn views(
    state: &AppState,
    mut tx: Tx,
    record_type: &str,
    rows: Vec<RecordRow>,
) -> ApiResult<Vec<super::model::RecordView>> {
    let mut ties = std::collections::BTreeMap::new();
    if record_type == "resident" {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.sealed.id).collect();
        let rows = store::ties(&mut tx, &ids, false).await?;
        ties = view::ties_by_resident(state, rows).await?;
    }
    drop(tx);
    let open = Open::all(state, rows).await?;
    open.iter()
        .map(|open| open.view(ties.remove(&open.row.sealed.id).unwrap_or_default()))
        .collect()
}

/// The conditions of a query, all wrong ones named at once.
fn filter(
    state: &AppState,
    actor: &Actor,
    record_type: &'static str,
    query: &RecordQuery,
) -> ApiResult<Filter> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    let cancelled = match query.cancelled.as_deref() {
        None | Some("false") => Some(false),
        Some("true") => Some(true),
        Some("any") => None,
        Some(_) => {
            problems.add("cancelled", "choice", "请填 true、false 或 any");
            None
        }
    };
    let narrowed = narrowed(&mut problems, record_type, query.facets.as_deref());
    problems.finish()?;
    let tokens: Vec<i64> = narrowed
        .tokens
        .iter()
        .map(|token| state.keys.blind(token))
        .collect();
    Ok(Filter {
        record_type,
        areas: areas(actor, area)?,
        tokens: (!tokens.is_empty()).then_some(tokens),
        cancelled,
        facets: (!narrowed.facets.is_empty()).then(|| narrowed.facets.into()),
        lacking: (!narrowed.lacking.is_empty()).then_some(narrowed.lacking),
        unverified_since: query.unverified_since,
        ..Filter::default()
    })
}

/// The areas that a list is confined to: the one asked for, else those of the actor; `None` for a whole city, where
/// the wall alone confines.
pub(super) fn areas(actor: &Actor, area: Option<AreaCode>) -> ApiResult<Option<Vec<String>>> {
    let area = actor.area_asked(Permission::ReadRegister, area)?;
    let own = actor.areas(Permission::ReadRegister);
    let areas = area.map_or(own, |area| vec![area]);
    let city = areas.iter().any(|area| area.level() == AreaLevel::City);
    Ok((!city).then(|| areas.iter().map(ToString::to_string).collect()))
}

#[derive(Debug, Default)]
struct Narrowed {
    facets: serde_json::Map<String, serde_json::Value>,
    tokens: Vec<String>,
    /// Fields that must not be filled in.
    lacking: Vec<String>,
}

/// Conditions on fields: open ones by their values in clear, others by blind tokens.
fn narrowed(problems: &mut Problems, record_type: &str, text: Option<&str>) -> Narrowed {
    let mut narrowed = Narrowed::default();
    let Ok(declared) = view::declared(record_type) else {
        return narrowed;
    };
    for part in text
        .unwrap_or_default()
        .split(',')
        .filter(|part| !part.trim().is_empty())
    {
        let (key, value) = part.trim().split_once(':').unwrap_or((part.trim(), "true"));
        let field = declared.field(key).or_else(|| declared.named(key));
        let Some(field) = field else {
            problems.add(
                "facets",
                "unknown_field",
                format!("没有“{}”这个筛选项目", super::service::short(key)),
            );
            continue;
        };
        if field.sensitivity != Sensitivity::Open {
            match register::filter_token(split_key(key).0, split_key(key).1.unwrap_or(value)) {
                Some(token) => narrowed.tokens.push(token),
                None => problems.add(
                    "facets",
                    "not_a_filter",
                    format!("不能按「{}」筛选", field.label),
                ),
            }
            continue;
        }
        if value.is_empty() {
            narrowed.lacking.push(key.to_owned());
            continue;
        }
        let value = match (&field.kind, value) {
            (FieldKind::Boolean, yes) => (yes == "true").into(),
            (FieldKind::Set(SetOf::Table(_) | SetOf::Free), element) if !key.contains('/') => {
                narrowed
                    .facets
                    .insert(format!("{key}/{element}"), true.into());
                continue;
            }
            (FieldKind::Set(_), _) => true.into(),
            (FieldKind::Integer | FieldKind::DateTime, number) => match number.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => {
                    problems.add("facets", "integer", format!("「{}」应为整数", field.label));
                    continue;
                }
            },
            (_, text) => text.into(),
        };
        narrowed.facets.insert(key.to_owned(), value);
    }
    narrowed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn facets_are_read_by_what_the_declaration_says_of_a_field() {
        let mut problems = Problems::default();
        let house = narrowed(
            &mut problems,
            "house",
            Some("house_use:4, rooms:3,tags:group_rental,managed:claimed"),
        );
        assert_eq!(
            serde_json::Value::from(house.facets),
            json!({ "house_use": "4", "rooms": 3, "tags/group_rental": true, "managed": "claimed" })
        );
        let resident = narrowed(
            &mut problems,
            "resident",
            Some("population_kind:02,tags:elderly,tags/x,away"),
        );
        assert!(resident.facets.is_empty());
        assert_eq!(
            resident.tokens,
            [
                "f:population_kind=02",
                "f:tags=elderly",
                "f:tags=x",
                "f:away=true"
            ]
        );
        assert!(problems.is_empty());
    }

    #[test]
    fn what_no_list_is_narrowed_by_is_refused_by_name() {
        let mut problems = Problems::default();
        narrowed(&mut problems, "resident", Some("sex:1,nickname:x"));
        narrowed(&mut problems, "house", Some("rooms:many"));
        let codes: Vec<String> = problems
            .finish()
            .unwrap_err()
            .fields
            .into_iter()
            .map(|field| field.code)
            .collect();
        assert_eq!(codes, ["not_a_filter", "unknown_field", "integer"]);
    }
}
