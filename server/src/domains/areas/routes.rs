//! Areas over HTTP. The tree itself is no secret: whoever reads areas reads all of it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use doorstep_core::ids::AreaCode;
use doorstep_core::rights::Permission;

use super::model::{
    Area, AreaChange, AreaDetail, AreaQuery, AreaVersion, DiffQuery, ImportQuery, ImportReport,
};
use super::service;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::http::{Page, Params, Segment, etag};
use crate::state::AppState;

/// Brings in the city's whole tree from CSV (code,name,level,parent) as a new version.
#[utoipa::path(post, path = "/api/areas/import", tag = "areas", operation_id = "import_areas", params(ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    extensions(("x-access" = json!("areas.manage"))),
    responses((status = 200, body = ImportReport), (status = 422, body = crate::http::respond::ErrorBody),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn import_areas(
    State(state): State<AppState>,
    actor: Actor,
    Params(options): Params<ImportQuery>,
    file: Bytes,
) -> ApiResult<Json<ImportReport>> {
    let city = service::city(&state).await?;
    actor.require(Permission::ManageAreas, &city)?;
    Ok(Json(
        service::import(&state, Some(&actor), &file, &options).await?,
    ))
}

/// Areas by parent, by name or code, or changed after a version.
#[utoipa::path(get, path = "/api/areas", tag = "areas", operation_id = "list_areas", params(AreaQuery),
    extensions(("x-access" = json!("areas.read")), ("x-scope" = json!("whole"))),
    responses((status = 200, body = Page<Area>)))]
pub async fn list_areas(
    State(state): State<AppState>,
    _: Actor,
    Params(query): Params<AreaQuery>,
) -> ApiResult<Json<Page<Area>>> {
    Ok(Json(service::list(&state, query).await?))
}

/// The whole tree in force, with the version as its ETag.
#[utoipa::path(get, path = "/api/areas/tree", tag = "areas", operation_id = "show_area_tree",
    extensions(("x-access" = json!("areas.read")), ("x-scope" = json!("whole"))),
    responses((status = 200, body = [Area]), (status = 304)))]
pub async fn show_area_tree(
    State(state): State<AppState>,
    _: Actor,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let version = service::version(&state).await?;
    Ok(etag::answer_kept(
        &headers,
        &version.to_string(),
        service::tree(&state).await?,
    ))
}

/// Every version, the newest first.
#[utoipa::path(get, path = "/api/areas/versions", tag = "areas", operation_id = "list_area_versions",
    extensions(("x-access" = json!("areas.read")), ("x-scope" = json!("whole"))),
    responses((status = 200, body = [AreaVersion])))]
pub async fn list_area_versions(
    State(state): State<AppState>,
    _: Actor,
) -> ApiResult<Json<Vec<AreaVersion>>> {
    Ok(Json(service::versions(&state).await?))
}

/// What changed from one version to a later one.
#[utoipa::path(get, path = "/api/areas/diff", tag = "areas", operation_id = "diff_areas", params(DiffQuery),
    extensions(("x-access" = json!("areas.read")), ("x-scope" = json!("whole"))),
    responses((status = 200, body = [AreaChange])))]
pub async fn diff_areas(
    State(state): State<AppState>,
    _: Actor,
    Params(query): Params<DiffQuery>,
) -> ApiResult<Json<Vec<AreaChange>>> {
    Ok(Json(service::diff(&state, query.from, query.to).await?))
}

/// One area, with those it lies in.
#[utoipa::path(get, path = "/api/areas/{area_code}", tag = "areas", operation_id = "show_area",
    params(("area_code" = String, Path)),
    extensions(("x-access" = json!("areas.read")), ("x-scope" = json!("whole"))),
    responses((status = 200, body = AreaDetail)))]
pub async fn show_area(
    State(state): State<AppState>,
    actor: Actor,
    Segment(code): Segment<String>,
) -> ApiResult<Json<AreaDetail>> {
    let code: AreaCode = code.parse().map_err(|_| ApiError::not_found("这个区划"))?;
    actor.trail.note_area(code);
    Ok(Json(service::show(&state, code).await?))
}
