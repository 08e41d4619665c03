//! Messages over HTTP.

use axum::Json;
use axum::extract::State;

use super::list;
use super::model::MessageView;
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::{Page, PageParams, Params};
use crate::state::AppState;

/// What the caller was told, the newest first.
#[utoipa::path(get, path = "/api/messages", tag = "messages", operation_id = "list_messages", params(PageParams),
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = Page<MessageView>)))]
pub async fn list_messages(
    State(state): State<AppState>,
    actor: Actor,
    Params(paging): Params<PageParams>,
) -> ApiResult<Json<Page<MessageView>>> {
    Ok(Json(list::list(&state, &actor, paging).await?))
}
