//! Alarms of the reader's areas.

use doorstep_core::ids::{DeviceId, UserId};
use doorstep_core::records;
use doorstep_core::rights::Permission;

use super::model::{AlarmQuery, AlarmRow, AlarmView, Kind};
use super::store::{self, Filter};
use crate::database::below;
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::{devices, users};
use crate::error::{ApiResult, Problems};
use crate::http::{Page, PageParams, area_in};
use crate::state::AppState;

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: AlarmQuery,
) -> ApiResult<Page<AlarmView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    let kind = query.code.as_deref().map(Kind::from_code);
    problems.require(
        kind != Some(None),
        "code",
        "unknown_kind",
        "没有这种告警，请从列表中选择",
    );
    problems.finish()?;
    let area = actor.area_asked(Permission::ReadAlarms, area)?;
    let filter = Filter {
        area_pattern: area.map(below),
        code: kind.flatten().map(Kind::code),
        device: query.device,
        user: query.user,
        before: paging.after()?,
        rows: paging.rows(),
    };
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadAlarms).await?;
    let rows = store::list(&mut tx, &filter).await?;
    let page = paging.page(rows, |row| (row.at, row.id), |row| row)?;
    let ids: Vec<DeviceId> = page
        .items
        .iter()
        .map(|row| DeviceId(row.device_id))
        .collect();
    let called = devices::service::names(&mut tx, &ids).await?;
    drop(tx);
    let people: Vec<UserId> = page.items.iter().map(|row| UserId(row.user_id)).collect();
    let names = users::service::names(state, &people).await?;
    let view = |row: AlarmRow| AlarmView {
        id: row.id,
        label: Kind::from_code(&row.code)
            .map_or_else(|| row.code.clone(), |kind| kind.label().to_owned()),
        code: row.code,
        area: row.area_code,
        device: row.device_id,
        device_name: called
            .get(&DeviceId(row.device_id))
            .cloned()
            .unwrap_or_default(),
        user: row.user_id,
        user_name: names.get(&UserId(row.user_id)).cloned().unwrap_or_default(),
        record_label: row
            .record_type
            .as_deref()
            .and_then(records::record_type)
            .map(|declared| declared.label.clone()),
        record_type: row.record_type,
        times: row.times,
        since: row.since,
        at: row.at,
    };
    Ok(Page {
        items: page.items.into_iter().map(view).collect(),
        next: page.next,
    })
}
