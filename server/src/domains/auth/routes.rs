//! Signing in and out over HTTP, and what callers may ask about themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::actor::Actor;
use super::model::{
    BeginSecondFactor, Challenge, ChangePassword, Code, Me, OwnGrant, RemoveSecondFactor,
    SecondFactor, SessionOpened, SessionView, SignIn,
};
use super::{challenges, credentials, second_factor, service, sessions};
use crate::domains::audit::{Action, Trail};
use crate::domains::users;
use crate::error::{ApiResult, Problems};
use crate::http::{Body, Params, Segment, area_in};
use crate::state::AppState;

/// Opens a console session with login, password and, if enrolled, a code.
#[utoipa::path(post, path = "/api/auth/sign-in", tag = "auth", operation_id = "sign_in", request_body = SignIn,
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = SessionOpened), (status = 401, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody),
        (status = 403, body = crate::http::respond::ErrorBody)))]
pub async fn sign_in(
    State(state): State<AppState>,
    Extension(trail): Extension<Arc<Trail>>,
    Body(input): Body<SignIn>,
) -> ApiResult<Json<SessionOpened>> {
    Ok(Json(service::sign_in(&state, &trail, input).await?))
}

/// Ends this session.
#[utoipa::path(post, path = "/api/auth/sign-out", tag = "auth", operation_id = "sign_out",
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 204)))]
pub async fn sign_out(State(state): State<AppState>, actor: Actor) -> ApiResult<StatusCode> {
    sessions::end_own(&state, &actor, actor.session, Action::SignOut).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A nonce for a device to sign.
#[utoipa::path(post, path = "/api/auth/challenges", tag = "auth", operation_id = "issue_challenge",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = Challenge)))]
pub async fn issue_challenge(State(state): State<AppState>) -> ApiResult<Json<Challenge>> {
    Ok(Json(challenges::issue(&state)?))
}

/// The caller and what holds for them now.
#[utoipa::path(get, path = "/api/auth/me", tag = "auth", operation_id = "show_me",
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = Me)))]
pub async fn show_me(State(state): State<AppState>, actor: Actor) -> ApiResult<Json<Me>> {
    let names = users::service::names(&state, &[actor.user]).await?;
    Ok(Json(Me {
        id: actor.user.0,
        login: actor.login.clone(),
        name: names.get(&actor.user).cloned().unwrap_or_default(),
        area: actor.area,
        device: actor.device.map(|id| id.0),
        grants: actor.grants.iter().map(OwnGrant::from).collect(),
        must_change_password: actor.must_change_password,
        second_factor: second_factor::is_enrolled(&state, actor.user).await?,
    }))
}

/// A question about the caller's own rights.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// Permission's code, such as `register.write`.
    pub permission: String,
    /// In which area.
    pub area: String,
}

/// Whether the caller may, and through which grant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Why {
    /// Whether they may.
    pub allowed: bool,
    /// Through this grant.
    pub grant: Option<OwnGrant>,
}

/// Why may I do this there? Names the grant.
#[utoipa::path(get, path = "/api/auth/why", tag = "auth", operation_id = "explain_right", params(WhyQuery),
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = Why)))]
pub async fn explain_right(actor: Actor, Params(query): Params<WhyQuery>) -> ApiResult<Json<Why>> {
    let mut problems = Problems::default();
    let permission: Option<Permission> = query.permission.parse().ok();
    problems.require(
        permission.is_some(),
        "permission",
        "unknown_permission",
        "没有这种权限",
    );
    let area = area_in(&mut problems, Some(&query.area));
    problems.finish()?;
    let grant = permission
        .zip(area)
        .and_then(|(permission, area)| actor.why(permission, &area))
        .map(OwnGrant::from);
    Ok(Json(Why {
        allowed: grant.is_some(),
        grant,
    }))
}

/// Changes the caller's own password; ends all other sessions.
#[utoipa::path(post, path = "/api/auth/password", tag = "auth", operation_id = "change_password",
    request_body = ChangePassword,
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 204), (status = 422, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody)))]
pub async fn change_password(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<ChangePassword>,
) -> ApiResult<StatusCode> {
    credentials::change_password(&state, &actor, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's open sessions.
#[utoipa::path(get, path = "/api/auth/sessions", tag = "auth", operation_id = "list_sessions",
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = [SessionView])))]
pub async fn list_sessions(
    State(state): State<AppState>,
    actor: Actor,
) -> ApiResult<Json<Vec<SessionView>>> {
    Ok(Json(sessions::list_own(&state, &actor).await?))
}

/// Ends one of the caller's sessions.
#[utoipa::path(delete, path = "/api/auth/sessions/{session_id}", tag = "auth", operation_id = "end_session",
    params(("session_id" = Uuid, Path)),
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 204)))]
pub async fn end_session(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<StatusCode> {
    sessions::end_own(&state, &actor, id, Action::EndSession).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to enrol a second factor with the password; a code confirms it.
#[utoipa::path(post, path = "/api/auth/second-factor", tag = "auth", operation_id = "begin_second_factor",
    request_body = BeginSecondFactor,
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = SecondFactor),
        (status = 409, body = crate::http::respond::ErrorBody),
        (status = 422, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody)))]
pub async fn begin_second_factor(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<BeginSecondFactor>,
) -> ApiResult<Json<SecondFactor>> {
    Ok(Json(second_factor::begin(&state, &actor, input).await?))
}

/// Puts the second factor in force: from now on signing in needs a code.
#[utoipa::path(post, path = "/api/auth/second-factor/confirm", tag = "auth", operation_id = "confirm_second_factor",
    request_body = Code,
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 204),
        (status = 409, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody)))]
pub async fn confirm_second_factor(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<Code>,
) -> ApiResult<StatusCode> {
    second_factor::confirm(&state, &actor, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the second factor away; needs password and code.
#[utoipa::path(post, path = "/api/auth/second-factor/remove", tag = "auth", operation_id = "remove_second_factor",
    request_body = RemoveSecondFactor,
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 204),
        (status = 409, body = crate::http::respond::ErrorBody),
        (status = 429, body = crate::http::respond::ErrorBody)))]
pub async fn remove_second_factor(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<RemoveSecondFactor>,
) -> ApiResult<StatusCode> {
    second_factor::remove(&state, &actor, input).await?;
    Ok(StatusCode::NO_CONTENT)
}
