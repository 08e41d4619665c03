//! The address base's SQL: states whose key begins with `address/`.

use sqlx::PgConnection;

/// One import at a time: "d0a5".
const LOCK: &str = "SELECT pg_advisory_xact_lock(53413)";
const BY_KEYS: &str = "SELECT scope, key, json FROM states WHERE key = ANY($1) AND key LIKE 'address/%' AND json <> ''";
const AREAS: &str = "SELECT code::text FROM areas WHERE code = ANY($1) AND level = 'village' AND retired_in IS NULL";
const OF_SCOPE: &str = "SELECT key, json FROM states
    WHERE scope = $1 AND key LIKE 'address/%' AND key COLLATE \"C\" > $2 AND json <> '' ORDER BY key COLLATE \"C\" LIMIT $3";

/// Lets no other import in until the transaction ends.
pub(super) async fn lock(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(LOCK).execute(tx).await.map(|_| ())
}

/// What is there of these keys: scope, key, JSON.
pub(super) async fn by_keys(
    tx: &mut PgConnection,
    keys: &[String],
) -> sqlx::Result<Vec<(String, String, String)>> {
    sqlx::query_as(BY_KEYS).bind(keys).fetch_all(tx).await
}

/// Which of these are villages in force.
pub(super) async fn villages(tx: &mut PgConnection, codes: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(AREAS).bind(codes).fetch_all(tx).await
}

/// A scope's addresses after a key, in the order of keys.
pub(super) async fn of_scope(
    tx: &mut PgConnection,
    scope: &str,
    after: &str,
    rows: i64,
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(OF_SCOPE)
        .bind(scope)
        .bind(after)
        .bind(rows)
        .fetch_all(tx)
        .await
}
