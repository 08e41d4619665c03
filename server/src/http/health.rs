//! Whether the process lives, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult, Kind};
use crate::state::AppState;

const PING: &str = "SELECT 1";

/// What a probe sees.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// Always `ok`; anything else is an error answer.
    pub status: &'static str,
    /// The server's version.
    pub version: &'static str,
}

const HEALTHY: HealthView = HealthView {
    status: "ok",
    version: env!("CARGO_PKG_VERSION"),
};

/// Whether the process lives; if not, restart it.
#[utoipa::path(get, path = "/health/live", tag = "operations", operation_id = "health_live",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = HealthView)))]
pub async fn live() -> Json<HealthView> {
    Json(HEALTHY)
}

/// Whether the node can serve: the database answers, and it is not stopping. If not, send requests elsewhere.
#[utoipa::path(get, path = "/health/ready", tag = "operations", operation_id = "health_ready",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = HealthView), (status = 503, body = crate::http::respond::ErrorBody)))]
pub async fn ready(State(state): State<AppState>) -> ApiResult<Json<HealthView>> {
    let unready = |message: &str| ApiError::new(Kind::Unavailable, "not_ready", message);
    if *state.stopping.borrow() {
        return Err(unready("服务正在停止"));
    }
    let ping = sqlx::query(PING).execute(&state.pool);
    match tokio::time::timeout(Duration::from_secs(2), ping).await {
        Ok(Ok(_)) => Ok(Json(HEALTHY)),
        _ => Err(unready("数据库暂时连接不上")),
    }
}
