//! SQL of users and grants.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{GrantRow, HolderRow, UserRow};

const CREATE: &str = "INSERT INTO users (id, login, name_sealed, name_key_version, name_token, area_code, status, \
     created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $8)";
const BY_ID: &str = "SELECT id, login, name_sealed, name_key_version, area_code::text, status, version, created_at \
     FROM users WHERE id = $1";
const BY_IDS: &str = "SELECT id, login, name_sealed, name_key_version, area_code::text, status, version, created_at \
     FROM users WHERE id = ANY ($1)";
const LOCK: &str = "SELECT id, login, name_sealed, name_key_version, area_code::text, status, version, created_at \
     FROM users WHERE id = $1 FOR UPDATE";
const HOLD: &str = "SELECT id, login, name_sealed, name_key_version, area_code::text, status, version, created_at \
     FROM users WHERE id = $1 FOR NO KEY UPDATE";
const BY_LOGIN: &str = "SELECT id, login, name_sealed, name_key_version, area_code::text, status, version, created_at \
     FROM users WHERE login = $1";
const UPDATE: &str = "UPDATE users SET name_sealed = $2, name_key_version = $3, name_token = $4, area_code = $5, \
     status = $6, version = version + 1 WHERE id = $1";
const LIST: &str = include_str!("sql/list.sql");

const ACCOUNT_WITH_GRANTS: &str = include_str!("sql/account_with_grants.sql");
const GRANTS_OF: &str = "SELECT id, user_id, role, area_code::text, ends_on, granted_by, granted_at, revoked_by, \
     revoked_at, tag FROM grants WHERE user_id = $1 ORDER BY granted_at, id";
const LIVE_GRANTS_OF: &str = "SELECT id, user_id, role, area_code::text, ends_on, granted_by, granted_at, revoked_by, \
     revoked_at, tag FROM grants WHERE user_id = $1 AND revoked_at IS NULL ORDER BY granted_at, id";
const LIVE_GRANTS_OF_ALL: &str = "SELECT id, user_id, role, area_code::text, ends_on, granted_by, granted_at, \
     revoked_by, revoked_at, tag FROM grants WHERE user_id = ANY ($1) AND revoked_at IS NULL ORDER BY granted_at, id";
const ENDED_BETWEEN: &str = "SELECT DISTINCT user_id, ends_on FROM grants \
     WHERE revoked_at IS NULL AND ends_on BETWEEN $1 AND $2 ORDER BY ends_on";
const GRANT_BY_ID: &str = "SELECT id, user_id, role, area_code::text, ends_on, granted_by, granted_at, revoked_by, \
     revoked_at, tag FROM grants WHERE id = $1";
const LIVE_GRANTS_OF_ROLE: &str = "SELECT id, user_id, role, area_code::text, ends_on, granted_by, granted_at, \
     revoked_by, revoked_at, tag FROM grants WHERE role = $1 AND revoked_at IS NULL";
const CREATE_GRANT: &str = "INSERT INTO grants (id, user_id, role, area_code, ends_on, granted_by, granted_at, tag) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const REVOKE_GRANT: &str = "UPDATE grants SET revoked_by = $2, revoked_at = $3, tag = $4 WHERE id = $1 AND revoked_at IS NULL";
const USERS_OF_AREA: &str = include_str!("sql/users_of_area.sql");

/// A user to be written.
#[derive(Debug)]
pub(super) struct NewUser<'a> {
    pub(super) id: Uuid,
    pub(super) login: &'a str,
    pub(super) name: SealedName,
    pub(super) area: &'a str,
    pub(super) at: DateTime<Utc>,
    pub(super) by: Option<Uuid>,
}

/// A person's name as it is stored.
#[derive(Debug)]
pub(super) struct SealedName {
    pub(super) sealed: Vec<u8>,
    pub(super) key_version: i32,
    pub(super) token: i64,
}

/// Which users to list.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) area_pattern: Option<String>,
    pub(super) login_pattern: Option<String>,
    pub(super) name_token: Option<i64>,
    pub(super) role: Option<String>,
    pub(super) status: Option<&'static str>,
    pub(super) after: Option<Uuid>,
    pub(super) rows: i64,
}

pub(super) async fn create(tx: &mut PgConnection, user: &NewUser<'_>) -> sqlx::Result<()> {
    sqlx::query(CREATE)
        .bind(user.id)
        .bind(user.login)
        .bind(&user.name.sealed)
        .bind(user.name.key_version)
        .bind(user.name.token)
        .bind(user.area)
        .bind(user.at)
        .bind(user.by)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn by_id(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(BY_ID).bind(id).fetch_optional(tx).await
}

pub(super) async fn by_ids(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<UserRow>> {
    sqlx::query_as(BY_IDS).bind(ids).fetch_all(tx).await
}

pub(super) async fn lock(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(LOCK).bind(id).fetch_optional(tx).await
}

pub(super) async fn hold(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(HOLD).bind(id).fetch_optional(tx).await
}

pub(super) async fn by_login(tx: &mut PgConnection, login: &str) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(BY_LOGIN)
        .bind(login)
        .fetch_optional(tx)
        .await
}

pub(super) async fn update(
    tx: &mut PgConnection,
    id: Uuid,
    name: &SealedName,
    area: &str,
    status: &str,
) -> sqlx::Result<()> {
    sqlx::query(UPDATE)
        .bind(id)
        .bind(&name.sealed)
        .bind(name.key_version)
        .bind(name.token)
        .bind(area)
        .bind(status)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn list(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<UserRow>> {
    sqlx::query_as(LIST)
        .bind(filter.after)
        .bind(&filter.area_pattern)
        .bind(&filter.login_pattern)
        .bind(filter.name_token)
        .bind(&filter.role)
        .bind(filter.status)
        .bind(filter.rows)
        .fetch_all(tx)
        .await
}

/// An account, once for each grant that nobody took back, and once without where there is none.
pub(super) async fn account_with_grants(
    tx: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Vec<HolderRow>> {
    sqlx::query_as(ACCOUNT_WITH_GRANTS)
        .bind(id)
        .fetch_all(tx)
        .await
}

pub(super) async fn grants_of(tx: &mut PgConnection, user: Uuid) -> sqlx::Result<Vec<GrantRow>> {
    sqlx::query_as(GRANTS_OF).bind(user).fetch_all(tx).await
}

pub(super) async fn live_grants_of(
    tx: &mut PgConnection,
    user: Uuid,
) -> sqlx::Result<Vec<GrantRow>> {
    sqlx::query_as(LIVE_GRANTS_OF)
        .bind(user)
        .fetch_all(tx)
        .await
}

pub(super) async fn live_grants_of_all(
    tx: &mut PgConnection,
    users: &[Uuid],
) -> sqlx::Result<Vec<GrantRow>> {
    sqlx::query_as(LIVE_GRANTS_OF_ALL)
        .bind(users)
        .fetch_all(tx)
        .await
}

/// Whose grants ended by their date between two days, and when.
pub(super) async fn ended_between(
    tx: &mut PgConnection,
    first: NaiveDate,
    last: NaiveDate,
) -> sqlx::Result<Vec<(Uuid, NaiveDate)>> {
    sqlx::query_as(ENDED_BETWEEN)
        .bind(first)
        .bind(last)
        .fetch_all(tx)
        .await
}

pub(super) async fn live_grants_of_role(
    tx: &mut PgConnection,
    role: &str,
) -> sqlx::Result<Vec<GrantRow>> {
    sqlx::query_as(LIVE_GRANTS_OF_ROLE)
        .bind(role)
        .fetch_all(tx)
        .await
}

pub(super) async fn grant_by_id(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<GrantRow>> {
    sqlx::query_as(GRANT_BY_ID)
        .bind(id)
        .fetch_optional(tx)
        .await
}

pub(super) async fn create_grant(tx: &mut PgConnection, row: &GrantRow) -> sqlx::Result<()> {
    sqlx::query(CREATE_GRANT)
        .bind(row.id)
        .bind(row.user_id)
        .bind(&row.role)
        .bind(&row.area_code)
        .bind(row.ends_on)
        .bind(row.granted_by)
        .bind(row.granted_at)
        .bind(&row.tag)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn revoke_grant(tx: &mut PgConnection, row: &GrantRow) -> sqlx::Result<bool> {
    let done = sqlx::query(REVOKE_GRANT)
        .bind(row.id)
        .bind(row.revoked_by)
        .bind(row.revoked_at)
        .bind(&row.tag)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Live grants that cover an area: of it, or of one of its parents.
pub(super) async fn grants_covering(
    tx: &mut PgConnection,
    areas: &[String],
) -> sqlx::Result<Vec<GrantRow>> {
    sqlx::query_as(USERS_OF_AREA)
        .bind(areas)
        .fetch_all(tx)
        .await
}
