//! Accounts: create, change, find.

use std::collections::HashMap;

use doorstep_core::ids::UserId;
use doorstep_core::rights::{Permission, Role};
use serde_json::json;
use sqlx::PgConnection;

use super::model::{
    Account, CreateUser, UpdateUser, UserCreated, UserQuery, UserRow, UserStatus, UserView,
};
use super::store::{self, Filter, NewUser};
use super::{authority, fields, grants, name};
use crate::database::{below, system_tx};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::{self, Actor, scoped_tx};
use crate::domains::devices;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, area_in};
use crate::live::Notice;
use crate::random;
use crate::state::AppState;

/// Creates a user below the actor, with a password for the first sign-in.
///
/// # Errors
/// When a field is wrong, the area is not the actor's, or the login is taken.
pub async fn create_user(
    state: &AppState,
    actor: &Actor,
    input: CreateUser,
) -> ApiResult<UserCreated> {
    let (login, name, area) = fields::checked(&input)?;
    actor.require(Permission::ManageUsers, &area)?;
    let id = random::id(state.clock.timestamp(), UserId::new)?;
    let sealed = name::seal(state, id, area, &name).await?;
    let (temporary_password, credential) = auth::service::temporary_password(state).await?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ManageUsers).await?;
    let (at, by) = (state.clock.now(), actor.person().map(|id| id.0));
    let new = NewUser {
        id: id.0,
        login: &login,
        name: sealed,
        area: area.as_str(),
        at,
        by,
    };
    store::create(&mut tx, &new).await?;
    auth::service::store_credential(&mut tx, id, &credential, at).await?;
    audit::record(
        &mut tx,
        Entry::by(actor, at, Action::CreateUser)
            .subject("user", id)
            .area(area),
    )
    .await?;
    let row = require_user(&mut tx, id).await?;
    tx.commit().await?;
    Ok(UserCreated {
        user: view(state, actor, row).await?,
        temporary_password,
    })
}

/// Changes name, area or status of a user below the actor.
pub(super) async fn update_user(
    state: &AppState,
    actor: &Actor,
    id: UserId,
    input: UpdateUser,
    unchanged: impl FnOnce(&str) -> ApiResult<()>,
) -> ApiResult<UserView> {
    let mut problems = Problems::default();
    let name = input
        .name
        .as_deref()
        .map(|name| fields::check_name(&mut problems, name));
    let area = area_in(&mut problems, input.area.as_deref());
    problems.finish()?;
    if let Some(area) = &area {
        actor.require(Permission::ManageUsers, area)?;
    }
    let before = find_user(state, actor, Permission::ManageUsers, id).await?;
    let (name, area) = (
        name.unwrap_or(name::open(state, &before).await?),
        area.unwrap_or(before.area_code),
    );
    let status = input.status.unwrap_or(before.status());
    let sealed = name::seal(state, id, area, &name).await?;

    let mut tx = system_tx(&state.pool).await?;
    let row = store::lock(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这个用户"))?;
    let theirs = grants::in_force(state, &mut tx, id).await?;
    actor.narrow(&mut tx, Permission::ManageUsers).await?;
    actor.require(Permission::ManageUsers, &row.area_code)?;
    require_other(actor, id)?;
    authority::require_above(actor, &theirs)?;
    unchanged(&row.version.to_string())?;
    store::update(&mut tx, id.0, &sealed, area.as_str(), status.code()).await?;
    devices::service::follow_user(&mut tx, id, &area).await?;
    if status == UserStatus::Closed {
        let now = state.clock.now();
        auth::service::end_sessions_of_user(&mut tx, id, now).await?;
        devices::service::owe_purge(&mut tx, &[id], now).await?;
    }
    let changed = json!({ "name": input.name.is_some(), "area": area, "status": status });
    let entry = Entry::by(actor, state.clock.now(), Action::UpdateUser)
        .subject("user", id)
        .area(area)
        .detail(changed);
    let row = require_user(&mut tx, id).await?;
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    state.live.tell(Notice::RightsChanged(id));
    view(state, actor, row).await
}

/// Gives a user below the actor a new temporary password, and ends all sessions.
pub(super) async fn reset_password(
    state: &AppState,
    actor: &Actor,
    id: UserId,
) -> ApiResult<UserCreated> {
    let (temporary_password, credential) = auth::service::temporary_password(state).await?;
    let (mut tx, row) = lock_below(state, actor, id, authority::require_could_grant_all).await?;
    let at = state.clock.now();
    auth::service::replace_credential(&mut tx, id, &credential, at).await?;
    auth::service::end_sessions_of_user(&mut tx, id, at).await?;
    let entry = Entry::by(actor, at, Action::ResetPassword)
        .subject("user", id)
        .area(row.area_code);
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(UserCreated {
        user: view(state, actor, row).await?,
        temporary_password,
    })
}

/// Takes away the second factor of a user below the actor, and ends all sessions.
pub(super) async fn clear_second_factor(
    state: &AppState,
    actor: &Actor,
    id: UserId,
) -> ApiResult<()> {
    let (mut tx, row) = lock_below(state, actor, id, authority::require_could_grant_all).await?;
    if !auth::service::clear_second_factor(&mut tx, id).await? {
        return Err(ApiError::conflict(
            "not_enrolled",
            "这个用户没有启用动态验证码，不用停用，请刷新",
        ));
    }
    let at = state.clock.now();
    auth::service::end_sessions_of_user(&mut tx, id, at).await?;
    let entry = Entry::by(actor, at, Action::ClearSecondFactor)
        .subject("user", id)
        .area(row.area_code);
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    state.live.tell(Notice::RightsChanged(id));
    Ok(())
}

/// Lets a user who is locked out by failures try again.
pub(super) async fn unlock(state: &AppState, actor: &Actor, id: UserId) -> ApiResult<()> {
    let (mut tx, row) = lock_below(state, actor, id, authority::require_above).await?;
    auth::service::forget_failures(state, &mut tx, &row.login).await?;
    let entry = Entry::by(actor, state.clock.now(), Action::UnlockUser)
        .subject("user", id)
        .area(row.area_code);
    audit::record(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// The users of the actor's areas that fit.
///
/// # Errors
/// When the area is not the actor's, or a parameter is wrong.
pub async fn list_users(
    state: &AppState,
    actor: &Actor,
    query: UserQuery,
) -> ApiResult<Page<UserView>> {
    let paging = crate::http::PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    let role = query.role.as_deref().map(str::parse::<Role>);
    problems.require(
        !matches!(role, Some(Err(_))),
        "role",
        "unknown_role",
        "没有这种角色",
    );
    problems.finish()?;
    let area = actor.area_asked(Permission::ReadUsers, area)?;
    let text = query.text.filter(|text| !text.trim().is_empty());
    let filter = Filter {
        area_pattern: area.map(below),
        login_pattern: text
            .as_deref()
            .map(|text| format!("{}%", escape_like(&text.trim().to_lowercase()))),
        name_token: text.as_deref().map(|text| name::token(state, text.trim())),
        role: query.role,
        status: query.status.map(UserStatus::code),
        after: paging.after()?,
        rows: paging.rows(),
    };
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadUsers).await?;
    let rows = store::list(&mut tx, &filter).await?;
    drop(tx);
    let page = paging.page(rows, |row| row.id, |row| row)?;
    Ok(Page {
        items: views(state, actor, page.items).await?,
        next: page.next,
    })
}

/// One user of the actor's areas.
pub(super) async fn show_user(state: &AppState, actor: &Actor, id: UserId) -> ApiResult<UserView> {
    let row = find_user(state, actor, Permission::ReadUsers, id).await?;
    actor.trail.note_area(row.area_code);
    view(state, actor, row).await
}

/// The account of a login (lower case), if there is one. Works in any transaction that sees it.
///
/// # Errors
/// When the database fails.
pub async fn find_account(tx: &mut PgConnection, login: &str) -> ApiResult<Option<Account>> {
    Ok(store::by_login(tx, login).await?.map(|row| row.account()))
}

/// The account of a user, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn account(tx: &mut PgConnection, id: UserId) -> ApiResult<Option<Account>> {
    Ok(store::by_id(tx, id.0).await?.map(|row| row.account()))
}

/// As [`account`]; nobody changes it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn hold_account(tx: &mut PgConnection, id: UserId) -> ApiResult<Option<Account>> {
    Ok(store::hold(tx, id.0).await?.map(|row| row.account()))
}

/// The names of users, for showing who did something. Users that are not there are left out.
///
/// # Errors
/// When the database fails or a name does not open.
pub async fn names(state: &AppState, ids: &[UserId]) -> ApiResult<HashMap<UserId, String>> {
    let called = called(state, ids).await?.into_iter();
    Ok(called.map(|(id, called)| (id, called.name)).collect())
}

/// The same where a transaction is open already (a system one).
///
/// # Errors
/// As [`names`].
pub async fn names_within(
    tx: &mut PgConnection,
    state: &AppState,
    ids: &[UserId],
) -> ApiResult<HashMap<UserId, String>> {
    let called = open_called(state, called_rows(tx, ids).await?).await?;
    let called = called.into_iter();
    Ok(called.map(|(id, called)| (id, called.name)).collect())
}

/// What a user is called.
#[derive(Clone, Debug)]
pub struct Called {
    /// As people say it.
    pub name: String,
    /// Which tells two of one name apart.
    pub login: String,
}

/// As `names`, with the logins, for choosing someone.
///
/// # Errors
/// When the database fails or a name does not open.
pub async fn called(state: &AppState, ids: &[UserId]) -> ApiResult<HashMap<UserId, Called>> {
    let mut tx = system_tx(&state.pool).await?;
    let rows = called_rows(&mut tx, ids).await?;
    drop(tx);
    open_called(state, rows).await
}

async fn called_rows(tx: &mut PgConnection, ids: &[UserId]) -> ApiResult<Vec<UserRow>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(store::by_ids(tx, &ids).await?)
}

async fn open_called(state: &AppState, rows: Vec<UserRow>) -> ApiResult<HashMap<UserId, Called>> {
    let mut users = HashMap::with_capacity(rows.len());
    for row in rows {
        let name = name::open(state, &row).await?;
        let login = row.login;
        users.insert(UserId(row.id), Called { name, login });
    }
    Ok(users)
}

/// A user that the actor may see with this permission; else 'not found'.
pub(super) async fn find_user(
    state: &AppState,
    actor: &Actor,
    permission: Permission,
    id: UserId,
) -> ApiResult<UserRow> {
    actor.trail.note_subject("user", id);
    let mut tx = scoped_tx(&state.pool, actor, permission).await?;
    require_user(&mut tx, id).await
}

async fn require_user(tx: &mut PgConnection, id: UserId) -> ApiResult<UserRow> {
    store::by_id(tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这个用户"))
}

/// Locks a user below the actor, in a transaction of the actor's areas.
async fn lock_below(
    state: &AppState,
    actor: &Actor,
    id: UserId,
    rule: fn(&Actor, &[super::model::Grant]) -> ApiResult<()>,
) -> ApiResult<(crate::database::Tx, UserRow)> {
    let row = find_user(state, actor, Permission::ManageUsers, id).await?;
    let mut tx = system_tx(&state.pool).await?;
    store::lock(&mut tx, id.0).await?;
    let theirs = grants::in_force(state, &mut tx, id).await?;
    require_other(actor, id)?;
    rule(actor, &theirs)?;
    actor.narrow(&mut tx, Permission::ManageUsers).await?;
    Ok((tx, row))
}

fn require_other(actor: &Actor, id: UserId) -> ApiResult<()> {
    if actor.user == id {
        return Err(ApiError::conflict(
            "own_account",
            "不能管理自己的账号，请由上级管理员办理",
        ));
    }
    Ok(())
}

async fn view(state: &AppState, actor: &Actor, row: UserRow) -> ApiResult<UserView> {
    let views = views(state, actor, vec![row]).await?;
    let first = views.into_iter().next();
    first.ok_or_else(|| ApiError::not_found("这个用户"))
}

/// Users as the actor sees them: with their roles, and what the actor may do about them.
async fn views(state: &AppState, actor: &Actor, rows: Vec<UserRow>) -> ApiResult<Vec<UserView>> {
    let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.id).collect();
    let logins: Vec<&str> = rows.iter().map(|row| row.login.as_str()).collect();
    let mut tx = system_tx(&state.pool).await?;
    let held = grants::in_force_of_all(state, &mut tx, &ids).await?;
    let locked = auth::service::locked_out(state, &mut tx, &logins).await?;
    let with_factor = auth::service::with_second_factor(&mut tx, &ids).await?;
    drop(tx);
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let theirs: &[super::model::Grant] = held.get(&UserId(row.id)).map_or(&[], Vec::as_slice);
        let below =
            actor.user.0 != row.id && actor.why(Permission::ManageUsers, &row.area_code).is_some();
        views.push(UserView {
            name: name::open(state, &row).await?,
            status: row.status(),
            roles: theirs.iter().map(Into::into).collect(),
            locked_until: locked.get(&row.login).copied(),
            manageable: below && authority::require_above(actor, theirs).is_ok(),
            second_factor: with_factor.contains(&row.id),
            resettable: below && authority::require_could_grant_all(actor, theirs).is_ok(),
            id: row.id,
            login: row.login,
            area: row.area_code,
            version: row.version,
            created_at: row.created_at,
        });
    }
    Ok(views)
}

/// Makes a typed text mean itself in a LIKE pattern.
fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}
