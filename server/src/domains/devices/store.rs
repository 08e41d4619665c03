//! SQL of devices.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::DeviceRow;
use super::service::Contact;

const CREATE: &str = "INSERT INTO devices (id, user_id, area_code, public_key, name, platform, status, status_set_at, \
     enrolled_at, last_contact_at) VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $7, $7)";
const BY_ID: &str = "SELECT id, user_id, area_code::text, public_key, name, platform, status, status_set_at, \
     status_reason, enrolled_at, last_contact_at, last_sync_at, unsent, unsent_since, purge_owed_since FROM devices \
     WHERE id = $1";
const LOCK: &str = "SELECT id, user_id, area_code::text, public_key, name, platform, status, status_set_at, \
     status_reason, enrolled_at, last_contact_at, last_sync_at, unsent, unsent_since, purge_owed_since FROM devices \
     WHERE id = $1 FOR UPDATE";
const LIST: &str = include_str!("sql/list.sql");
const LIST_UNSENT: &str = include_str!("sql/list_unsent.sql");
const OF_USER: &str = "SELECT count(*) FILTER (WHERE status = 'active'), max(stopped_at) FROM devices WHERE user_id = $1";
const STOP: &str = "UPDATE devices SET status = $2, status_set_at = $3, status_set_by = $4, status_reason = $5, \
     stopped_at = coalesce(stopped_at, $3) WHERE id = $1";
const NOTE_WIPED: &str = "UPDATE devices SET status = 'wiped', status_set_at = $2, last_contact_at = $2, \
     purge_owed_since = NULL WHERE id = $1 AND status = 'wipe_ordered'";
const NOTE_CONTACT: &str = "UPDATE devices SET last_contact_at = $2 WHERE id = $1";
const FOLLOW_USER: &str =
    "UPDATE devices SET area_code = $2 WHERE user_id = $1 AND area_code <> $2";
const OWE_PURGE: &str = include_str!("sql/owe_purge.sql");
const NOTE_PURGE_OWED: &str =
    "UPDATE devices SET purge_owed_since = $2 WHERE id = $1 AND purge_owed_since IS NULL";
const NOTE_PURGED: &str =
    "UPDATE devices SET purge_owed_since = NULL, last_sync_at = $2 WHERE id = $1";
const NAMES: &str = "SELECT id, name FROM devices WHERE id = ANY($1)";
const NOTE_CONTACTS: &str = include_str!("sql/note_contacts.sql");

/// Which devices to list.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) area_pattern: Option<String>,
    pub(super) user: Option<Uuid>,
    pub(super) status: Option<&'static str>,
    pub(super) purge_owed: bool,
    pub(super) rows: i64,
}

pub(super) async fn create(tx: &mut PgConnection, row: &DeviceRow) -> sqlx::Result<()> {
    sqlx::query(CREATE)
        .bind(row.id)
        .bind(row.user_id)
        .bind(row.area_code.as_str())
        .bind(&row.public_key)
        .bind(&row.name)
        .bind(&row.platform)
        .bind(row.enrolled_at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn by_id(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<DeviceRow>> {
    sqlx::query_as(BY_ID).bind(id).fetch_optional(tx).await
}

/// As `by_id`; nobody else changes it until the transaction ends.
pub(super) async fn lock(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<DeviceRow>> {
    sqlx::query_as(LOCK).bind(id).fetch_optional(tx).await
}

pub(super) async fn list(
    tx: &mut PgConnection,
    filter: &Filter,
    after: Option<Uuid>,
) -> sqlx::Result<Vec<DeviceRow>> {
    sqlx::query_as(LIST)
        .bind(after)
        .bind(&filter.area_pattern)
        .bind(filter.user)
        .bind(filter.status)
        .bind(filter.rows)
        .bind(filter.purge_owed)
        .fetch_all(tx)
        .await
}

/// Those that have something unsent, the longest first.
pub(super) async fn list_unsent(
    tx: &mut PgConnection,
    filter: &Filter,
    after: Option<(DateTime<Utc>, Uuid)>,
) -> sqlx::Result<Vec<DeviceRow>> {
    sqlx::query_as(LIST_UNSENT)
        .bind(after.map(|(since, _)| since))
        .bind(after.map(|(_, id)| id))
        .bind(&filter.area_pattern)
        .bind(filter.user)
        .bind(filter.status)
        .bind(filter.rows)
        .bind(filter.purge_owed)
        .fetch_all(tx)
        .await
}

pub(super) async fn names(
    tx: &mut PgConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as(NAMES).bind(ids).fetch_all(tx).await
}

/// How many of the user's devices may connect, and when one was last stopped.
pub(super) async fn of_user(
    tx: &mut PgConnection,
    user: Uuid,
) -> sqlx::Result<(i64, Option<DateTime<Utc>>)> {
    sqlx::query_as(OF_USER).bind(user).fetch_one(tx).await
}

pub(super) async fn stop(
    tx: &mut PgConnection,
    id: Uuid,
    status: &str,
    at: DateTime<Utc>,
    by: Option<Uuid>,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query(STOP)
        .bind(id)
        .bind(status)
        .bind(at)
        .bind(by)
        .bind(reason)
        .execute(tx)
        .await?;
    Ok(())
}

/// A device wiped what it held; why it was to do so stays.
pub(super) async fn note_wiped(
    tx: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(NOTE_WIPED)
        .bind(id)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn note_contact(
    tx: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(NOTE_CONTACT)
        .bind(id)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn note_contacts(tx: &mut PgConnection, contacts: &[Contact]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = contacts.iter().map(|contact| contact.device.0).collect();
    let at: Vec<DateTime<Utc>> = contacts.iter().map(|contact| contact.at).collect();
    let unsent: Vec<i32> = contacts
        .iter()
        .map(|contact| i32::try_from(contact.unsent).unwrap_or(i32::MAX))
        .collect();
    sqlx::query(NOTE_CONTACTS)
        .bind(ids)
        .bind(at)
        .bind(unsent)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn follow_user(tx: &mut PgConnection, user: Uuid, area: &str) -> sqlx::Result<()> {
    sqlx::query(FOLLOW_USER)
        .bind(user)
        .bind(area)
        .execute(tx)
        .await?;
    Ok(())
}

/// Devices of these users that have not synced since owe a purge.
pub(super) async fn owe_purge(
    tx: &mut PgConnection,
    users: &[Uuid],
    since: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(OWE_PURGE)
        .bind(users)
        .bind(since)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn note_purge_owed(
    tx: &mut PgConnection,
    id: Uuid,
    since: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(NOTE_PURGE_OWED)
        .bind(id)
        .bind(since)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn note_purged(
    tx: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(NOTE_PURGED)
        .bind(id)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}
