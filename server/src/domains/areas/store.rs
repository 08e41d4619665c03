//! SQL of areas and their versions.

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::ids::AreaCode;
use sqlx::PgConnection;
use uuid::Uuid;

use super::import::level_code;
use super::model::{AreaChange, AreaRow, AreaVersion, ChangeKind};

const ALL: &str =
    "SELECT code::text, name, parent::text, changed_in, retired_in FROM areas ORDER BY code";
const BY_CODES: &str = "SELECT code::text, name, parent::text, changed_in, retired_in FROM areas WHERE code = ANY ($1) ORDER BY code";
const LIST: &str = include_str!("sql/list.sql");
const CHILDREN: &str = "SELECT count(*) FROM areas WHERE parent = $1 AND retired_in IS NULL";
const CITY: &str = "SELECT code::text FROM areas WHERE parent IS NULL AND retired_in IS NULL ORDER BY code LIMIT 1";

const LOCK_VERSIONS: &str = "SELECT pg_advisory_xact_lock(hashtext('area_versions'))";
const LAST_VERSION: &str = "SELECT coalesce(max(version), 0) FROM area_versions";
const CREATE_VERSION: &str = "INSERT INTO area_versions (version, effective_on, note, created_at, created_by) \
     VALUES ($1, $2, $3, $4, $5)";
const VERSIONS: &str = include_str!("sql/versions.sql");
const UPSERT: &str = include_str!("sql/upsert.sql");
const RETIRE: &str = "UPDATE areas SET retired_in = $1, changed_in = $1 WHERE code = ANY ($2)";
const RECORD_CHANGES: &str = include_str!("sql/record_changes.sql");
const DIFF: &str = include_str!("sql/diff.sql");

/// Which areas to list.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) parent: Option<String>,
    pub(super) name_pattern: Option<String>,
    pub(super) code_pattern: Option<String>,
    pub(super) retired: bool,
    pub(super) since: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) rows: i64,
}

pub(super) async fn all(tx: &mut PgConnection) -> sqlx::Result<Vec<AreaRow>> {
    sqlx::query_as(ALL).fetch_all(tx).await
}

pub(super) async fn by_codes(
    tx: &mut PgConnection,
    codes: &[String],
) -> sqlx::Result<Vec<AreaRow>> {
    sqlx::query_as(BY_CODES).bind(codes).fetch_all(tx).await
}

pub(super) async fn list(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<AreaRow>> {
    sqlx::query_as(LIST)
        .bind(&filter.after)
        .bind(&filter.parent)
        .bind(&filter.name_pattern)
        .bind(&filter.code_pattern)
        .bind(filter.retired)
        .bind(filter.since)
        .bind(filter.rows)
        .fetch_all(tx)
        .await
}

pub(super) async fn children(tx: &mut PgConnection, code: &AreaCode) -> sqlx::Result<i64> {
    sqlx::query_scalar(CHILDREN)
        .bind(code.as_str())
        .fetch_one(tx)
        .await
}

pub(super) async fn city(tx: &mut PgConnection) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(CITY).fetch_optional(tx).await
}

/// One import at a time.
pub(super) async fn lock_versions(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(LOCK_VERSIONS).execute(tx).await?;
    Ok(())
}

pub(super) async fn last_version(tx: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar(LAST_VERSION).fetch_one(tx).await
}

pub(super) async fn create_version(
    tx: &mut PgConnection,
    version: i32,
    effective_on: NaiveDate,
    note: &str,
    at: DateTime<Utc>,
    by: Option<Uuid>,
) -> sqlx::Result<()> {
    sqlx::query(CREATE_VERSION)
        .bind(version)
        .bind(effective_on)
        .bind(note)
        .bind(at)
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn versions(tx: &mut PgConnection) -> sqlx::Result<Vec<AreaVersion>> {
    sqlx::query_as(VERSIONS).fetch_all(tx).await
}

pub(super) async fn apply(
    tx: &mut PgConnection,
    version: i32,
    changes: &[(ChangeKind, AreaChange)],
) -> sqlx::Result<()> {
    let (retired, kept): (Vec<_>, Vec<_>) = changes
        .iter()
        .partition(|(kind, _)| *kind == ChangeKind::Retired);
    let level = |change: &AreaChange| {
        change
            .code
            .parse::<AreaCode>()
            .map_or("", |code| level_code(code.level()))
    };
    sqlx::query(UPSERT)
        .bind(version)
        .bind(
            kept.iter()
                .map(|(_, change)| change.code.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            kept.iter()
                .map(|(_, change)| change.name_after.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            kept.iter()
                .map(|(_, change)| level(change))
                .collect::<Vec<_>>(),
        )
        .bind(
            kept.iter()
                .map(|(_, change)| change.parent_after.clone())
                .collect::<Vec<_>>(),
        )
        .execute(&mut *tx)
        .await?;
    sqlx::query(RETIRE)
        .bind(version)
        .bind(
            retired
                .iter()
                .map(|(_, change)| change.code.clone())
                .collect::<Vec<_>>(),
        )
        .execute(&mut *tx)
        .await?;
    let column = |take: fn(&AreaChange) -> Option<String>| -> Vec<Option<String>> {
        changes.iter().map(|(_, change)| take(change)).collect()
    };
    sqlx::query(RECORD_CHANGES)
        .bind(version)
        .bind(column(|change| Some(change.code.clone())))
        .bind(column(|change| Some(change.kind.clone())))
        .bind(column(|change| change.name_before.clone()))
        .bind(column(|change| change.name_after.clone()))
        .bind(column(|change| change.parent_before.clone()))
        .bind(column(|change| change.parent_after.clone()))
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn diff(
    tx: &mut PgConnection,
    from: i32,
    to: i32,
) -> sqlx::Result<Vec<AreaChange>> {
    sqlx::query_as(DIFF).bind(from).bind(to).fetch_all(tx).await
}

/// By ranges, which an index finds: patterns looked at every area of the city, more than all else of a sign-in cost.
const VILLAGES_BETWEEN: &str =
    "SELECT DISTINCT village.code FROM unnest($1::text[], $2::text[]) AS place (first, last)
    CROSS JOIN LATERAL (SELECT code::text FROM areas WHERE code BETWEEN place.first AND place.last
        AND level = 'village' AND retired_in IS NULL ORDER BY code LIMIT $3) AS village
    ORDER BY 1 LIMIT $3";
/// More than any city has; the limit keeps the planner on the index.
const MOST_VILLAGES: i64 = 50_000;

/// Villages in force whose codes lie in any of the ranges: from a place's own code to the last that can lie below it.
pub(super) async fn villages_between(
    connection: &mut PgConnection,
    first: &[&str],
    last: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(VILLAGES_BETWEEN)
        .bind(first)
        .bind(last)
        .bind(MOST_VILLAGES)
        .fetch_all(connection)
        .await
}
