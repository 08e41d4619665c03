//! Visits over HTTP.

use axum::Json;
use axum::extract::State;

use super::model::{DueQuery, DueVisit, VisitCounts, VisitQuery, VisitView};
use super::{list, statistics};
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::{Page, Params};
use crate::state::AppState;

/// Visits of the caller's areas, the newest first.
#[utoipa::path(get, path = "/api/visits", tag = "visits", operation_id = "list_visits", params(VisitQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<VisitView>)))]
pub async fn list_visits(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<VisitQuery>,
) -> ApiResult<Json<Page<VisitView>>> {
    Ok(Json(list::list(&state, &actor, query).await?))
}

/// How many visits by purpose, result and collector, and how many people and houses they verified.
#[utoipa::path(get, path = "/api/visits/counts", tag = "visits", operation_id = "count_visits", params(VisitQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = VisitCounts)))]
pub async fn count_visits(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<VisitQuery>,
) -> ApiResult<Json<VisitCounts>> {
    Ok(Json(statistics::count(&state, &actor, query).await?))
}

/// People and houses whose planned visit is due.
#[utoipa::path(get, path = "/api/visits/due", tag = "visits", operation_id = "list_due_visits", params(DueQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<DueVisit>)))]
pub async fn list_due_visits(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<DueQuery>,
) -> ApiResult<Json<Page<DueVisit>>> {
    Ok(Json(list::due(&state, &actor, query).await?))
}
