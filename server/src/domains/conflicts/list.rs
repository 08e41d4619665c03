//! The queue: a page of items with counts by kind, within the reader's areas.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use doorstep_core::accept::ConflictKind;
use doorstep_core::ids::{RecordId, UserId};
use doorstep_core::rights::Permission;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::model::{ConflictList, ConflictQuery, ConflictView, KindCount};
use super::rows::ConflictRow;
use super::store::{self, Filter};
use super::values::{self, Sight};
use crate::database::{between, system_tx};
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiResult, Problems};
use crate::http::{PageParams, area_in};
use crate::register::{self, Opened};
use crate::state::AppState;

/// A page of the queue.
pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: ConflictQuery,
) -> ApiResult<ConflictList> {
    let now = state.clock.now();
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor.clone(),
    };
    let filter = filter(actor, query, &paging, now)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadConflicts).await?;
    let rows = store::list(&mut tx, &filter).await?;
    let counts = store::counts(&mut tx, &filter, now).await?;
    drop(tx);
    let page = paging.page(rows, |row| (row.due_at, row.id), |row| row)?;
    let mut tx = system_tx(&state.pool).await?;
    let items = views(state, &mut tx, &page.items).await?;
    Ok(ConflictList {
        items,
        next: page.next,
        counts: by_kind(&counts),
    })
}

fn by_kind(counts: &[(String, i64, i64)]) -> Vec<KindCount> {
    let count = |kind: &ConflictKind| {
        let found = counts.iter().find(|(code, _, _)| code == kind.code());
        KindCount {
            kind: kind.code(),
            label: kind.label(),
            count: found.map_or(0, |found| found.1),
            overdue: found.map_or(0, |found| found.2),
        }
    };
    ConflictKind::ALL.iter().map(count).collect()
}

fn filter(
    actor: &Actor,
    query: ConflictQuery,
    paging: &PageParams,
    now: DateTime<Utc>,
) -> ApiResult<Filter> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    let kind = query.kind.as_deref().and_then(|code| {
        let kind = kind(code);
        problems.require(
            kind.is_some(),
            "kind",
            "unknown_kind",
            "没有这种待裁决事项，请从列表中选择",
        );
        kind
    });
    let status = match query.status.as_deref() {
        None | Some("open") => Some("open"),
        Some("decided") => Some("decided"),
        Some("dismissed") => Some("dismissed"),
        Some("any") => None,
        Some(_) => {
            problems.add(
                "status",
                "unknown_status",
                "状态只能是 open、decided、dismissed 或 any",
            );
            None
        }
    };
    let assignee = match query.assignee.as_deref() {
        None | Some("none") => None,
        Some("me") => Some(actor.user.0),
        Some(text) => {
            let id = text.parse().ok();
            problems.require(
                id.is_some(),
                "assignee",
                "assignee_form",
                "经办人应为用户编号、me 或 none",
            );
            id
        }
    };
    problems.finish()?;
    let area = actor.area_asked(Permission::ReadConflicts, area)?;
    let days =
        |days: u32| Duration::try_days(i64::from(days)).and_then(|age| now.checked_sub_signed(age));
    Ok(Filter {
        areas: between(
            &area.map_or_else(|| actor.areas(Permission::ReadConflicts), |area| vec![area]),
        ),
        kind,
        status,
        assignee,
        unassigned: query.assignee.as_deref() == Some("none"),
        field: query.field,
        record: query.record,
        due_before: query.overdue.unwrap_or(false).then_some(now),
        opened_before: query.older_than_days.and_then(days),
        after: paging.after()?,
        rows: paging.rows(),
    })
}

/// The kind of a code.
pub(super) fn kind(code: &str) -> Option<&'static str> {
    ConflictKind::ALL
        .iter()
        .map(|kind| kind.code())
        .find(|known| *known == code)
}

/// The label of a kind's code.
pub(super) fn kind_label(code: &str) -> String {
    let kind = ConflictKind::ALL.iter().find(|kind| kind.code() == code);
    kind.map_or_else(|| code.to_owned(), |kind| kind.label().to_owned())
}

/// Items as lists show them; in a system transaction. The caller has checked that the reader may see them.
pub(super) async fn views(
    state: &AppState,
    tx: &mut PgConnection,
    rows: &[ConflictRow],
) -> ApiResult<Vec<ConflictView>> {
    let ids: Vec<RecordId> = rows.iter().map(ConflictRow::record).collect();
    let records = register::open(tx, &state.keys, &ids).await?;
    let assignees: Vec<UserId> = rows
        .iter()
        .filter_map(|row| row.assignee.map(UserId))
        .collect();
    let names: BTreeMap<Uuid, String> = if assignees.is_empty() {
        BTreeMap::new()
    } else {
        let names = users::service::names_within(tx, state, &assignees).await?;
        names.into_iter().map(|(id, name)| (id.0, name)).collect()
    };
    let now = state.clock.now();
    rows.iter()
        .map(|row| view(row, records.get(&row.record()), &names, now))
        .collect()
}

fn view(
    row: &ConflictRow,
    record: Option<&Opened>,
    names: &BTreeMap<Uuid, String>,
    now: DateTime<Utc>,
) -> ApiResult<ConflictView> {
    let field_label = row
        .field()
        .zip(record)
        .and_then(|(field, record)| values::label(&record.record_type, field));
    Ok(ConflictView {
        id: row.id,
        kind: row.kind.clone(),
        kind_label: kind_label(&row.kind),
        area: row.area(),
        record: row.record_id,
        record_type: record.map(|record| record.record_type.clone()),
        title: record.map_or_else(
            || "尚未入库的新档案".to_owned(),
            |record| values::title(record, Sight::Masked),
        ),
        field: row.field().map(str::to_owned),
        field_label,
        status: row.status.clone(),
        assignee: row.assignee,
        assignee_name: row.assignee.and_then(|id| names.get(&id).cloned()),
        opened_at: row.opened_at,
        due_at: row.due_at,
        overdue: row.status == "open" && row.due_at < now,
        version: row.version,
    })
}
