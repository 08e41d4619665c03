//! Checks over HTTP.

use axum::Json;
use axum::extract::State;
use uuid::Uuid;

use super::model::{AnswerCheck, CheckQuery, CheckView};
use super::{answer, list};
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::respond::ErrorBody;
use crate::http::{Body, Page, Params, Segment};
use crate::state::AppState;

/// Checks of the caller's areas, those due first at the top.
#[utoipa::path(get, path = "/api/checks", tag = "checks", operation_id = "list_checks", params(CheckQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<CheckView>)))]
pub async fn list_checks(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<CheckQuery>,
) -> ApiResult<Json<Page<CheckView>>> {
    Ok(Json(list::list(&state, &actor, query).await?))
}

/// One check.
#[utoipa::path(get, path = "/api/checks/{check_id}", tag = "checks", operation_id = "show_check",
    params(("check_id" = Uuid, Path)),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = CheckView)))]
pub async fn show_check(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<CheckView>> {
    Ok(Json(list::show(&state, &actor, id).await?))
}

/// Confirms, denies or returns a check; for those responsible for its area.
#[utoipa::path(post, path = "/api/checks/{check_id}/answer", tag = "checks", operation_id = "answer_check",
    params(("check_id" = Uuid, Path)), request_body = AnswerCheck,
    extensions(("x-access" = json!("register.write"))),
    responses((status = 200, body = CheckView), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub async fn answer_check(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<AnswerCheck>,
) -> ApiResult<Json<CheckView>> {
    Ok(Json(answer::answer(&state, &actor, id, input).await?))
}
