//! Alarms over HTTP, for security administrators.

use axum::Json;
use axum::extract::State;

use super::list;
use super::model::{AlarmQuery, AlarmView};
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::{Page, Params};
use crate::state::AppState;

/// What devices of the caller's areas did that an honest one never does, the newest first.
#[utoipa::path(get, path = "/api/alarms", tag = "alarms", operation_id = "list_alarms", params(AlarmQuery),
    extensions(("x-access" = json!("alarms.read"))),
    responses((status = 200, body = Page<AlarmView>)))]
pub async fn list_alarms(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<AlarmQuery>,
) -> ApiResult<Json<Page<AlarmView>>> {
    Ok(Json(list::list(&state, &actor, query).await?))
}
