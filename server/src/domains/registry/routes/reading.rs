//! Lists, files, histories, buildings.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use doorstep_core::ids::RecordId;
use uuid::Uuid;

use crate::domains::auth::Actor;
use crate::domains::registry::away::{AwayQuery, AwayView};
use crate::domains::registry::buildings::{BuildingsQuery, EstateView, FloorsView};
use crate::domains::registry::document::ExportDocument;
use crate::domains::registry::former::{FormerQuery, FormerResident};
use crate::domains::registry::history::{History, HistoryQuery};
use crate::domains::registry::household::{RegisterQuery, RegisteredPerson};
use crate::domains::registry::main_residence::Comparison;
use crate::domains::registry::model::{
    HouseFile, HouseQuery, RecordPage, RecordQuery, RecordView, ResidentFile,
};
use crate::domains::registry::reveal::{RevealFields, Revealed};
use crate::domains::registry::{
    away, buildings, document, file, former, history, household, main_residence, reveal, search,
};
use crate::error::ApiResult;
use crate::http::{Body, Page, Params, Segment, etag};
use crate::state::AppState;

/// Residents of the caller's areas: by name, pinyin, number, phone or address, narrowed by facets.
#[utoipa::path(get, path = "/api/residents", tag = "registry", operation_id = "list_residents", params(RecordQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = RecordPage)))]
pub async fn list_residents(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<RecordQuery>,
) -> ApiResult<Json<RecordPage>> {
    Ok(Json(search::list(&state, &actor, "resident", query).await?))
}

/// Houses of the caller's areas: by address, estate, owner or the people in them, narrowed by facets.
#[utoipa::path(get, path = "/api/houses", tag = "registry", operation_id = "list_houses", params(RecordQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = RecordPage)))]
pub async fn list_houses(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<RecordQuery>,
) -> ApiResult<Json<RecordPage>> {
    Ok(Json(search::list(&state, &actor, "house", query).await?))
}

/// Residences of the caller's areas.
#[utoipa::path(get, path = "/api/residences", tag = "registry", operation_id = "list_residences", params(RecordQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = RecordPage)))]
pub async fn list_residences(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<RecordQuery>,
) -> ApiResult<Json<RecordPage>> {
    Ok(Json(
        search::list(&state, &actor, "residence", query).await?,
    ))
}

/// A person's file, with the record's version as its ETag.
#[utoipa::path(get, path = "/api/residents/{resident_id}", tag = "registry", operation_id = "show_resident",
    params(("resident_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = ResidentFile)))]
pub async fn show_resident(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Response> {
    let file = file::resident(&state, &actor, RecordId(id)).await?;
    // No 304: the file shows more than the record whose version this is.
    Ok(etag::answer(
        &HeaderMap::new(),
        &file.resident.version.to_string(),
        &file,
    ))
}

/// A house's file with its people by class, with the record's version as its ETag.
#[utoipa::path(get, path = "/api/houses/{house_id}", tag = "registry", operation_id = "show_house",
    params(("house_id" = Uuid, Path), HouseQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = HouseFile)))]
pub async fn show_house(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Params(query): Params<HouseQuery>,
) -> ApiResult<Response> {
    let file = file::house(&state, &actor, RecordId(id), query.class.as_deref()).await?;
    Ok(etag::answer(
        &HeaderMap::new(),
        &file.house.version.to_string(),
        &file,
    ))
}

/// One record of any type, with its version as its ETag.
#[utoipa::path(get, path = "/api/records/{record_id}", tag = "registry", operation_id = "show_record",
    params(("record_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = RecordView)))]
pub async fn show_record(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Response> {
    let view = file::record(&state, &actor, RecordId(id), None).await?;
    Ok(etag::answer(
        &HeaderMap::new(),
        &view.version.to_string(),
        &view,
    ))
}

/// A record's history: each change with its maker and each value before and after, and what had to be decided. Values
/// are in clear for a purpose, for whoever may reveal them.
#[utoipa::path(get, path = "/api/records/{record_id}/history", tag = "registry", operation_id = "show_history",
    params(("record_id" = Uuid, Path), HistoryQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = History)))]
pub async fn show_history(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Params(query): Params<HistoryQuery>,
) -> ApiResult<Json<History>> {
    let history = history::show(&state, &actor, RecordId(id), query.purpose).await?;
    Ok(Json(history))
}

/// A record as its Automerge document, for a purpose: all changes in order, as chunks that any Automerge
/// implementation loads.
#[utoipa::path(post, path = "/api/records/{record_id}/document", tag = "registry", operation_id = "export_document",
    params(("record_id" = Uuid, Path)), request_body = ExportDocument,
    extensions(("x-access" = json!("register.reveal"))),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = crate::http::respond::ErrorBody)))]
pub async fn export_document(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<ExportDocument>,
) -> ApiResult<Response> {
    let bytes = document::export(&state, &actor, RecordId(id), &input).await?;
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, bytes).into_response())
}

/// Masked values in clear, for a purpose; logged.
#[utoipa::path(post, path = "/api/records/{record_id}/reveal", tag = "registry", operation_id = "reveal_record",
    params(("record_id" = Uuid, Path)), request_body = RevealFields,
    extensions(("x-access" = json!("register.reveal"))),
    responses((status = 200, body = Revealed)))]
pub async fn reveal_record(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<RevealFields>,
) -> ApiResult<Json<Revealed>> {
    Ok(Json(
        reveal::reveal(&state, &actor, RecordId(id), input).await?,
    ))
}

/// The main residences held and claimed, side by side.
#[utoipa::path(get, path = "/api/residents/{resident_id}/main-residence", tag = "registry",
    operation_id = "compare_main_residences", params(("resident_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Comparison)))]
pub async fn compare_main_residences(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<Comparison>> {
    Ok(Json(
        main_residence::compare(&state, &actor, RecordId(id)).await?,
    ))
}

/// The buildings of a village or street, by estate.
#[utoipa::path(get, path = "/api/buildings", tag = "registry", operation_id = "list_buildings", params(BuildingsQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = [EstateView])))]
pub async fn list_buildings(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<BuildingsQuery>,
) -> ApiResult<Json<Vec<EstateView>>> {
    Ok(Json(buildings::list(&state, &actor, query).await?))
}

/// A building's rooms by floor, with use, occupancy and people by class (房态图).
#[utoipa::path(get, path = "/api/buildings/floors", tag = "registry", operation_id = "show_building",
    params(BuildingsQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = FloorsView)))]
pub async fn show_building(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<BuildingsQuery>,
) -> ApiResult<Json<FloorsView>> {
    Ok(Json(buildings::floors(&state, &actor, query).await?))
}

/// People who are temporarily away, and whose return is due.
#[utoipa::path(get, path = "/api/away", tag = "registry", operation_id = "list_away", params(AwayQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<AwayView>)))]
pub async fn list_away(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<AwayQuery>,
) -> ApiResult<Json<Page<AwayView>>> {
    Ok(Json(away::list(&state, &actor, query).await?))
}

/// Former residents of an area or a house, with period and reason.
#[utoipa::path(get, path = "/api/former-residents", tag = "registry", operation_id = "list_former_residents",
    params(FormerQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<FormerResident>)))]
pub async fn list_former_residents(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<FormerQuery>,
) -> ApiResult<Json<Page<FormerResident>>> {
    Ok(Json(former::list(&state, &actor, query).await?))
}

/// People of the household register, each in a class.
#[utoipa::path(get, path = "/api/household-register", tag = "registry", operation_id = "list_household_register",
    params(RegisterQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<RegisteredPerson>)))]
pub async fn list_household_register(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<RegisterQuery>,
) -> ApiResult<Json<Page<RegisteredPerson>>> {
    Ok(Json(household::list(&state, &actor, query).await?))
}
