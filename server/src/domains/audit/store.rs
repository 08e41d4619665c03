//! The log's SQL.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::chain::EntryRow;

const LOCK_HEAD: &str = "SELECT seq, hash FROM audit_head FOR UPDATE";
const HEAD: &str = "SELECT seq, hash FROM audit_head";
const MOVE_HEAD: &str = "UPDATE audit_head SET seq = $1, hash = $2";
const APPEND: &str = include_str!("sql/append.sql");
const AFTER: &str = include_str!("sql/after.sql");
const SEARCH: &str = include_str!("sql/search.sql");
const HASH_AT: &str = "SELECT hash FROM audit_entries WHERE seq = $1";
const SIGNATURES: &str =
    "SELECT seq, hash, signed_at, public_key, signature FROM audit_signatures ORDER BY seq";
const LAST_SIGNED: &str = "SELECT max(seq) FROM audit_signatures";
const SIGN: &str = "INSERT INTO audit_signatures (seq, hash, signed_at, public_key, signature) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// A signed head.
#[derive(Clone, Debug, FromRow)]
pub(super) struct SignatureRow {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) signed_at: DateTime<Utc>,
    pub(super) public_key: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What an auditor looks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) user: Option<Uuid>,
    /// Codes of actions, one of which it must be.
    pub(super) actions: Option<Vec<String>>,
    pub(super) outcome: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
    /// Entries with smaller numbers only: the newest come first.
    pub(super) before: Option<i64>,
    pub(super) rows: i64,
}

pub(super) async fn lock_head(tx: &mut PgConnection) -> sqlx::Result<(i64, Vec<u8>)> {
    sqlx::query_as(LOCK_HEAD).fetch_one(tx).await
}

pub(super) async fn head(tx: &mut PgConnection) -> sqlx::Result<(i64, Vec<u8>)> {
    sqlx::query_as(HEAD).fetch_one(tx).await
}

pub(super) async fn append(tx: &mut PgConnection, rows: &[EntryRow]) -> sqlx::Result<()> {
    fn column<T>(rows: &[EntryRow], take: impl Fn(&EntryRow) -> T) -> Vec<T> {
        rows.iter().map(take).collect()
    }
    sqlx::query(APPEND)
        .bind(column(rows, |row| row.seq))
        .bind(column(rows, |row| row.at))
        .bind(column(rows, |row| row.user_id))
        .bind(column(rows, |row| row.device_id))
        .bind(column(rows, |row| row.action.clone()))
        .bind(column(rows, |row| row.outcome.clone()))
        .bind(column(rows, |row| row.area_code.clone()))
        .bind(column(rows, |row| row.subject_kind.clone()))
        .bind(column(rows, |row| row.subject_id.clone()))
        .bind(column(rows, |row| row.detail.clone()))
        .bind(column(rows, |row| row.request_id.clone()))
        .bind(column(rows, |row| row.address.clone()))
        .bind(column(rows, |row| row.prev_hash.clone()))
        .bind(column(rows, |row| row.hash.clone()))
        .execute(&mut *tx)
        .await?;
    if let Some(last) = rows.last() {
        sqlx::query(MOVE_HEAD)
            .bind(last.seq)
            .bind(&last.hash)
            .execute(tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn after(
    tx: &mut PgConnection,
    seq: i64,
    rows: i64,
) -> sqlx::Result<Vec<EntryRow>> {
    sqlx::query_as(AFTER)
        .bind(seq)
        .bind(rows)
        .fetch_all(tx)
        .await
}

pub(super) async fn search(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<EntryRow>> {
    sqlx::query_as(SEARCH)
        .bind(filter.before)
        .bind(filter.user)
        .bind(&filter.actions)
        .bind(&filter.outcome)
        .bind(&filter.subject)
        .bind(filter.from)
        .bind(filter.until)
        .bind(filter.rows)
        .fetch_all(tx)
        .await
}

pub(super) async fn hash_at(tx: &mut PgConnection, seq: i64) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar(HASH_AT)
        .bind(seq)
        .fetch_optional(tx)
        .await
}

pub(super) async fn signatures(tx: &mut PgConnection) -> sqlx::Result<Vec<SignatureRow>> {
    sqlx::query_as(SIGNATURES).fetch_all(tx).await
}

pub(super) async fn last_signed(tx: &mut PgConnection) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(LAST_SIGNED).fetch_one(tx).await
}

pub(super) async fn sign(tx: &mut PgConnection, row: &SignatureRow) -> sqlx::Result<()> {
    sqlx::query(SIGN)
        .bind(row.seq)
        .bind(&row.hash)
        .bind(row.signed_at)
        .bind(&row.public_key)
        .bind(&row.signature)
        .execute(tx)
        .await?;
    Ok(())
}
