//! The address base's SQL: states whose key begins with `address/`.

use sqlx::PgConnection;

/// One import at a time: "d0a5".
const LOCK: &str = "SELECT pg_advisory_xact_lock(53413)";
const BY_KEYS: &str = "SELECT scope, key, json FROM states WHERE key = ANY($1) AND key LIKE 'address/%' AND json <> ''";
const TIMES: &str = "SELECT code, updated_at FROM address_times WHERE code = ANY($1)";
const SET_TIMES: &str =
    "INSERT INTO address_times (code, updated_at) SELECT * FROM unnest($1::text[], $2::text[])
    ON CONFLICT (code) DO UPDATE SET updated_at = excluded.updated_at";
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

/// How new what is known of these codes is.
pub(super) async fn times(
    tx: &mut PgConnection,
    codes: &[String],
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(TIMES).bind(codes).fetch_all(tx).await
}

/// Keeps how new what is known of codes is.
pub(super) async fn set_times(
    tx: &mut PgConnection,
    times: &[(String, String)],
) -> sqlx::Result<()> {
    let (codes, times): (Vec<&str>, Vec<&str>) = times
        .iter()
        .map(|(code, time)| (code.as_str(), time.as_str()))
        .unzip();
    sqlx::query(SET_TIMES)
        .bind(codes)
        .bind(times)
        .execute(tx)
        .await
        .map(|_| ())
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
