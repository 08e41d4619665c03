//! Grants: give, take back, list, and what they add up to.

use std::collections::{BTreeMap, HashMap};

use chrono::{Days, NaiveDate};
use doorstep_core::ids::{AreaCode, UserId};
use doorstep_core::rights::{Permission, Role};
use doorstep_core::time::begins_in_shanghai;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::accounts::{self, find_user};
use super::authority;
use super::model::{
    Account, Grant, GrantRole, GrantRow, GrantState, GrantView, RightView, UserStatus,
};
use super::{store, tag};
use crate::database::{system_tx, widen};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::domains::devices;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::area_in;
use crate::keys::MacPurpose;
use crate::live::Notice;
use crate::random;
use crate::state::AppState;

/// Gives a user of the actor's areas a role, within the actor's area and below the actor's level.
///
/// # Errors
/// `beyond_own_level`, `roles_apart`, `already_granted`, `own_grant`, or wrong fields.
pub async fn grant_role(
    state: &AppState,
    actor: &Actor,
    user: UserId,
    input: GrantRole,
) -> ApiResult<GrantView> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, Some(&input.area));
    let role: Option<Role> = input.role.parse().ok().filter(|role| *role != Role::Server);
    problems.require(
        role.is_some(),
        "role",
        "unknown_role",
        "没有这种角色，请重新选择",
    );
    let past = input.ends_on.is_some_and(|day| day < state.clock.today());
    problems.require(!past, "ends_on", "past", "截止日期不能早于今天");
    problems.finish()?;
    let (Some(area), Some(role)) = (area, role) else {
        return Err(ApiError::not_found("这个区划"));
    };
    authority::require_grant(actor, role, &area)?;
    find_user(state, actor, Permission::GrantRoles, user).await?;
    if actor.user == user {
        return Err(ApiError::conflict(
            "own_grant",
            "不能给自己授权，请由上级管理员办理",
        ));
    }

    let mut tx = system_tx(&state.pool).await?;
    // The lock keeps two administrators from giving one user roles that must stay apart.
    let row = store::lock(&mut tx, user.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这个用户"))?;
    if row.status() == UserStatus::Closed {
        return Err(ApiError::conflict(
            "account_closed",
            "这个账号已停用，请先恢复再授权",
        ));
    }
    let held = in_force(state, &mut tx, user).await?;
    if let Some(other) = held.iter().find(|grant| grant.role.kept_apart(role)) {
        return Err(ApiError::conflict(
            "roles_apart",
            format!(
                "“{}”与该用户已有的“{}”不能由同一人担任",
                role.label(),
                other.role.label()
            ),
        ));
    }
    if held
        .iter()
        .any(|grant| grant.role == role && grant.area == area && grant.ends_on == input.ends_on)
    {
        return Err(ApiError::conflict("already_granted", "该用户已有这项授权"));
    }
    actor.narrow(&mut tx, Permission::GrantRoles).await?;
    let row = insert(
        state,
        &mut tx,
        user,
        role,
        area,
        input.ends_on,
        actor.person(),
    )
    .await?;
    let detail = json!({ "role": role, "ends_on": input.ends_on, "grant": row.id });
    let entry = Entry::by(actor, state.clock.now(), Action::GrantRole)
        .subject("user", user)
        .area(area)
        .detail(detail);
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    state.live.tell(Notice::RightsChanged(user));
    let names = accounts::names(state, &givers(std::slice::from_ref(&row))).await?;
    Ok(view(state, actor, &row, &names))
}

/// Takes a grant back.
///
/// # Errors
/// `beyond_own_level`, `already_revoked`, `own_grant`, or `not_found`.
pub async fn revoke_grant(state: &AppState, actor: &Actor, id: Uuid) -> ApiResult<()> {
    actor.trail.note_subject("grant", id);
    let mut tx = system_tx(&state.pool).await?;
    actor.narrow(&mut tx, Permission::GrantRoles).await?;
    let missing = || ApiError::not_found("这项授权");
    let mut row = store::grant_by_id(&mut tx, id).await?.ok_or_else(missing)?;
    let (role, area) = match (row.role.parse::<Role>(), row.area_code.parse::<AreaCode>()) {
        (Ok(role), Ok(area)) => (role, area),
        _ => return Err(missing()),
    };
    authority::require_grant(actor, role, &area)?;
    if row.user_id == actor.user.0 {
        return Err(ApiError::conflict(
            "own_grant",
            "不能收回自己的授权，请由上级管理员办理",
        ));
    }
    row.revoked_by = actor.person().map(|id| id.0);
    row.revoked_at = Some(now_as_stored(state));
    row.tag = tag::compute(key(state), &row).to_vec();
    if !store::revoke_grant(&mut tx, &row).await? {
        return Err(ApiError::conflict("already_revoked", "这项授权已被收回"));
    }
    let user = UserId(row.user_id);
    let detail = json!({ "role": role, "grant": id });
    let entry = Entry::by(actor, state.clock.now(), Action::RevokeGrant)
        .subject("user", user)
        .area(area)
        .detail(detail);
    // Whoever is online is told at once, and says so when it is done. The devices lie where their user works, which may
    // be elsewhere by now.
    widen(&mut tx).await?;
    devices::service::owe_purge(&mut tx, &[user], state.clock.now()).await?;
    // The log's head last: contacts lock devices and then the head, and each would wait for the other.
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    state.live.tell(Notice::RightsChanged(user));
    Ok(())
}

/// Notes which devices hold what a right that ended by its date gave them: those that have not synced since. A
/// week is looked back, for a server that was away.
///
/// # Errors
/// When the database fails.
pub async fn note_ended(state: &AppState) -> ApiResult<()> {
    let today = state.clock.today();
    let (first, last) = (today - Days::new(7), today - Days::new(1));
    let mut tx = system_tx(&state.pool).await?;
    let mut ended: BTreeMap<NaiveDate, Vec<UserId>> = BTreeMap::new();
    for (user, day) in store::ended_between(&mut tx, first, last).await? {
        ended.entry(day).or_default().push(UserId(user));
    }
    for (day, users) in ended {
        let since = begins_in_shanghai(day + Days::new(1));
        devices::service::owe_purge(&mut tx, &users, since).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Every grant that a user ever had, with what it is worth now.
///
/// # Errors
/// `not_found`.
pub async fn list_grants(
    state: &AppState,
    actor: &Actor,
    user: UserId,
) -> ApiResult<Vec<GrantView>> {
    let row = find_user(state, actor, Permission::ReadUsers, user).await?;
    actor.trail.note_area(row.area_code);
    let mut tx = system_tx(&state.pool).await?;
    let rows = store::grants_of(&mut tx, user.0).await?;
    drop(tx);
    let names = accounts::names(state, &givers(&rows)).await?;
    Ok(rows
        .iter()
        .map(|row| view(state, actor, row, &names))
        .collect())
}

fn givers(rows: &[GrantRow]) -> Vec<UserId> {
    rows.iter()
        .filter_map(|row| row.granted_by.map(UserId))
        .collect()
}

/// What a user may do, where, and through which grant.
pub(super) async fn list_rights(
    state: &AppState,
    actor: &Actor,
    user: UserId,
) -> ApiResult<Vec<RightView>> {
    let row = find_user(state, actor, Permission::ReadUsers, user).await?;
    actor.trail.note_area(row.area_code);
    let mut tx = system_tx(&state.pool).await?;
    Ok(RightView::of(&in_force(state, &mut tx, user).await?))
}

/// The grants of a user that hold today and are as the server wrote them.
///
/// # Errors
/// When the database fails.
pub async fn grants_of(
    state: &AppState,
    tx: &mut PgConnection,
    user: UserId,
) -> ApiResult<Vec<Grant>> {
    in_force(state, tx, user).await
}

/// The account of a user with the grants that hold today: one question for what every request and sign-in asks.
///
/// # Errors
/// When the database fails.
pub async fn account_with_grants(
    state: &AppState,
    tx: &mut PgConnection,
    user: UserId,
) -> ApiResult<Option<(Account, Vec<Grant>)>> {
    let rows = store::account_with_grants(tx, user.0).await?;
    let grants = rows.iter().filter_map(|row| row.grant.as_ref());
    let grants = grants.filter_map(|row| sound(state, row)).collect();
    let account = rows.into_iter().next().map(|row| row.account);
    Ok(account.map(|account| (account, grants)))
}

/// Who may do something in an area, through a grant on it or on an area above, and whose account is open: for assigning
/// work and telling people.
///
/// # Errors
/// When the database fails.
pub async fn holders(
    state: &AppState,
    permission: Permission,
    area: &AreaCode,
) -> ApiResult<Vec<Grant>> {
    let mut tx = system_tx(&state.pool).await?;
    holders_within(&mut tx, state, permission, area).await
}

/// The same where a transaction is open already (a system one).
///
/// # Errors
/// When the database fails.
pub async fn holders_within(
    tx: &mut PgConnection,
    state: &AppState,
    permission: Permission,
    area: &AreaCode,
) -> ApiResult<Vec<Grant>> {
    let text = area.as_str();
    // The area itself and what can lie above it: 12, 9, 6, 4 and 2 significant digits.
    let above: Vec<String> = [12, 9, 6, 4, 2]
        .iter()
        .map(|digits| format!("{:0<12}", &text[..*digits]))
        .collect();
    let rows = store::grants_covering(tx, &above).await?;
    let grants = rows.iter().filter_map(|row| sound(state, row));
    Ok(grants
        .filter(|grant| grant.role.may(permission) && grant.area.contains(area))
        .collect())
}

pub(super) async fn in_force(
    state: &AppState,
    tx: &mut PgConnection,
    user: UserId,
) -> ApiResult<Vec<Grant>> {
    let rows = store::live_grants_of(tx, user.0).await?;
    Ok(rows.iter().filter_map(|row| sound(state, row)).collect())
}

/// The grants of several users that hold today, by user.
pub(super) async fn in_force_of_all(
    state: &AppState,
    tx: &mut PgConnection,
    users: &[Uuid],
) -> ApiResult<HashMap<UserId, Vec<Grant>>> {
    let rows = store::live_grants_of_all(tx, users).await?;
    let mut held: HashMap<UserId, Vec<Grant>> = HashMap::new();
    for grant in rows.iter().filter_map(|row| sound(state, row)) {
        held.entry(grant.user).or_default().push(grant);
    }
    Ok(held)
}

pub(super) async fn live_of_role(
    state: &AppState,
    tx: &mut PgConnection,
    role: Role,
) -> ApiResult<Vec<Grant>> {
    let rows = store::live_grants_of_role(tx, role.code()).await?;
    Ok(rows.iter().filter_map(|row| sound(state, row)).collect())
}

pub(super) async fn insert(
    state: &AppState,
    tx: &mut PgConnection,
    user: UserId,
    role: Role,
    area: AreaCode,
    ends_on: Option<NaiveDate>,
    by: Option<UserId>,
) -> ApiResult<GrantRow> {
    let row = new(state, user, role, area, ends_on, by)?;
    store::create_grant(tx, &row).await?;
    Ok(row)
}

/// A grant as of now with its tag, not written yet.
pub(super) fn new(
    state: &AppState,
    user: UserId,
    role: Role,
    area: AreaCode,
    ends_on: Option<NaiveDate>,
    by: Option<UserId>,
) -> ApiResult<GrantRow> {
    let mut row = GrantRow {
        id: random::id(state.clock.timestamp(), UserId::new)?.0,
        user_id: user.0,
        role: role.code().into(),
        area_code: area.to_string(),
        ends_on,
        granted_by: by.map(|id| id.0),
        granted_at: now_as_stored(state),
        revoked_by: None,
        revoked_at: None,
        tag: Vec::new(),
    };
    row.tag = tag::compute(key(state), &row).to_vec();
    Ok(row)
}

/// The grant of a row, if it is in force. A row edited past the server is none, and is reported.
fn sound(state: &AppState, row: &GrantRow) -> Option<Grant> {
    match state_of(state, row) {
        GrantState::InForce => Some(Grant {
            id: row.id,
            user: UserId(row.user_id),
            role: row.role.parse().ok()?,
            area: row.area_code.parse().ok()?,
            ends_on: row.ends_on,
            granted_by: row.granted_by.map(UserId),
            granted_at: row.granted_at,
        }),
        GrantState::Tampered => {
            metrics::counter!("grants_tampered_total").increment(1);
            tracing::error!(grant = %row.id, user = %row.user_id, "a grant was edited past the server; it gives no right");
            None
        }
        GrantState::Ended | GrantState::Revoked => None,
    }
}

fn state_of(state: &AppState, row: &GrantRow) -> GrantState {
    if !tag::fits(key(state), row) || row.role.parse::<Role>().is_err() {
        GrantState::Tampered
    } else if row.revoked_at.is_some() {
        GrantState::Revoked
    } else if row.ends_on.is_some_and(|day| day < state.clock.today()) {
        GrantState::Ended
    } else {
        GrantState::InForce
    }
}

fn view(
    state: &AppState,
    actor: &Actor,
    row: &GrantRow,
    names: &HashMap<UserId, String>,
) -> GrantView {
    let worth = state_of(state, row);
    let theirs = (row.role.parse(), row.area_code.parse());
    let reached =
        matches!(theirs, (Ok(role), Ok(area)) if authority::may_grant(actor, role, &area));
    GrantView {
        id: row.id,
        user: row.user_id,
        role: row.role.clone(),
        role_label: row
            .role
            .parse::<Role>()
            .map_or_else(|_| row.role.clone(), |role| role.label().into()),
        area: row.area_code.clone(),
        ends_on: row.ends_on,
        granted_by: row.granted_by,
        granted_by_name: row
            .granted_by
            .and_then(|id| names.get(&UserId(id)).cloned()),
        granted_at: row.granted_at,
        state: worth,
        revocable: reached && worth == GrantState::InForce && row.user_id != actor.user.0,
    }
}

fn key(state: &AppState) -> &[u8; 32] {
    state.keys.provider().mac_key(MacPurpose::Grants)
}

/// The database keeps microseconds; the tag must cover what is read back.
fn now_as_stored(state: &AppState) -> chrono::DateTime<chrono::Utc> {
    use chrono::SubsecRound;
    state.clock.now().trunc_subsecs(6)
}
