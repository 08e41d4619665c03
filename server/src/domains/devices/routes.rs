//! Devices over HTTP.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use doorstep_core::ids::DeviceId;
use uuid::Uuid;

use super::model::{
    ConfirmWipe, DeviceEnrolled, DeviceQuery, DeviceStatus, DeviceView, EnrolDevice, SignInDevice,
    StopDevice,
};
use super::{administration, confirm_wipe, enrolment};
use crate::domains::audit::Trail;
use crate::domains::auth::{Actor, SessionOpened};
use crate::error::ApiResult;
use crate::http::{Body, Page, Params, Segment};
use crate::state::AppState;

/// Enrols a device with the user's password and the device's SM2 key, and signs it in.
#[utoipa::path(post, path = "/api/devices", tag = "devices", operation_id = "enrol_device", request_body = EnrolDevice,
    extensions(("x-access" = json!("public"))),
    responses((status = 201, body = DeviceEnrolled), (status = 401, body = crate::http::respond::ErrorBody),
        (status = 403, body = crate::http::respond::ErrorBody),
        (status = 409, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody)))]
pub async fn enrol_device(
    State(state): State<AppState>,
    Extension(trail): Extension<Arc<Trail>>,
    Body(input): Body<EnrolDevice>,
) -> ApiResult<(StatusCode, Json<DeviceEnrolled>)> {
    let enrolled = enrolment::enrol(&state, &trail, input).await?;
    Ok((StatusCode::CREATED, Json(enrolled)))
}

/// Signs a device in by its key and the password, or its former token.
#[utoipa::path(post, path = "/api/devices/sign-in", tag = "devices", operation_id = "sign_in_device",
    request_body = SignInDevice,
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = SessionOpened), (status = 401, body = crate::http::respond::ErrorBody),
        (status = 403, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody)))]
pub async fn sign_in_device(
    State(state): State<AppState>,
    Extension(trail): Extension<Arc<Trail>>,
    Body(input): Body<SignInDevice>,
) -> ApiResult<Json<SessionOpened>> {
    Ok(Json(enrolment::sign_in(&state, &trail, input).await?))
}

/// A device that was ordered to wipe says that it has. Its key proves it: its sessions have ended.
#[utoipa::path(post, path = "/api/devices/wiped", tag = "devices", operation_id = "confirm_wipe",
    request_body = ConfirmWipe,
    extensions(("x-access" = json!("public"))),
    responses((status = 204), (status = 401, body = crate::http::respond::ErrorBody),
        (status = 409, body = crate::http::respond::ErrorBody),
        (status = 403, body = crate::http::respond::ErrorBody)))]
pub async fn confirm_wipe(
    State(state): State<AppState>,
    Extension(trail): Extension<Arc<Trail>>,
    Body(input): Body<ConfirmWipe>,
) -> ApiResult<StatusCode> {
    confirm_wipe::confirm(&state, &trail, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Devices of the caller's areas.
#[utoipa::path(get, path = "/api/devices", tag = "devices", operation_id = "list_devices", params(DeviceQuery),
    extensions(("x-access" = json!("devices.read"))),
    responses((status = 200, body = Page<DeviceView>)))]
pub async fn list_devices(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<DeviceQuery>,
) -> ApiResult<Json<Page<DeviceView>>> {
    Ok(Json(administration::list(&state, &actor, query).await?))
}

/// One device.
#[utoipa::path(get, path = "/api/devices/{device_id}", tag = "devices", operation_id = "show_device",
    params(("device_id" = Uuid, Path)),
    extensions(("x-access" = json!("devices.read"))),
    responses((status = 200, body = DeviceView)))]
pub async fn show_device(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<DeviceView>> {
    Ok(Json(
        administration::show(&state, &actor, DeviceId(id)).await?,
    ))
}

/// Revokes a device: its sessions end, its key is refused.
#[utoipa::path(post, path = "/api/devices/{device_id}/revoke", tag = "devices", operation_id = "revoke_device",
    params(("device_id" = Uuid, Path)), request_body = StopDevice,
    extensions(("x-access" = json!("devices.manage"))),
    responses((status = 200, body = DeviceView),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn revoke_device(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<StopDevice>,
) -> ApiResult<Json<DeviceView>> {
    let status = DeviceStatus::Revoked;
    Ok(Json(
        administration::stop(&state, &actor, DeviceId(id), status, input).await?,
    ))
}

/// Orders a lost device to wipe what it holds at its next contact.
#[utoipa::path(post, path = "/api/devices/{device_id}/wipe", tag = "devices", operation_id = "order_wipe",
    params(("device_id" = Uuid, Path)), request_body = StopDevice,
    extensions(("x-access" = json!("devices.manage"))),
    responses((status = 200, body = DeviceView),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn order_wipe(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<StopDevice>,
) -> ApiResult<Json<DeviceView>> {
    let status = DeviceStatus::WipeOrdered;
    Ok(Json(
        administration::stop(&state, &actor, DeviceId(id), status, input).await?,
    ))
}
