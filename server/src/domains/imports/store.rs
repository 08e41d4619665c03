//! SQL of imports, and nothing else.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use super::model::{Counts, ImportRow, Options, RowRow};

const CREATE: &str = include_str!("sql/create.sql");
const INSERT_ROWS: &str = include_str!("sql/insert_rows.sql");
const FIND: &str = include_str!("sql/find.sql");
const LOCK: &str = include_str!("sql/lock.sql");
const LIST: &str = include_str!("sql/list.sql");
const CLAIM: &str = include_str!("sql/claim.sql");
const BEGIN: &str = "UPDATE imports SET status = $2, at_row = 0, failure = NULL, finished_at = NULL, \
    lease_until = NULL, version = version + 1 WHERE id = $1";
const HOLD: &str = "SELECT version FROM imports WHERE id = $1 FOR UPDATE";
const PROGRESS: &str = "UPDATE imports SET at_row = $2, counts = $3, lease_until = $4, version = version + 1 WHERE id = $1";
const FINISH: &str = "UPDATE imports SET status = $2, failure = $3, finished_at = $4, lease_until = NULL, \
    version = version + 1 WHERE id = $1";
const SET_META: &str =
    "UPDATE imports SET meta = $2, status = 'uploaded', version = version + 1 WHERE id = $1";
const SAME_FILE: &str = "SELECT id FROM imports WHERE digest = $1 AND area_code = $2 AND record_type = $3 \
    AND id <> $4 AND created_at <= $5 ORDER BY created_at DESC LIMIT 1";
const UNREAD: &str = include_str!("sql/unread.sql");
const UNREAD_ROWS: &str = include_str!("sql/unread_rows.sql");
const SET_NUMBERS: &str = include_str!("sql/set_numbers.sql");
const FORGET: &str = include_str!("sql/forget.sql");
const ROWS_AFTER: &str = include_str!("sql/rows_after.sql");
const ROWS_OF: &str = include_str!("sql/rows_of.sql");
const WRITTEN_ROWS: &str = include_str!("sql/written_rows.sql");
const DONE_ROWS: &str = "SELECT count(*) FROM import_rows WHERE import_id = $1 AND state = 'done'";
const SET_ROWS: &str = include_str!("sql/set_rows.sql");
const MARK_ROWS: &str = include_str!("sql/mark_rows.sql");

/// An import to be made.
#[derive(Debug)]
pub(super) struct NewImport<'a> {
    pub(super) id: Uuid,
    pub(super) record_type: &'a str,
    pub(super) area: &'a str,
    pub(super) status: &'a str,
    pub(super) rows: i32,
    pub(super) options: Options,
    pub(super) digest: &'a [u8],
    pub(super) by: Uuid,
    pub(super) at: DateTime<Utc>,
    pub(super) wrapped_key: &'a [u8],
    pub(super) key_version: i32,
    pub(super) meta: &'a [u8],
}

pub(super) async fn create(tx: &mut PgConnection, new: &NewImport<'_>) -> sqlx::Result<()> {
    sqlx::query(CREATE)
        .bind(new.id)
        .bind(new.record_type)
        .bind(new.area)
        .bind(new.status)
        .bind(new.rows)
        .bind(Json(new.options))
        .bind(new.digest)
        .bind(new.by)
        .bind(new.at)
        .bind(new.wrapped_key)
        .bind(new.key_version)
        .bind(new.meta)
        .execute(tx)
        .await?;
    Ok(())
}

/// A row to be kept.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) row: i32,
    pub(super) body: Vec<u8>,
    /// The certificates' numbers among its cells, as blind tokens.
    pub(super) numbers: Vec<i64>,
}

/// Arrays of numbers as literals: an array of arrays would have to be a square.
fn literals<'a>(rows: impl Iterator<Item = &'a Vec<i64>>) -> Vec<String> {
    let literal = |numbers: &Vec<i64>| {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        format!("{{{}}}", numbers.join(","))
    };
    rows.map(literal).collect()
}

pub(super) async fn insert_rows(
    tx: &mut PgConnection,
    import: Uuid,
    area: &str,
    rows: &[NewRow],
) -> sqlx::Result<()> {
    sqlx::query(INSERT_ROWS)
        .bind(import)
        .bind(area)
        .bind(rows.iter().map(|row| row.row).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.body.clone()).collect::<Vec<_>>())
        .bind(literals(rows.iter().map(|row| &row.numbers)))
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn find(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<ImportRow>> {
    sqlx::query_as(FIND).bind(id).fetch_optional(tx).await
}

pub(super) async fn lock(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<ImportRow>> {
    sqlx::query_as(LOCK).bind(id).fetch_optional(tx).await
}

pub(super) async fn list(
    tx: &mut PgConnection,
    area_pattern: Option<&str>,
    before: Option<(DateTime<Utc>, Uuid)>,
    rows: i64,
) -> sqlx::Result<Vec<ImportRow>> {
    sqlx::query_as(LIST)
        .bind(area_pattern)
        .bind(before.map(|before| before.0))
        .bind(before.map(|before| before.1))
        .bind(rows)
        .fetch_all(tx)
        .await
}

/// Takes an import under way that nobody works on; its version tells one claim from the next.
pub(super) async fn claim(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> sqlx::Result<Option<ImportRow>> {
    sqlx::query_as(CLAIM)
        .bind(now)
        .bind(until)
        .fetch_optional(tx)
        .await
}

/// Begins a step from its first row.
pub(super) async fn begin(tx: &mut PgConnection, id: Uuid, status: &str) -> sqlx::Result<()> {
    sqlx::query(BEGIN).bind(id).bind(status).execute(tx).await?;
    Ok(())
}

/// Locks an import until the transaction ends, and gives its version.
pub(super) async fn hold(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar(HOLD).bind(id).fetch_optional(tx).await
}

pub(super) async fn progress(
    tx: &mut PgConnection,
    id: Uuid,
    at_row: i32,
    counts: Counts,
    lease: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(PROGRESS)
        .bind(id)
        .bind(at_row)
        .bind(Json(counts))
        .bind(lease)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn finish(
    tx: &mut PgConnection,
    id: Uuid,
    status: &str,
    failure: Option<&str>,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(FINISH)
        .bind(id)
        .bind(status)
        .bind(failure)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn set_meta(tx: &mut PgConnection, id: Uuid, meta: &[u8]) -> sqlx::Result<()> {
    sqlx::query(SET_META)
        .bind(id)
        .bind(meta)
        .execute(tx)
        .await?;
    Ok(())
}

/// The last earlier import of the very same file.
pub(super) async fn same_file(
    tx: &mut PgConnection,
    row: &ImportRow,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(SAME_FILE)
        .bind(&row.digest)
        .bind(row.wrapped.area.as_str())
        .bind(&row.record_type)
        .bind(row.id)
        .bind(row.created_at)
        .fetch_optional(tx)
        .await
}

/// The next rows to be handled.
pub(super) async fn rows_after(
    tx: &mut PgConnection,
    import: Uuid,
    after: i32,
    most: i64,
) -> sqlx::Result<Vec<RowRow>> {
    sqlx::query_as(ROWS_AFTER)
        .bind(import)
        .bind(after)
        .bind(most)
        .fetch_all(tx)
        .await
}

/// An import with rows whose numbers were not read.
pub(super) async fn unread(tx: &mut PgConnection) -> sqlx::Result<Option<ImportRow>> {
    sqlx::query_as(UNREAD).fetch_optional(tx).await
}

/// Rows of an import whose numbers were not read.
pub(super) async fn unread_rows(
    tx: &mut PgConnection,
    import: Uuid,
    most: i64,
) -> sqlx::Result<Vec<RowRow>> {
    sqlx::query_as(UNREAD_ROWS)
        .bind(import)
        .bind(most)
        .fetch_all(tx)
        .await
}

/// Keeps the numbers of rows.
pub(super) async fn set_numbers(
    tx: &mut PgConnection,
    import: Uuid,
    rows: &[(i32, Vec<i64>)],
) -> sqlx::Result<()> {
    sqlx::query(SET_NUMBERS)
        .bind(import)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(literals(rows.iter().map(|row| &row.1)))
        .execute(tx)
        .await?;
    Ok(())
}

/// Destroys the rows that tell of records.
pub(super) async fn forget(
    tx: &mut PgConnection,
    records: &[Uuid],
    numbers: &[i64],
) -> sqlx::Result<()> {
    sqlx::query(FORGET)
        .bind(records)
        .bind(numbers)
        .execute(tx)
        .await?;
    Ok(())
}

/// Rows for showing.
pub(super) async fn rows_of(
    tx: &mut PgConnection,
    import: Uuid,
    verdict: Option<&str>,
    warnings: bool,
    after: i32,
    most: i64,
) -> sqlx::Result<Vec<RowRow>> {
    sqlx::query_as(ROWS_OF)
        .bind(import)
        .bind(verdict)
        .bind(warnings)
        .bind(after)
        .bind(most)
        .fetch_all(tx)
        .await
}

/// How many rows are written and not taken back.
pub(super) async fn done_rows(tx: &mut PgConnection, import: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar(DONE_ROWS)
        .bind(import)
        .fetch_one(tx)
        .await
}

/// Rows that wrote something and were not taken back, the last first.
pub(super) async fn written_rows(
    tx: &mut PgConnection,
    import: Uuid,
    most: i64,
) -> sqlx::Result<Vec<RowRow>> {
    sqlx::query_as(WRITTEN_ROWS)
        .bind(import)
        .bind(most)
        .fetch_all(tx)
        .await
}

/// What rows came to.
#[derive(Debug, Default)]
pub(super) struct RowColumns {
    pub(super) row: Vec<i32>,
    pub(super) verdict: Vec<&'static str>,
    pub(super) warnings: Vec<i32>,
    pub(super) state: Vec<&'static str>,
    pub(super) record: Vec<Option<Uuid>>,
    pub(super) duplicate_of: Vec<Option<Uuid>>,
    pub(super) duplicate_row: Vec<Option<i32>>,
    pub(super) body: Vec<Vec<u8>>,
}

pub(super) async fn set_rows(
    tx: &mut PgConnection,
    import: Uuid,
    rows: &RowColumns,
) -> sqlx::Result<()> {
    sqlx::query(SET_ROWS)
        .bind(import)
        .bind(&rows.row)
        .bind(&rows.verdict)
        .bind(&rows.warnings)
        .bind(&rows.state)
        .bind(&rows.record)
        .bind(&rows.duplicate_of)
        .bind(&rows.duplicate_row)
        .bind(&rows.body)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn mark_rows(
    tx: &mut PgConnection,
    import: Uuid,
    rows: &[(i32, &'static str)],
) -> sqlx::Result<()> {
    sqlx::query(MARK_ROWS)
        .bind(import)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
