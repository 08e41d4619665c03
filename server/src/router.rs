//! The whole table of routes, and what all requests pass through. Every route says in its declaration
//! (`x-access`) who may call it; one that doesn't fails the build of the router's test.

use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Kind};
use crate::http::{health, metrics, request, respond};
use crate::state::AppState;

/// Title, version and the shared error form of the API's description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Doorstep",
        description = "社区人房采集与基层治理平台接口",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(respond::ErrorBody))
)]
struct Description;

/// Every route, with its description.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show_metrics))
}

/// The API's description (OpenAPI 3.1).
#[must_use]
pub fn description() -> Document {
    routes().into_openapi()
}

/// The router that a server runs.
pub fn build(state: AppState) -> Router {
    let (router, document) = routes().split_for_parts();
    let body_limit = state.config.body_limit;
    router
        .route(
            "/api/openapi.json",
            get(move || async move { Json(document) }),
        )
        .fallback(|| async { ApiError::not_found("这个地址") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                Kind::NotFound,
                "method_not_allowed",
                "这个地址不支持这种操作",
            )
        })
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(
            state.clone(),
            request::track,
        ))
        .with_state(state)
}

/// A panic is our fault and one request's end, not the server's. What it says may hold data: only its place is logged
/// (by the panic hook).
fn answer_panic(_: Box<dyn std::any::Any + Send + 'static>) -> axum::response::Response {
    let mut response = ApiError::internal(anyhow::anyhow!("a handler panicked")).into_response();
    response.headers_mut().insert(
        header::CONNECTION,
        axum::http::HeaderValue::from_static("close"),
    );
    response
}
