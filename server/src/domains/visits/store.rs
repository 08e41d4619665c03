//! The visits' SQL, and nothing else.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{DueRow, VisitRow};

const LIST: &str = include_str!("sql/list.sql");
const COUNTS: &str = include_str!("sql/counts.sql");
const VERIFIED: &str = include_str!("sql/verified.sql");
const HOUSE_POINTS: &str = include_str!("sql/house_points.sql");
const AREA_SPANS: &str = include_str!("sql/area_spans.sql");
const DUE: &str = include_str!("sql/due.sql");

/// A list is planned for what it looks for: one plan for all of them could use no index of what may be left out.
const PLANNED_ONCE: bool = false;

/// Which visits are taken; `None` leaves a condition out.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Beginnings of areas' codes.
    pub(super) area: Option<String>,
    pub(super) record: Option<Uuid>,
    pub(super) user: Option<Uuid>,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
    /// Purpose, mode, result.
    pub(super) facets: Option<serde_json::Value>,
}

pub(super) async fn list(
    tx: &mut PgConnection,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    rows: i64,
) -> sqlx::Result<Vec<VisitRow>> {
    sqlx::query_as(LIST)
        .persistent(PLANNED_ONCE)
        .bind(&filter.area)
        .bind(filter.record)
        .bind(filter.user)
        .bind(filter.from)
        .bind(filter.until)
        .bind(&filter.facets)
        .bind(before.map(|(at, _)| at))
        .bind(before.map(|(_, id)| id))
        .bind(rows)
        .fetch_all(tx)
        .await
}

/// Visits by purpose, result and collector.
pub(super) async fn counts(
    tx: &mut PgConnection,
    filter: &Filter,
) -> sqlx::Result<Vec<(Option<String>, Option<String>, Uuid, i64)>> {
    sqlx::query_as(COUNTS)
        .persistent(PLANNED_ONCE)
        .bind(&filter.area)
        .bind(filter.record)
        .bind(filter.user)
        .bind(filter.from)
        .bind(filter.until)
        .bind(&filter.facets)
        .fetch_all(tx)
        .await
}

/// The people and houses that visits verified.
pub(super) async fn verified(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<i64> {
    sqlx::query_scalar(VERIFIED)
        .persistent(PLANNED_ONCE)
        .bind(&filter.area)
        .bind(filter.record)
        .bind(filter.user)
        .bind(filter.from)
        .bind(filter.until)
        .bind(&filter.facets)
        .fetch_one(tx)
        .await
}

pub(super) async fn due(
    tx: &mut PgConnection,
    area: Option<&str>,
    by: NaiveDate,
    after: Option<(NaiveDate, Uuid)>,
    rows: i64,
) -> sqlx::Result<Vec<DueRow>> {
    sqlx::query_as(DUE)
        .bind(area)
        .bind(by)
        .bind(after.map(|(day, _)| day))
        .bind(after.map(|(_, id)| id))
        .bind(rows)
        .fetch_all(tx)
        .await
}

/// The points of the houses that are asked for, or that residents who are asked for live in: subject, longitude,
/// latitude.
pub(super) async fn house_points(
    tx: &mut PgConnection,
    subjects: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, f64, f64)>> {
    sqlx::query_as(HOUSE_POINTS)
        .bind(subjects)
        .fetch_all(tx)
        .await
}

/// How far the houses of an area lie, in degrees.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct AreaSpan {
    pub(super) area: String,
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
}

pub(super) async fn area_spans(
    tx: &mut PgConnection,
    areas: &[String],
) -> sqlx::Result<Vec<AreaSpan>> {
    sqlx::query_as(AREA_SPANS).bind(areas).fetch_all(tx).await
}
