//! Imports over HTTP.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use doorstep_core::ids::ImportId;
use uuid::Uuid;

use super::model::{
    ImportField, ImportQuery, ImportView, ResultQuery, RowQuery, RowView, SetMapping,
    TemplateQuery, UploadQuery,
};
use super::{list, rows, table, upload};
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::{Body, Page, Params, Segment, etag, extract};
use crate::state::AppState;

/// The largest file that is taken, in bytes.
pub const LARGEST: usize = table::LARGEST + 1;

/// Takes in a register's file: CSV (UTF-8, UTF-16, GB18030) or a workbook. `then=check` judges its rows at once,
/// `then=run` writes them too.
#[utoipa::path(post, path = "/api/imports", tag = "imports", operation_id = "upload_import",
    params(UploadQuery), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 201, body = ImportView), (status = 422, body = crate::http::respond::ErrorBody)))]
pub async fn upload_import(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<UploadQuery>,
    file: Request,
) -> ApiResult<(StatusCode, Json<ImportView>)> {
    let file = extract::whole(file, &state);
    let view = upload::upload(&state, &actor, query, file).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Imports of the caller's areas, the newest first.
#[utoipa::path(get, path = "/api/imports", tag = "imports", operation_id = "list_imports",
    params(ImportQuery),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 200, body = Page<ImportView>)))]
pub async fn list_imports(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<ImportQuery>,
) -> ApiResult<Json<Page<ImportView>>> {
    Ok(Json(list::list(&state, &actor, query).await?))
}

/// One import: its heads, how far it has come, how many rows came to what.
#[utoipa::path(get, path = "/api/imports/{import_id}", tag = "imports", operation_id = "show_import",
    params(("import_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 200, body = ImportView), (status = 304)))]
pub async fn show_import(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let view = list::show(&state, &actor, ImportId(id)).await?;
    Ok(etag::answer(&headers, &view.version.to_string(), &view))
}

/// Sends columns to other fields than their heads say.
#[utoipa::path(put, path = "/api/imports/{import_id}/mapping", tag = "imports", operation_id = "map_import",
    params(("import_id" = Uuid, Path)), request_body = SetMapping,
    extensions(("x-access" = json!("register.import"))),
    responses((status = 200, body = ImportView), (status = 412, body = crate::http::respond::ErrorBody),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn map_import(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<SetMapping>,
) -> ApiResult<Json<ImportView>> {
    let unchanged = |version: &str| etag::require(&headers, version);
    Ok(Json(
        upload::set_mapping(&state, &actor, ImportId(id), input, unchanged).await?,
    ))
}

/// Begins the dry run: a verdict for each row, nothing written.
#[utoipa::path(post, path = "/api/imports/{import_id}/check", tag = "imports", operation_id = "check_import",
    params(("import_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 202, body = ImportView), (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn check_import(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<(StatusCode, Json<ImportView>)> {
    let view = upload::begin(&state, &actor, ImportId(id), false).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Begins to write what the check found.
#[utoipa::path(post, path = "/api/imports/{import_id}/run", tag = "imports", operation_id = "run_import",
    params(("import_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 202, body = ImportView), (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn run_import(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<(StatusCode, Json<ImportView>)> {
    let view = upload::begin(&state, &actor, ImportId(id), true).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Begins to take an import back: what it made is cancelled, what it changed gets its former values.
#[utoipa::path(post, path = "/api/imports/{import_id}/undo", tag = "imports", operation_id = "undo_import",
    params(("import_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 202, body = ImportView), (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn undo_import(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<(StatusCode, Json<ImportView>)> {
    let view = upload::take_back(&state, &actor, ImportId(id)).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Rows with their verdicts and what is to be said about each, by column.
#[utoipa::path(get, path = "/api/imports/{import_id}/rows", tag = "imports", operation_id = "list_import_rows",
    params(("import_id" = Uuid, Path), RowQuery),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 200, body = Page<RowView>)))]
pub async fn list_import_rows(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Params(query): Params<RowQuery>,
) -> ApiResult<Json<Page<RowView>>> {
    Ok(Json(
        rows::list_rows(&state, &actor, ImportId(id), query).await?,
    ))
}

/// The rows as they were read, with what each came to, as CSV; all, or those of one verdict to be mended.
#[utoipa::path(get, path = "/api/imports/{import_id}/result.csv", tag = "imports",
    operation_id = "export_import_result", params(("import_id" = Uuid, Path), ResultQuery),
    extensions(("x-access" = json!("register.import"))),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub async fn export_import_result(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Params(query): Params<ResultQuery>,
) -> ApiResult<Response> {
    let file = rows::result_file(&state, &actor, ImportId(id), query).await?;
    Ok(csv_file("import-result.csv", file))
}

/// The heads of a file for residents or houses, as CSV.
#[utoipa::path(get, path = "/api/import-templates", tag = "imports", operation_id = "show_import_template",
    params(TemplateQuery),
    extensions(("x-access" = json!("register.import")), ("x-scope" = json!("whole"))),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub async fn show_import_template(
    _: Actor,
    Params(query): Params<TemplateQuery>,
) -> ApiResult<Response> {
    Ok(csv_file(
        "template.csv",
        list::template(&query.record_type)?,
    ))
}

/// The fields that columns of a file for residents or houses may go to, in the order of the form.
#[utoipa::path(get, path = "/api/import-templates/fields", tag = "imports", operation_id = "list_import_fields",
    params(TemplateQuery),
    extensions(("x-access" = json!("register.import")), ("x-scope" = json!("whole"))),
    responses((status = 200, body = [ImportField])))]
pub async fn list_import_fields(
    _: Actor,
    Params(query): Params<TemplateQuery>,
) -> ApiResult<Json<Vec<ImportField>>> {
    Ok(Json(list::fields(&query.record_type)?))
}

fn csv_file(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, bytes).into_response()
}
