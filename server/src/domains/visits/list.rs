//! Visits by area, person, house, collector and period; and those that are due.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaLevel, EventId, RecordId, UserId};
use doorstep_core::mask;
use doorstep_core::records;
use doorstep_core::rights::Permission;
use uuid::Uuid;

use super::model::{DueQuery, DueRow, DueVisit, VisitQuery, VisitRow, VisitView};
use super::place::{self, Surroundings};
use super::store::{self, Filter};
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, PageParams, area_code, period};
use crate::register::{self, Opened};
use crate::state::AppState;

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: VisitQuery,
) -> ApiResult<Page<VisitView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor.clone(),
    };
    let filter = filter(actor, query)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::list(&mut tx, &filter, paging.after()?, paging.rows()).await?;
    let page = paging.page(rows, |row: &VisitRow| (row.happened_at, row.id), |row| row)?;
    let ids: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    let mut events = register::read::event_entries(&mut tx, &state.keys, &ids).await?;
    let subjects: Vec<Uuid> = events
        .values()
        .flat_map(|event| place::subjects(&event.fields))
        .collect();
    let areas: BTreeSet<String> = page.items.iter().map(|row| row.area.clone()).collect();
    let areas: Vec<String> = areas.into_iter().collect();
    let around = Surroundings::of(&mut tx, &subjects, &areas).await?;
    drop(tx);
    let collectors: BTreeSet<UserId> = page.items.iter().map(|row| UserId(row.user_id)).collect();
    let names = users::service::names(state, &collectors.into_iter().collect::<Vec<_>>()).await?;
    let declared = records::record_type("visit")
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("no declaration of visit")))?;
    let view = |row: VisitRow| {
        let event = events.remove(&EventId(row.id))?;
        Some(VisitView {
            id: row.id,
            place: around.place(&row.area, &event.fields),
            area: row.area,
            user: row.user_id,
            user_name: names.get(&UserId(row.user_id)).cloned().unwrap_or_default(),
            device: row.device_id,
            at: row.happened_at,
            accepted_at: row.accepted_at,
            fields: mask::mask_fields(declared, &event.fields),
        })
    };
    Ok(Page {
        items: page.items.into_iter().filter_map(view).collect(),
        next: page.next,
    })
}

/// Those who are due, the longest first.
pub(super) async fn due(
    state: &AppState,
    actor: &Actor,
    query: DueQuery,
) -> ApiResult<Page<DueVisit>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let area = area(actor, query.area.as_deref())?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let by = query.by.unwrap_or(state.clock.today());
    let rows = store::due(&mut tx, area.as_deref(), by, paging.after()?, paging.rows()).await?;
    let page = paging.page(rows, |due: &DueRow| (due.due_on, due.record), |due| due)?;
    let ids: Vec<RecordId> = page.items.iter().map(|due| RecordId(due.record)).collect();
    let records = register::open(&mut tx, &state.keys, &ids).await?;
    drop(tx);
    let users: BTreeSet<UserId> = page.items.iter().map(|due| UserId(due.user)).collect();
    let names = users::service::names(state, &users.into_iter().collect::<Vec<_>>()).await?;
    let view = |due: DueRow| DueVisit {
        title: records
            .get(&RecordId(due.record))
            .map(Opened::masked_title)
            .unwrap_or_default(),
        user_name: names.get(&UserId(due.user)).cloned().unwrap_or_default(),
        record: due.record,
        record_type: due.record_type,
        area: due.area,
        due_on: due.due_on,
        last_visit: due.last_visit,
        last_at: due.last_at,
        user: due.user,
    };
    Ok(Page {
        items: page.items.into_iter().map(view).collect(),
        next: page.next,
    })
}

/// The conditions of a query, all wrong ones named at once.
pub(super) fn filter(actor: &Actor, query: VisitQuery) -> ApiResult<Filter> {
    let area = area(actor, query.area.as_deref())?;
    let mut problems = Problems::default();
    let (from, until) = period(&mut problems, query.from, query.until);
    problems.finish()?;
    if let Some(record) = query.record {
        actor.trail.note_subject("record", record);
    }
    let coded = [
        ("purpose", query.purpose),
        ("mode", query.mode),
        ("result", query.result),
    ];
    let facets: serde_json::Map<String, serde_json::Value> = coded
        .into_iter()
        .filter_map(|(key, code)| Some((key.to_owned(), code?.into())))
        .collect();
    Ok(Filter {
        area,
        record: query.record,
        user: query.user,
        from,
        until,
        facets: (!facets.is_empty()).then(|| facets.into()),
    })
}

/// The beginning of the code of the area asked for; none for a whole city, where the wall alone confines.
fn area(actor: &Actor, text: Option<&str>) -> ApiResult<Option<String>> {
    let area = text.map(area_code).transpose()?;
    let area = actor.area_asked(Permission::ReadRegister, area)?;
    Ok(area
        .filter(|area| area.level() != AreaLevel::City)
        .map(|area| area.prefix().to_owned()))
}
