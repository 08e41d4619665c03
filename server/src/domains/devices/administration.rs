//! Seeing and stopping devices.

use doorstep_core::ids::{DeviceId, UserId};
use doorstep_core::rights::Permission;
use serde_json::json;

use super::model::{DeviceQuery, DeviceRow, DeviceStatus, DeviceView, StopDevice};
use super::store::{self, Filter};
use crate::database::{below, widen};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::{self, Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, PageParams, area_code};
use crate::live::Notice;
use crate::state::AppState;

/// The devices of the actor's areas that fit.
pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: DeviceQuery,
) -> ApiResult<Page<DeviceView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let area = query.area.as_deref().map(area_code).transpose()?;
    let area = actor.area_asked(Permission::ReadDevices, area)?;
    let filter = Filter {
        area_pattern: area.map(below),
        user: query.user,
        status: query.status.map(DeviceStatus::code),
        purge_owed: query.purge_owed.unwrap_or(false),
        rows: paging.rows(),
    };
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadDevices).await?;
    let page = if query.unsent.unwrap_or(false) {
        let rows = store::list_unsent(&mut tx, &filter, paging.after()?).await?;
        paging.page(rows, |row| (row.waits_since(), row.id), |row| row)?
    } else {
        let rows = store::list(&mut tx, &filter, paging.after()?).await?;
        paging.page(rows, |row| row.id, |row| row)?
    };
    drop(tx);
    Ok(Page {
        items: views(state, page.items).await?,
        next: page.next,
    })
}

/// One device of the actor's areas.
pub(super) async fn show(state: &AppState, actor: &Actor, id: DeviceId) -> ApiResult<DeviceView> {
    actor.trail.note_subject("device", id);
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadDevices).await?;
    let row = require(&mut tx, id).await?;
    drop(tx);
    actor.trail.note_area(row.area_code);
    first(views(state, vec![row]).await?)
}

/// Revokes a device, or orders its wipe: its sessions end, its key is refused.
pub(super) async fn stop(
    state: &AppState,
    actor: &Actor,
    id: DeviceId,
    status: DeviceStatus,
    input: StopDevice,
) -> ApiResult<DeviceView> {
    actor.trail.note_subject("device", id);
    let mut problems = Problems::default();
    let reason = input.reason.trim().to_owned();
    let fits = (1..=200).contains(&reason.chars().count());
    problems.require(fits, "reason", "reason_form", "请填写原因，不超过 200 字");
    problems.finish()?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ManageDevices).await?;
    let before = store::lock(&mut tx, id.0).await?.ok_or_else(not_found)?;
    let owner = UserId(before.user_id);
    if owner != actor.user {
        // The device lies in the actor's area; what its owner may do can lie elsewhere.
        widen(&mut tx).await?;
        let mut theirs = users::service::grants_of(state, &mut tx, owner).await?;
        // To stop a device gives nothing: what the owner may do beside the actor's areas is no reason to wait.
        let own = actor.areas(Permission::ManageDevices);
        theirs.retain(|held| {
            let over = own.iter().any(|own| held.area.contains(own));
            over || held.role.is_administrator() || held.role.stands_alone()
        });
        users::service::require_above(actor, &theirs)?;
        actor.narrow(&mut tx, Permission::ManageDevices).await?;
    }
    match before.status() {
        DeviceStatus::Wiped => {
            return Err(ApiError::conflict("already_wiped", "这台设备已清除数据"));
        }
        // Only a device that is told to wipe does so: to revoke it would take the order back.
        DeviceStatus::WipeOrdered if status == DeviceStatus::Revoked => {
            return Err(ApiError::conflict(
                "wipe_ordered",
                "这台设备已被要求清除数据，密钥已停用，不用再停用；请等待它下次联网清除",
            ));
        }
        _ => {}
    }
    let at = state.clock.now();
    store::stop(
        &mut tx,
        id.0,
        status.code(),
        at,
        Some(actor.user.0),
        &reason,
    )
    .await?;
    auth::service::end_sessions_of_device(&mut tx, id, at).await?;
    let after = require(&mut tx, id).await?;
    let action = if status == DeviceStatus::WipeOrdered {
        Action::OrderWipe
    } else {
        Action::RevokeDevice
    };
    let entry = Entry::by(actor, at, action)
        .subject("device", id)
        .area(before.area_code);
    audit::record(&mut tx, entry.detail(json!({ "unsent": before.unsent }))).await?;
    tx.commit().await?;
    state.live.tell(Notice::DeviceChanged(id));
    first(views(state, vec![after]).await?)
}

async fn require(tx: &mut sqlx::PgConnection, id: DeviceId) -> ApiResult<DeviceRow> {
    store::by_id(tx, id.0).await?.ok_or_else(not_found)
}

fn not_found() -> ApiError {
    ApiError::not_found("这台设备")
}

fn first(views: Vec<DeviceView>) -> ApiResult<DeviceView> {
    views.into_iter().next().ok_or_else(not_found)
}

async fn views(state: &AppState, rows: Vec<DeviceRow>) -> ApiResult<Vec<DeviceView>> {
    let users: Vec<UserId> = rows.iter().map(|row| UserId(row.user_id)).collect();
    let names = users::service::names(state, &users).await?;
    let view = |row: DeviceRow| DeviceView {
        id: row.id,
        user: row.user_id,
        user_name: names.get(&UserId(row.user_id)).cloned().unwrap_or_default(),
        area: row.area_code,
        status: row.status(),
        name: row.name,
        platform: row.platform,
        status_set_at: row.status_set_at,
        status_reason: row.status_reason,
        enrolled_at: row.enrolled_at,
        last_contact_at: row.last_contact_at,
        last_sync_at: row.last_sync_at,
        unsent: row.unsent,
        unsent_since: row.unsent_since,
        purge_owed_since: row.purge_owed_since,
    };
    Ok(rows.into_iter().map(view).collect())
}
