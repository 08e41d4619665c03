//! Checks of the reader's areas.

use std::collections::BTreeSet;

use doorstep_core::ids::UserId;
use doorstep_core::rights::Permission;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{CheckQuery, CheckRow, CheckView, Kind};
use super::store::{self, Filter};
use crate::database::{below, system_tx};
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, PageParams, area_in};
use crate::state::AppState;

const STATUSES: [&str; 5] = ["open", "confirmed", "denied", "returned", "closed"];

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: CheckQuery,
) -> ApiResult<Page<CheckView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor.clone(),
    };
    let filter = filter(state, actor, query, &paging)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::list(&mut tx, &filter).await?;
    drop(tx);
    let page = paging.page(rows, |row| (row.due_at, row.id), |row| row)?;
    Ok(Page {
        items: views(state, page.items).await?,
        next: page.next,
    })
}

pub(super) async fn show(state: &AppState, actor: &Actor, id: Uuid) -> ApiResult<CheckView> {
    let mut tx = system_tx(&state.pool).await?;
    let row = find(&mut tx, actor, id).await?;
    drop(tx);
    let mut views = views(state, vec![row]).await?;
    views.pop().ok_or_else(not_found)
}

/// A check that the actor may see; else 'not found'.
pub(super) async fn find(tx: &mut PgConnection, actor: &Actor, id: Uuid) -> ApiResult<CheckRow> {
    actor.trail.note_subject("check", id);
    let row = store::find(tx, id).await?.ok_or_else(not_found)?;
    let area = row.area()?;
    if actor.why(Permission::ReadRegister, &area).is_none() {
        return Err(not_found());
    }
    actor.trail.note_area(area);
    Ok(row)
}

fn not_found() -> ApiError {
    ApiError::not_found("这项核查")
}

fn filter(
    state: &AppState,
    actor: &Actor,
    query: CheckQuery,
    paging: &PageParams,
) -> ApiResult<Filter> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    let kind = query.kind.as_deref().map(Kind::from_code);
    problems.require(
        kind != Some(None),
        "kind",
        "unknown_kind",
        "没有这种核查，请从列表中选择",
    );
    let status = query.status.unwrap_or_else(|| "open".to_owned());
    problems.require(
        status == "any" || STATUSES.contains(&status.as_str()),
        "status",
        "unknown_status",
        "状态只能是 open、confirmed、denied、returned、closed 或 any",
    );
    problems.finish()?;
    let area = actor.area_asked(Permission::ReadRegister, area)?;
    Ok(Filter {
        area_pattern: area.map(below),
        resident: query.resident,
        kind: kind.flatten().map(Kind::code),
        status: (status != "any").then_some(status),
        due_before: query.overdue.then(|| state.clock.now()),
        after: paging.after()?,
        rows: paging.rows(),
    })
}

async fn views(state: &AppState, rows: Vec<CheckRow>) -> ApiResult<Vec<CheckView>> {
    let users: BTreeSet<UserId> = rows
        .iter()
        .filter_map(|row| row.answered_by.map(UserId))
        .collect();
    let names = users::service::names(state, &users.into_iter().collect::<Vec<_>>()).await?;
    let now = state.clock.now();
    let view = |row: CheckRow| {
        let kind = row.kind()?;
        Ok(CheckView {
            id: row.id,
            kind_label: kind.label(),
            question: kind.question(),
            resident: row.resident,
            residence: row.residence,
            conflict: row.conflict_id,
            other: row.other,
            overdue: row.ended_at.unwrap_or(now) > row.due_at,
            opened_at: row.opened_at,
            due_at: row.due_at,
            escalated_at: row.escalated_at,
            ended_at: row.ended_at,
            answered_by: row.answered_by,
            answered_by_name: row
                .answered_by
                .and_then(|user| names.get(&UserId(user)).cloned()),
            kind: row.kind,
            area: row.area_code,
            status: row.status,
        })
    };
    rows.into_iter().map(view).collect()
}
