//! The address base over HTTP.

use axum::Json;
use axum::extract::State;

use super::model::{AddressQuery, AddressView};
use super::service;
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::{Page, Params};
use crate::state::AppState;

/// Standard addresses of a village: those that `text` may mean, the nearest first, or all by code.
#[utoipa::path(get, path = "/api/addresses", tag = "areas", operation_id = "list_addresses", params(AddressQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<AddressView>)))]
pub async fn list_addresses(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<AddressQuery>,
) -> ApiResult<Json<Page<AddressView>>> {
    Ok(Json(service::list(&state, &actor, query).await?))
}
