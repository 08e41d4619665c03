//! Users and grants over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use doorstep_core::ids::UserId;
use doorstep_core::rights::{Permission, Role};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::model::{
    CreateUser, GrantRole, GrantView, RightView, RoleQuery, UpdateUser, UserCreated, UserQuery,
    UserView,
};
use super::{accounts, authority, grants};
use crate::domains::auth::Actor;
use crate::error::{ApiResult, Problems};
use crate::http::{Body, Page, Params, Segment, area_in, etag};
use crate::state::AppState;

/// Creates a user; answers with the password for the first sign-in.
#[utoipa::path(post, path = "/api/users", tag = "users", operation_id = "create_user", request_body = CreateUser,
    extensions(("x-access" = json!("users.manage"))),
    responses((status = 201, body = UserCreated),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn create_user(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<CreateUser>,
) -> ApiResult<(StatusCode, Json<UserCreated>)> {
    let created = accounts::create_user(&state, &actor, input).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Users of the caller's areas.
#[utoipa::path(get, path = "/api/users", tag = "users", operation_id = "list_users", params(UserQuery),
    extensions(("x-access" = json!("users.read"))),
    responses((status = 200, body = Page<UserView>)))]
pub async fn list_users(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<UserQuery>,
) -> ApiResult<Json<Page<UserView>>> {
    Ok(Json(accounts::list_users(&state, &actor, query).await?))
}

/// One user.
#[utoipa::path(get, path = "/api/users/{user_id}", tag = "users", operation_id = "show_user",
    params(("user_id" = Uuid, Path)),
    extensions(("x-access" = json!("users.read"))),
    responses((status = 200, body = UserView), (status = 304)))]
pub async fn show_user(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let user = accounts::show_user(&state, &actor, UserId(id)).await?;
    Ok(etag::answer(&headers, &user.version.to_string(), &user))
}

/// Changes name, area or status. With If-Match, only the version that was read.
#[utoipa::path(patch, path = "/api/users/{user_id}", tag = "users", operation_id = "update_user",
    params(("user_id" = Uuid, Path)), request_body = UpdateUser,
    extensions(("x-access" = json!("users.manage"))),
    responses((status = 200, body = UserView), (status = 412, body = crate::http::respond::ErrorBody),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn update_user(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    headers: HeaderMap,
    Body(input): Body<UpdateUser>,
) -> ApiResult<Json<UserView>> {
    let unchanged = |version: &str| etag::require(&headers, version);
    Ok(Json(
        accounts::update_user(&state, &actor, UserId(id), input, unchanged).await?,
    ))
}

/// Sets a new temporary password and ends all sessions.
#[utoipa::path(post, path = "/api/users/{user_id}/password", tag = "users", operation_id = "reset_password",
    params(("user_id" = Uuid, Path)),
    extensions(("x-access" = json!("users.manage"))),
    responses((status = 200, body = UserCreated),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn reset_password(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<UserCreated>> {
    Ok(Json(
        accounts::reset_password(&state, &actor, UserId(id)).await?,
    ))
}

/// Takes away the second factor of a user who can't give a code any more, and ends all sessions.
#[utoipa::path(delete, path = "/api/users/{user_id}/second-factor", tag = "users", operation_id = "clear_second_factor",
    params(("user_id" = Uuid, Path)),
    extensions(("x-access" = json!("users.manage"))),
    responses((status = 204),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn clear_second_factor(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<StatusCode> {
    accounts::clear_second_factor(&state, &actor, UserId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a user who is locked out try again.
#[utoipa::path(post, path = "/api/users/{user_id}/unlock", tag = "users", operation_id = "unlock_user",
    params(("user_id" = Uuid, Path)),
    extensions(("x-access" = json!("users.manage"))),
    responses((status = 204),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn unlock_user(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<StatusCode> {
    accounts::unlock(&state, &actor, UserId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every grant that a user ever had.
#[utoipa::path(get, path = "/api/users/{user_id}/grants", tag = "users", operation_id = "list_grants",
    params(("user_id" = Uuid, Path)),
    extensions(("x-access" = json!("users.read"))),
    responses((status = 200, body = [GrantView])))]
pub async fn list_grants(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<Vec<GrantView>>> {
    Ok(Json(grants::list_grants(&state, &actor, UserId(id)).await?))
}

/// What a user may do, where, and through which grant.
#[utoipa::path(get, path = "/api/users/{user_id}/rights", tag = "users", operation_id = "list_rights",
    params(("user_id" = Uuid, Path)),
    extensions(("x-access" = json!("users.read"))),
    responses((status = 200, body = [RightView])))]
pub async fn list_rights(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<Json<Vec<RightView>>> {
    Ok(Json(grants::list_rights(&state, &actor, UserId(id)).await?))
}

/// Gives a user a role in an area.
#[utoipa::path(post, path = "/api/users/{user_id}/grants", tag = "users", operation_id = "grant_role",
    params(("user_id" = Uuid, Path)), request_body = GrantRole,
    extensions(("x-access" = json!("grants.manage"))),
    responses((status = 201, body = GrantView),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn grant_role(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Body(input): Body<GrantRole>,
) -> ApiResult<(StatusCode, Json<GrantView>)> {
    let granted = grants::grant_role(&state, &actor, UserId(id), input).await?;
    Ok((StatusCode::CREATED, Json(granted)))
}

/// Takes a grant back.
#[utoipa::path(delete, path = "/api/grants/{grant_id}", tag = "users", operation_id = "revoke_grant",
    params(("grant_id" = Uuid, Path)),
    extensions(("x-access" = json!("grants.manage"))),
    responses((status = 204),
        (status = 409, body = crate::http::respond::ErrorBody)))]
pub async fn revoke_grant(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
) -> ApiResult<StatusCode> {
    grants::revoke_grant(&state, &actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A role and what it carries.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleView {
    /// Role's code.
    pub role: &'static str,
    /// Role's name.
    pub label: &'static str,
    /// Codes of what it may do.
    pub permissions: Vec<&'static str>,
    /// Whether the caller may give and take it in the area asked about; none: no area was given.
    pub grantable: Option<bool>,
}

/// Every role with what it may do, and whether the caller may give it in an area.
#[utoipa::path(get, path = "/api/roles", tag = "users", operation_id = "list_roles", params(RoleQuery),
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = [RoleView])))]
pub async fn list_roles(
    actor: Actor,
    Params(query): Params<RoleQuery>,
) -> ApiResult<Json<Vec<RoleView>>> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    problems.finish()?;
    let roles = Role::ALL.iter().filter(|role| **role != Role::Server);
    let permissions = |role: &Role| {
        Permission::ALL
            .iter()
            .filter(|p| role.may(**p))
            .map(|p| p.code())
            .collect()
    };
    let views = roles.map(|role| RoleView {
        role: role.code(),
        label: role.label(),
        permissions: permissions(role),
        grantable: area
            .as_ref()
            .map(|area| authority::may_grant(&actor, *role, area)),
    });
    Ok(Json(views.collect()))
}
