//! Photos over HTTP.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use doorstep_core::blob;
use doorstep_core::ids::{PhotoId, RecordId};
use uuid::Uuid;

use super::model::{OpenUpload, PhotoQuery, PhotoView, UploadView};
use super::objects::Part;
use super::show::Shown;
use super::{list, open, show, take};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Kind};
use crate::http::respond::ErrorBody;
use crate::http::{Body, Params, Segment, etag, range};
use crate::state::AppState;

/// The largest body of a chunk, in bytes.
pub const CHUNK: usize = blob::CHUNK;

/// Opens the upload of a photo, or finds the one under way. While the server doesn't know the record or event yet it
/// answers 404: try again once the record has gone up.
#[utoipa::path(post, path = "/api/photos", tag = "photos", operation_id = "open_photo",
    request_body = OpenUpload,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = UploadView), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub async fn open_photo(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<OpenUpload>,
) -> ApiResult<Json<UploadView>> {
    Ok(Json(open::open(&state, &actor, input).await?))
}

/// The next chunk of a photo: 262,144 bytes, or what is left. A chunk that is there already changes nothing. After the
/// last one the photo is checked and kept.
#[utoipa::path(put, path = "/api/photos/{upload}/{offset}", tag = "photos", operation_id = "send_photo_chunk",
    params(("upload" = Uuid, Path, description = "From the opening"),
        ("offset" = i64, Path, description = "The first byte of the chunk")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = UploadView), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 413, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub async fn send_photo_chunk(
    State(state): State<AppState>,
    actor: Actor,
    Segment((upload, offset)): Segment<(Uuid, i64)>,
    bytes: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<UploadView>> {
    let bytes = bytes.map_err(|_| {
        ApiError::new(
            Kind::TooLarge,
            "chunk_too_large",
            "照片每次最多上传 262144 字节，没有传完的请重试",
        )
    })?;
    let view = take::take(&state, &actor, PhotoId(upload), offset, bytes.to_vec()).await?;
    Ok(Json(view))
}

/// A photo, for those who may read a record that names it. Where the field is masked a purpose must be named.
#[utoipa::path(get, path = "/api/photos/{digest}", tag = "photos", operation_id = "show_photo",
    params(("digest" = String, Path, description = "SM3, 64 hexadecimal digits"), PhotoQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, description = "The file",
            content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))),
        (status = 206, description = "The rest of the file",
            content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))),
        (status = 304), (status = 416, description = "Nothing is left of the file"), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn show_photo(
    State(state): State<AppState>,
    actor: Actor,
    Segment(digest): Segment<String>,
    Params(query): Params<PhotoQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    shown(&state, &actor, &digest, Part::Whole, query, &headers).await
}

/// A small JPEG of a photo, at most 320 pixels wide and high, upright; under the same rules.
#[utoipa::path(get, path = "/api/photos/{digest}/thumbnail", tag = "photos", operation_id = "show_photo_thumbnail",
    params(("digest" = String, Path, description = "SM3, 64 hexadecimal digits"), PhotoQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, description = "JPEG", content_type = "image/jpeg", body = Vec<u8>),
        (status = 206, description = "The rest of the file", content_type = "image/jpeg", body = Vec<u8>),
        (status = 304), (status = 416, description = "Nothing is left of the file"), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn show_photo_thumbnail(
    State(state): State<AppState>,
    actor: Actor,
    Segment(digest): Segment<String>,
    Params(query): Params<PhotoQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    shown(&state, &actor, &digest, Part::Thumbnail, query, &headers).await
}

/// The photos that a record or event names, and how far each has come.
#[utoipa::path(get, path = "/api/records/{record_id}/photos", tag = "photos", operation_id = "list_record_photos",
    params(("record_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = [PhotoView]), (status = 404, body = ErrorBody)))]
pub async fn list_record_photos(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<Vec<PhotoView>>> {
    Ok(Json(list::list(&state, &actor, RecordId(id)).await?))
}

async fn shown(
    state: &AppState,
    actor: &Actor,
    digest: &str,
    part: Part,
    query: PhotoQuery,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    let tag = etag::tag(&match part {
        Part::Whole => digest.to_owned(),
        Part::Thumbnail => format!("{digest}-thumbnail"),
    });
    let has_it = etag::names(headers, &header::IF_NONE_MATCH, &tag);
    let photo = show::show(state, actor, digest, part, query.purpose, has_it).await?;
    answer(headers, &tag, photo)
}

fn answer(headers: &HeaderMap, tag: &str, photo: Shown) -> ApiResult<Response> {
    let mut response = match photo.bytes {
        None => StatusCode::NOT_MODIFIED.into_response(),
        Some(bytes) => ranged(headers, bytes.into())?,
    };
    let set = response.headers_mut();
    set.insert(
        header::ETAG,
        HeaderValue::from_str(tag).map_err(ApiError::internal)?,
    );
    set.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(&photo.media_type).map_err(ApiError::internal)?,
    );
    Ok(response)
}

/// From a byte on, as a download that broke off asks; other forms of ranges are answered with the whole, as HTTP allows.
fn ranged(headers: &HeaderMap, bytes: Bytes) -> ApiResult<Response> {
    let total = bytes.len();
    let Some(start) = range::start(headers) else {
        return Ok(([(header::ACCEPT_RANGES, "bytes")], bytes).into_response());
    };
    let (status, range, rest) = if start < total {
        let range = format!("bytes {start}-{}/{total}", total - 1);
        (StatusCode::PARTIAL_CONTENT, range, bytes.slice(start..))
    } else {
        let range = format!("bytes */{total}");
        (StatusCode::RANGE_NOT_SATISFIABLE, range, Bytes::new())
    };
    let value = HeaderValue::from_str(&range).map_err(ApiError::internal)?;
    Ok((status, [(header::CONTENT_RANGE, value)], rest).into_response())
}
