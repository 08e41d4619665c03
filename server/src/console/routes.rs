//! The console over HTTP: its files for every address that is not the API's, and its stream of notices.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use super::{files, live};
use crate::domains::auth::Actor;
use crate::error::ApiError;
use crate::state::AppState;

/// Notices to an open console, as server-sent events: `ready`, `conflicts` (`{"areas"}`), `rights`, `areas`, `ended`
/// (`{"code","message"}`). It tells that something changed, not what: the console asks again.
#[utoipa::path(get, path = "/api/live", tag = "console", operation_id = "stream_notices",
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String)))]
pub async fn stream_notices(State(state): State<AppState>, actor: Actor) -> Response {
    live::open(state, actor).into_response()
}

/// What is no route: a file or address of the console, or nothing.
pub(crate) async fn answer(request: Request) -> Response {
    let path = request.uri().path();
    let is_api = ["/api", "/health", "/metrics"].iter().any(|own| {
        path.strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let found = if is_api || !reads {
        None
    } else {
        files::find(path, request.headers())
    };
    found.unwrap_or_else(|| ApiError::not_found("这个地址").into_response())
}
