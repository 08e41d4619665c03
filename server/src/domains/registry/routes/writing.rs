//! Creating, changing, cancelling, restoring, erasing; main residences, absences, management of houses.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use doorstep_core::ids::RecordId;
use uuid::Uuid;

use crate::domains::auth::Actor;
use crate::domains::registry::away::SetAway;
use crate::domains::registry::erase::{EraseRecord, Erased};
use crate::domains::registry::main_residence::{ClaimMainResidence, Comparison, MoveMainResidence};
use crate::domains::registry::managed::ManageHouse;
use crate::domains::registry::model::{
    CancelRecord, CreateRecord, EditRecord, RecordView, RestoreRecord, Written,
};
use crate::domains::registry::{away, cancel, create, edit, erase, main_residence, managed};
use crate::error::{ApiError, ApiResult, Kind};
use crate::http::respond::ErrorBody;
use crate::http::{Body, Segment, etag};
use crate::state::AppState;

/// Registers a resident.
#[utoipa::path(post, path = "/api/residents", tag = "registry", operation_id = "create_resident",
    request_body = CreateRecord,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 201, body = Written), (status = 422, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub async fn create_resident(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<CreateRecord>,
) -> ApiResult<Response> {
    Ok(created(
        create::create(&state, &actor, "resident", input).await?,
    ))
}

/// Registers a house.
#[utoipa::path(post, path = "/api/houses", tag = "registry", operation_id = "create_house",
    request_body = CreateRecord,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 201, body = Written), (status = 422, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub async fn create_house(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<CreateRecord>,
) -> ApiResult<Response> {
    Ok(created(
        create::create(&state, &actor, "house", input).await?,
    ))
}

/// Registers where a resident lives, is registered, owns or rents.
#[utoipa::path(post, path = "/api/residences", tag = "registry", operation_id = "create_residence",
    request_body = CreateRecord,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 201, body = Written), (status = 422, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub async fn create_residence(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<CreateRecord>,
) -> ApiResult<Response> {
    Ok(created(
        create::create(&state, &actor, "residence", input).await?,
    ))
}

/// Changes a record's fields; only the version that was read (If-Match).
#[utoipa::path(patch, path = "/api/records/{record_id}", tag = "registry", operation_id = "update_record",
    params(("record_id" = Uuid, Path)), request_body = EditRecord,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = Written), (status = 412, body = ErrorBody), (status = 422, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub async fn update_record(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<EditRecord>,
) -> ApiResult<Response> {
    let unchanged = if_match(&headers);
    let written = edit::update(&state, &actor, RecordId(id), input, unchanged).await?;
    let version = written.record.version.to_string();
    Ok(etag::answer(&HeaderMap::new(), &version, &written))
}

/// Cancels a record with its reason; only the version that was read (If-Match).
#[utoipa::path(post, path = "/api/records/{record_id}/cancel", tag = "registry", operation_id = "cancel_record",
    params(("record_id" = Uuid, Path)), request_body = CancelRecord,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = RecordView), (status = 409, body = ErrorBody), (status = 412, body = ErrorBody)))]
pub async fn cancel_record(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<CancelRecord>,
) -> ApiResult<Response> {
    let unchanged = if_match(&headers);
    Ok(tagged(
        cancel::cancel(&state, &actor, RecordId(id), input, unchanged).await?,
    ))
}

/// Restores a cancelled record; only the version that was read (If-Match).
#[utoipa::path(post, path = "/api/records/{record_id}/restore", tag = "registry", operation_id = "restore_record",
    params(("record_id" = Uuid, Path)), request_body = RestoreRecord,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = RecordView), (status = 409, body = ErrorBody), (status = 412, body = ErrorBody)))]
pub async fn restore_record(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<RestoreRecord>,
) -> ApiResult<Response> {
    let unchanged = if_match(&headers);
    Ok(tagged(
        cancel::restore(&state, &actor, RecordId(id), input, unchanged).await?,
    ))
}

/// Erases a record for good: its key, values and history, here and on every phone.
#[utoipa::path(post, path = "/api/records/{record_id}/erase", tag = "registry", operation_id = "erase_record",
    params(("record_id" = Uuid, Path)), request_body = EraseRecord,
    extensions(("x-access" = json!("register.erase"))),
    responses((status = 200, body = Erased)))]
pub async fn erase_record(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<EraseRecord>,
) -> ApiResult<Json<Erased>> {
    Ok(Json(
        erase::erase(&state, &actor, RecordId(id), input).await?,
    ))
}

/// Claims that a residence is a resident's main one; beside another it goes to the conflict queue.
#[utoipa::path(post, path = "/api/residents/{resident_id}/main-residence", tag = "registry",
    operation_id = "claim_main_residence", params(("resident_id" = Uuid, Path)), request_body = ClaimMainResidence,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = Comparison), (status = 409, body = ErrorBody)))]
pub async fn claim_main_residence(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<ClaimMainResidence>,
) -> ApiResult<Json<Comparison>> {
    Ok(Json(
        main_residence::claim(&state, &actor, RecordId(id), input).await?,
    ))
}

/// Makes a residence the main one in one step; for one who decides where the resident leaves and comes.
#[utoipa::path(put, path = "/api/residents/{resident_id}/main-residence", tag = "registry",
    operation_id = "move_main_residence", params(("resident_id" = Uuid, Path)), request_body = MoveMainResidence,
    extensions(("x-access" = json!("conflicts.decide"))),
    responses((status = 200, body = Comparison), (status = 409, body = ErrorBody)))]
pub async fn move_main_residence(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<MoveMainResidence>,
) -> ApiResult<Json<Comparison>> {
    Ok(Json(
        main_residence::move_main(&state, &actor, RecordId(id), input).await?,
    ))
}

/// Says that a resident is temporarily away; only the version that was read (If-Match).
#[utoipa::path(put, path = "/api/residents/{resident_id}/away", tag = "registry", operation_id = "set_away",
    params(("resident_id" = Uuid, Path)), request_body = SetAway,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = RecordView), (status = 412, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub async fn set_away(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<SetAway>,
) -> ApiResult<Response> {
    let unchanged = if_match(&headers);
    Ok(tagged(
        away::set(&state, &actor, RecordId(id), input, unchanged).await?,
    ))
}

/// Says that a resident is back; only the version that was read (If-Match).
#[utoipa::path(delete, path = "/api/residents/{resident_id}/away", tag = "registry", operation_id = "end_away",
    params(("resident_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = RecordView), (status = 409, body = ErrorBody), (status = 412, body = ErrorBody)))]
pub async fn end_away(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let unchanged = if_match(&headers);
    Ok(tagged(
        away::end(&state, &actor, RecordId(id), unchanged).await?,
    ))
}

/// Claims a house for the village's management, takes it under it, or releases it; only the version that was read.
#[utoipa::path(post, path = "/api/houses/{house_id}/management", tag = "registry", operation_id = "manage_house",
    params(("house_id" = Uuid, Path)), request_body = ManageHouse,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = RecordView), (status = 409, body = ErrorBody), (status = 412, body = ErrorBody)))]
pub async fn manage_house(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<ManageHouse>,
) -> ApiResult<Response> {
    let unchanged = if_match(&headers);
    Ok(tagged(
        managed::manage(&state, &actor, RecordId(id), input, unchanged).await?,
    ))
}

fn created(written: Written) -> Response {
    let version = written.record.version.to_string();
    let mut response = etag::answer(&HeaderMap::new(), &version, &written).into_response();
    *response.status_mut() = StatusCode::CREATED;
    response
}

fn tagged(view: RecordView) -> Response {
    etag::answer(&HeaderMap::new(), &view.version.to_string(), &view)
}

/// If-Match is not left to goodwill on records: two people at two desks edit one file. Asked for after the right, so
/// that a stranger learns nothing.
fn if_match(headers: &HeaderMap) -> impl Fn(&str) -> ApiResult<()> {
    |version: &str| {
        if headers.contains_key(header::IF_MATCH) {
            return etag::require(headers, version);
        }
        let text = "请先读取档案，再带上它的版本（If-Match）提交修改";
        Err(ApiError::new(Kind::Malformed, "if_match_required", text))
    }
}
