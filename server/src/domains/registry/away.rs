//! Temporarily away (暂离): set with place and expected return, listed, reminded of on the day of return, ended.

use chrono::NaiveDate;
use doorstep_core::ids::{AreaCode, RecordId, ScopeId};
use doorstep_core::rights::Permission;
use doorstep_core::value::{Fields, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::edit;
use super::model::{RecordRow, RecordView};
use super::store::{self, Filter};
use super::view::{self, Open};
use super::{checks, notify, reminders, search};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, PageParams, area_in};
use crate::register::{self, Submitter};
use crate::state::AppState;

/// Rows read at a time.
const STEP: i64 = 200;

/// Who is away where, and until when.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAway {
    /// Where to.
    pub place: Option<String>,
    /// Code of the table `away_reason`.
    pub reason: Option<String>,
    /// From which day; today unless told.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub from: Option<NaiveDate>,
    /// The day of return, as expected.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub expected_return: Option<NaiveDate>,
}

/// Which away people to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AwayQuery {
    /// In this area and below.
    pub area: Option<String>,
    /// Expected back on this day or before.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub due_by: Option<NaiveDate>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Someone who is away.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AwayView {
    /// The person.
    pub resident: RecordView,
    /// Reason's code.
    pub reason: Option<String>,
    /// Since; masked.
    pub from: Option<String>,
    /// Expected back; masked. Who is due by a day, `due_by` tells.
    pub expected_return: Option<String>,
    /// Whether that day is over.
    pub overdue: bool,
}

/// The day on which a resident who is away is expected back.
pub(super) fn due(open: &Open) -> Option<NaiveDate> {
    let day = open.text("away_expected_return")?.parse().ok()?;
    (open.yes("away") && !open.row.sealed.cancelled).then_some(day)
}

fn away_of(open: &Open, today: NaiveDate) -> ApiResult<AwayView> {
    Ok(AwayView {
        resident: open.view(Vec::new())?,
        reason: open.beside("away_reason"),
        from: open.beside("away_from"),
        expected_return: open.beside("away_expected_return"),
        overdue: due(open).is_some_and(|day| day < today),
    })
}

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: AwayQuery,
) -> ApiResult<Page<AwayView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    problems.finish()?;
    let mut filter = away_filter(state, search::areas(actor, area)?);
    filter.after = paging.after()?;
    filter.rows = STEP;
    let today = state.clock.today();
    let wanted = usize::try_from(paging.rows()).unwrap_or(usize::MAX);
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let mut found = Vec::new();
    // The days are sealed, so they are compared after opening; rows are read until the page is full.
    loop {
        let rows = store::list(&mut tx, &filter).await?;
        let last = rows.len() < usize::try_from(STEP).unwrap_or(usize::MAX);
        filter.after = rows.last().map(|row| row.sealed.id);
        for open in Open::all(state, rows).await? {
            let due_by = |by: NaiveDate| due(&open).is_some_and(|day| day <= by);
            if query.due_by.is_none_or(due_by) {
                found.push(away_of(&open, today)?);
            }
        }
        if last || found.len() >= wanted {
            break;
        }
    }
    found.truncate(wanted);
    paging.page(found, |away| away.resident.id, |away| away)
}

fn away_filter(state: &AppState, areas: Option<Vec<String>>) -> Filter {
    let token = register::filter_token("away", "true").map(|token| state.keys.blind(&token));
    Filter {
        record_type: "resident",
        areas,
        tokens: Some(token.into_iter().collect()),
        cancelled: Some(false),
        ..Filter::default()
    }
}

/// Says that a resident is away.
pub(super) async fn set(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: SetAway,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<RecordView> {
    let text = |text: Option<String>| {
        text.filter(|text| !text.trim().is_empty())
            .map_or(Value::Null, |text| text.trim().into())
    };
    let from = input.from.unwrap_or_else(|| state.clock.today());
    let fields = Fields::from([
        ("away".to_owned(), true.into()),
        ("away_place".to_owned(), text(input.place)),
        ("away_reason".to_owned(), text(input.reason)),
        ("away_from".to_owned(), from.to_string().into()),
        (
            "away_expected_return".to_owned(),
            text(input.expected_return.map(|day| day.to_string())),
        ),
    ]);
    write(state, actor, id, fields, Action::SetAway, unchanged).await
}

/// Says that a resident is back.
pub(super) async fn end(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<RecordView> {
    let mut fields = Fields::from([("away".to_owned(), false.into())]);
    for key in [
        "away_place",
        "away_reason",
        "away_from",
        "away_expected_return",
    ] {
        fields.insert(key.to_owned(), Value::Null);
    }
    write(state, actor, id, fields, Action::EndAway, unchanged).await
}

async fn write(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    fields: Fields,
    action: Action,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<RecordView> {
    let mut tx = system_tx(&state.pool).await?;
    let open = edit::lock(&mut tx, state, actor, id, Some("resident")).await?;
    unchanged(&open.row.sealed.version.to_string())?;
    if action == Action::EndAway && !open.yes("away") {
        return Err(ApiError::conflict("not_away", "此人没有登记暂离"));
    }
    let (errors, _) = checks::problems(
        view::declared("resident")?,
        &open.fields,
        &fields,
        state.clock.today(),
    );
    Problems::from(errors).finish()?;
    let before = open.text("away_expected_return");
    let after = fields.get("away_expected_return").and_then(Value::as_text);
    let same_day = before.is_some() && before == after;
    let mut applied = edit::put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![open.put(fields)],
    )
    .await?;
    if !same_day {
        let withdrawn = reminders::withdraw(&mut tx, state, &[id]).await?;
        applied.told.add(withdrawn);
    }
    edit::finish(state, actor, tx, applied, id, action, json!({})).await
}

/// Reminds the collectors of everyone who is expected back by today and still away, once for each expected day, and
/// withdraws the reminders of who is not. For a job; gives how many were reminded of.
///
/// # Errors
/// When the database fails.
pub async fn remind_returns(state: &AppState) -> ApiResult<usize> {
    let today = state.clock.today();
    reminders::withdraw_over(state, today).await?;
    let mut filter = away_filter(state, None);
    filter.rows = STEP;
    let mut reminded = 0;
    loop {
        let mut tx = system_tx(&state.pool).await?;
        let rows: Vec<RecordRow> = store::list(&mut tx, &filter).await?;
        drop(tx);
        let last = rows.len() < usize::try_from(STEP).unwrap_or(usize::MAX);
        filter.after = rows.last().map(|row| row.sealed.id);
        for open in Open::all(state, rows).await? {
            if let Some(day) = due(&open).filter(|day| *day <= today) {
                reminded += usize::from(remind(state, &open, day).await?);
            }
        }
        if last {
            return Ok(reminded);
        }
    }
}

/// Tells the collectors of a resident's areas, unless they were told of this day.
async fn remind(state: &AppState, open: &Open, day: NaiveDate) -> ApiResult<bool> {
    let record = RecordId(open.row.sealed.id);
    let mut tx = system_tx(&state.pool).await?;
    let mut told = Vec::new();
    for area in open.row.sealed.areas() {
        for user in notify::concerned(&mut tx, state, area).await?.collectors {
            told.push((user, area));
        }
    }
    let key = reminders::key(record);
    let at = state.clock.timestamp();
    let text = "一位暂离居民已到预计返回日期，请上门或电话核实是否返回，并结束或延长暂离登记。";
    let json =
        json!({ "code": "away_return_due", "text": text, "record": record, "due": day, "at": at })
            .to_string();
    let due = json!({ "due": day }).to_string();
    let mut states = Vec::new();
    for (user, _) in &told {
        let scope = ScopeId::User(*user);
        let held = register::read::state_json(&mut tx, scope, &key).await?;
        if !held.is_some_and(|held| held.contains(due.trim_matches(['{', '}']))) {
            states.push((
                scope,
                doorstep_core::protocol::frames::StateEntry {
                    key: key.clone(),
                    json: json.clone(),
                },
            ));
        }
    }
    states.sort_by_key(|(scope, _)| *scope);
    states.dedup_by_key(|(scope, _)| *scope);
    if states.is_empty() {
        return Ok(false);
    }
    let count = states.len();
    let sent = register::append_states(&mut tx, states, state.clock.now()).await?;
    let area: AreaCode = open.row.sealed.area();
    let entry = Entry::by_server(state.clock.now(), Action::RemindReturn)
        .subject("record", record)
        .area(area);
    audit::record(&mut tx, entry.detail(json!({ "told": count }))).await?;
    tx.commit().await?;
    sent.to(&state.hub);
    Ok(true)
}
