//! The conflict queue's SQL, and nothing else.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::rows::{ConflictRow, RefusedRow};

const LIST: &str = include_str!("sql/list.sql");
const COUNTS: &str = include_str!("sql/counts.sql");
const FIND: &str = include_str!("sql/find.sql");
const LOCK: &str = include_str!("sql/lock.sql");
const REFUSED: &str = "SELECT id, device_id, user_id, code, field, refused_at, body FROM refused_items \
    WHERE conflict_id = $1 ORDER BY id";
const DECIDE: &str = include_str!("sql/decide.sql");
const REOPEN: &str = include_str!("sql/reopen.sql");
const ASSIGN: &str = "UPDATE conflicts SET assignee = $2, due_at = $3, assigned_by = $4, assigned_at = $5, \
    version = version + 1 WHERE id = $1";
const NEXT_UNCHECKED: &str = include_str!("sql/next_unchecked.sql");
const NOTE_CHECKED: &str = "UPDATE conflicts SET checks_opened_at = $2 WHERE id = $1";
const OPEN_OF_RECORD: &str = "SELECT id FROM conflicts WHERE record_id = $1 AND status = 'open' AND kind = ANY($2) AND id <> $3 \
    ORDER BY id FOR UPDATE";
const OPEN_PAIR: &str = "SELECT id FROM conflicts WHERE kind = 'duplicate_person' AND status = 'open' \
    AND id <> $3 AND ((record_id = $1 AND other_id = $2) OR (record_id = $2 AND other_id = $1)) \
    ORDER BY id FOR UPDATE";

/// Which items.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Where the codes of areas begin and end (see `database::between`).
    pub(super) areas: Option<(String, String)>,
    pub(super) kind: Option<&'static str>,
    pub(super) status: Option<&'static str>,
    pub(super) assignee: Option<Uuid>,
    pub(super) unassigned: bool,
    pub(super) field: Option<String>,
    pub(super) record: Option<Uuid>,
    pub(super) due_before: Option<DateTime<Utc>>,
    pub(super) opened_before: Option<DateTime<Utc>>,
    pub(super) after: Option<(DateTime<Utc>, Uuid)>,
    pub(super) rows: i64,
}

pub(super) async fn list(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<ConflictRow>> {
    sqlx::query_as(LIST)
        .bind(filter.areas.as_ref().map(|areas| &areas.0))
        .bind(filter.kind)
        .bind(filter.status)
        .bind(filter.assignee)
        .bind(filter.unassigned)
        .bind(&filter.field)
        .bind(filter.record)
        .bind(filter.due_before)
        .bind(filter.opened_before)
        .bind(filter.after.map(|after| after.0))
        .bind(filter.after.map(|after| after.1))
        .bind(filter.rows)
        .bind(filter.areas.as_ref().map(|areas| &areas.1))
        .fetch_all(tx)
        .await
}

/// Kind, items, of these overdue at `now`.
pub(super) async fn counts(
    tx: &mut PgConnection,
    filter: &Filter,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(String, i64, i64)>> {
    sqlx::query_as(COUNTS)
        .bind(filter.areas.as_ref().map(|areas| &areas.0))
        .bind(filter.status)
        .bind(filter.assignee)
        .bind(filter.unassigned)
        .bind(&filter.field)
        .bind(filter.record)
        .bind(filter.due_before)
        .bind(filter.opened_before)
        .bind(now)
        .bind(filter.areas.as_ref().map(|areas| &areas.1))
        .fetch_all(tx)
        .await
}

pub(super) async fn find(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<ConflictRow>> {
    sqlx::query_as(FIND).bind(id).fetch_optional(tx).await
}

pub(super) async fn lock(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<ConflictRow>> {
    sqlx::query_as(LOCK).bind(id).fetch_optional(tx).await
}

pub(super) async fn refused(
    tx: &mut PgConnection,
    conflict: Uuid,
) -> sqlx::Result<Vec<RefusedRow>> {
    sqlx::query_as(REFUSED).bind(conflict).fetch_all(tx).await
}

/// How an item ends.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) id: Uuid,
    pub(super) status: &'static str,
    pub(super) at: DateTime<Utc>,
    pub(super) by: Uuid,
    pub(super) decision: &'a str,
    pub(super) outcome: &'a [u8],
}

pub(super) async fn decide(tx: &mut PgConnection, end: &End<'_>) -> sqlx::Result<()> {
    sqlx::query(DECIDE)
        .bind(end.id)
        .bind(end.status)
        .bind(end.at)
        .bind(end.by)
        .bind(end.decision)
        .bind(end.outcome)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn reopen(
    tx: &mut PgConnection,
    ids: &[Uuid],
    due: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(REOPEN).bind(ids).bind(due).execute(tx).await?;
    Ok(())
}

pub(super) async fn assign(
    tx: &mut PgConnection,
    id: Uuid,
    assignee: Option<Uuid>,
    due: DateTime<Utc>,
    by: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(ASSIGN)
        .bind(id)
        .bind(assignee)
        .bind(due)
        .bind(by)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

/// The oldest claim to a main residence without checks, locked unless another node has it.
pub(super) async fn next_unchecked(tx: &mut PgConnection) -> sqlx::Result<Option<ConflictRow>> {
    sqlx::query_as(NEXT_UNCHECKED).fetch_optional(tx).await
}

pub(super) async fn note_checked(
    tx: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(NOTE_CHECKED)
        .bind(id)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

/// Other open items of these kinds on a record, locked.
pub(super) async fn open_of_record(
    tx: &mut PgConnection,
    record: Uuid,
    kinds: &[&str],
    but: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(OPEN_OF_RECORD)
        .bind(record)
        .bind(kinds)
        .bind(but)
        .fetch_all(tx)
        .await
}

/// Other open items that hold these two for one person, locked.
pub(super) async fn open_pair(
    tx: &mut PgConnection,
    one: Uuid,
    two: Uuid,
    but: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(OPEN_PAIR)
        .bind(one)
        .bind(two)
        .bind(but)
        .fetch_all(tx)
        .await
}
