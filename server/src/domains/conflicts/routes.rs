//! The conflict queue over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use doorstep_core::ids::ConflictId;
use uuid::Uuid;

use super::decisions::{Assign, Decide, Decided, Decider};
use super::model::{ConflictDetail, ConflictList, ConflictQuery, ConflictView, ShowQuery};
use super::rules::{BulkDecide, BulkDone};
use super::{assign, bulk, decide, deciders, list, show, undo};
use crate::domains::auth::Actor;
use crate::error::ApiResult;
use crate::http::{Body, Params, Segment, etag};
use crate::state::AppState;

/// The queue of the caller's areas, with counts by kind.
#[utoipa::path(get, path = "/api/conflicts", tag = "conflicts", operation_id = "list_conflicts",
    params(ConflictQuery),
    extensions(("x-access" = json!("conflicts.read"))),
    responses((status = 200, body = ConflictList)))]
pub async fn list_conflicts(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<ConflictQuery>,
) -> ApiResult<Json<ConflictList>> {
    Ok(Json(list::list(&state, &actor, query).await?))
}

/// One item with both sides and what speaks for them. Secret values are masked unless a purpose is stated.
#[utoipa::path(get, path = "/api/conflicts/{conflict_id}", tag = "conflicts", operation_id = "show_conflict",
    params(("conflict_id" = Uuid, Path), ShowQuery),
    extensions(("x-access" = json!("conflicts.read"))),
    responses((status = 200, body = ConflictDetail)))]
pub async fn show_conflict(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Params(query): Params<ShowQuery>,
) -> ApiResult<Response> {
    let detail = show::show(&state, &actor, ConflictId(id), query).await?;
    // The tag is for If-Match. Records and names may change without the item, so it is always shown anew.
    Ok(etag::answer(
        &HeaderMap::new(),
        &detail.item.version.to_string(),
        &detail,
    ))
}

/// Decides an item. With If-Match, only the version that was read.
#[utoipa::path(post, path = "/api/conflicts/{conflict_id}/decision", tag = "conflicts",
    operation_id = "decide_conflict", params(("conflict_id" = Uuid, Path)), request_body = Decide,
    extensions(("x-access" = json!("conflicts.decide"))),
    responses((status = 200, body = Decided), (status = 409, body = crate::http::respond::ErrorBody),
        (status = 412, body = crate::http::respond::ErrorBody)))]
pub async fn decide_conflict(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<Decide>,
) -> ApiResult<Json<Decided>> {
    let unchanged = |version: &str| etag::require(&headers, version);
    Ok(Json(
        decide::decide(&state, &actor, ConflictId(id), input, unchanged).await?,
    ))
}

/// Takes a decision back within a day: the former values are put again and the item is open.
#[utoipa::path(delete, path = "/api/conflicts/{conflict_id}/decision", tag = "conflicts",
    operation_id = "undo_conflict", params(("conflict_id" = Uuid, Path)),
    extensions(("x-access" = json!("conflicts.decide"))),
    responses((status = 200, body = Decided), (status = 409, body = crate::http::respond::ErrorBody),
        (status = 412, body = crate::http::respond::ErrorBody)))]
pub async fn undo_conflict(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
) -> ApiResult<Json<Decided>> {
    let unchanged = |version: &str| etag::require(&headers, version);
    Ok(Json(
        undo::undo(&state, &actor, ConflictId(id), unchanged).await?,
    ))
}

/// Gives an item to someone who may decide it, and sets its due time.
#[utoipa::path(put, path = "/api/conflicts/{conflict_id}/assignee", tag = "conflicts",
    operation_id = "assign_conflict", params(("conflict_id" = Uuid, Path)), request_body = Assign,
    extensions(("x-access" = json!("conflicts.decide"))),
    responses((status = 200, body = ConflictView), (status = 412, body = crate::http::respond::ErrorBody),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn assign_conflict(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<Assign>,
) -> ApiResult<Json<ConflictView>> {
    let unchanged = |version: &str| etag::require(&headers, version);
    Ok(Json(
        assign::assign(&state, &actor, ConflictId(id), input, unchanged).await?,
    ))
}

/// Everyone who may decide an item, by name: whom it can be given to.
#[utoipa::path(get, path = "/api/conflicts/{conflict_id}/deciders", tag = "conflicts",
    operation_id = "list_deciders", params(("conflict_id" = Uuid, Path)),
    extensions(("x-access" = json!("conflicts.decide"))),
    responses((status = 200, body = [Decider])))]
pub async fn list_deciders(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<Vec<Decider>>> {
    Ok(Json(
        deciders::deciders(&state, &actor, ConflictId(id)).await?,
    ))
}

/// Decides many items of one field by one rule. First `dry_run`: each decision is tried, and answered with whom it would
/// tell. Then its answer's items, as they were then: one that has moved since is left, and answered as `stale`.
#[utoipa::path(post, path = "/api/conflicts/bulk-decision", tag = "conflicts",
    operation_id = "decide_conflicts", request_body = BulkDecide,
    extensions(("x-access" = json!("conflicts.decide"))),
    responses((status = 200, body = BulkDone)))]
pub async fn decide_conflicts(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<BulkDecide>,
) -> ApiResult<Json<BulkDone>> {
    Ok(Json(bulk::decide_many(&state, &actor, input).await?))
}
