//! Where devices connect, and where they fetch bundles.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::MAX_FRAME_UP;
use doorstep_core::rights::Permission;

use super::{SyncState, socket};
use crate::domains::audit::Trail;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Kind};
use crate::http::respond::ErrorBody;
use crate::http::{Segment, range};
use crate::state::AppState;

/// What one connection reads into at first. The library's default, 128 KiB, would cost ten thousand silent devices
/// over a gigabyte.
const READ_BUFFER: usize = 2 * 1024;

/// What a device is told that must come again.
pub(super) const BUSY: &str = "现在上线的设备很多，请稍候，轮到时会自动连接；修改都保存在手机上。";

/// A device's websocket: binary messages, one frame each (docs/protocol.md). The token comes in the first frame.
#[utoipa::path(get, path = "/api/sync", tag = "sync", operation_id = "open_sync",
    extensions(("x-access" = json!("public"))),
    responses((status = 101, description = "Switching to the websocket protocol"),
        (status = 400, description = "No websocket was asked for", body = ErrorBody),
        (status = 503, description = "Too many devices come at once; `Retry-After` says when it is this one's turn", body = ErrorBody)))]
pub async fn open_sync(
    State(state): State<AppState>,
    Extension(sync): Extension<SyncState>,
    Extension(trail): Extension<Arc<Trail>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let upgrade = upgrade.map_err(|rejection| {
        tracing::debug!(%rejection, "no websocket");
        ApiError::new(
            Kind::Malformed,
            "websocket_expected",
            "这个地址供采集设备同步使用，请用采集程序连接",
        )
    })?;
    if let Some(wait) = sync.door.away() {
        let mut busy = ApiError::new(Kind::Unavailable, "busy", BUSY);
        busy.retry_after = Some(wait.as_secs_f64().ceil() as u64);
        return Err(busy);
    }
    Ok(upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(MAX_FRAME_UP)
        .max_frame_size(MAX_FRAME_UP)
        .on_upgrade(move |socket| socket::serve(state, sync, socket, trail)))
}

/// A bundle by its SM3 digest (hexadecimal). Takes `Range: bytes=N-`, so a broken download goes on where it ended.
#[utoipa::path(get, path = "/api/sync/bundles/{digest}", tag = "sync", operation_id = "fetch_bundle",
    params(("digest" = String, Path, description = "SM3 of the file, hexadecimal")),
    extensions(("x-access" = json!("sync"))),
    responses((status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The rest of the file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 416, description = "Nothing is left of the file")))]
pub async fn fetch_bundle(
    State(state): State<AppState>,
    Extension(sync): Extension<SyncState>,
    actor: Actor,
    Segment(digest): Segment<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let digest = hex::decode(&digest).unwrap_or_default();
    let (bundle, scope) = sync
        .bundles
        .find(&state, &digest)
        .await?
        .ok_or_else(|| ApiError::not_found("这个数据包"))?;
    let ScopeId::Area(area) = scope else {
        return Err(ApiError::not_found("这个数据包"));
    };
    actor.require(Permission::Sync, &area)?;
    actor.trail.note_area(area);
    let total = bundle.file.len();
    let start = range::start(&headers);
    Ok(match start {
        Some(start) if start >= total => {
            let range =
                HeaderValue::from_str(&format!("bytes */{total}")).map_err(ApiError::internal)?;
            (
                StatusCode::RANGE_NOT_SATISFIABLE,
                [(header::CONTENT_RANGE, range)],
            )
                .into_response()
        }
        Some(start) => {
            let range = format!("bytes {start}-{}/{total}", total - 1);
            let range = HeaderValue::from_str(&range).map_err(ApiError::internal)?;
            respond(
                StatusCode::PARTIAL_CONTENT,
                Some(range),
                bundle.file.slice(start..),
            )
        }
        None => respond(StatusCode::OK, None, bundle.file.clone()),
    })
}

fn respond(status: StatusCode, range: Option<HeaderValue>, body: Bytes) -> Response {
    let octets = HeaderValue::from_static("application/octet-stream");
    let mut response = (status, [(header::CONTENT_TYPE, octets)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Packed already: compressing it again costs time and breaks ranges.
    headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    if let Some(range) = range {
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}
