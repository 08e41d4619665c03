//! SQL of alarms.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::model::AlarmRow;

const KEEP: &str = include_str!("sql/keep.sql");
const LIST: &str = include_str!("sql/list.sql");

/// An alarm to keep.
#[derive(Debug)]
pub(super) struct NewAlarm {
    pub(super) id: Uuid,
    pub(super) code: &'static str,
    pub(super) device: Uuid,
    pub(super) user: Uuid,
    pub(super) record: Option<Uuid>,
    pub(super) record_type: Option<&'static str>,
    pub(super) times: i64,
}

/// An alarm that was kept.
#[derive(Debug, FromRow)]
pub(super) struct KeptRow {
    pub(super) id: Uuid,
    pub(super) code: String,
    pub(super) device_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) area_code: String,
    /// Whether it is the hour's first.
    pub(super) fresh: bool,
}

/// Which alarms to list.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) area_pattern: Option<String>,
    pub(super) code: Option<&'static str>,
    pub(super) device: Option<Uuid>,
    pub(super) user: Option<Uuid>,
    pub(super) before: Option<(DateTime<Utc>, Uuid)>,
    pub(super) rows: i64,
}

/// Keeps alarms, each in the area of its device, else in `elsewhere`.
pub(super) async fn keep(
    tx: &mut PgConnection,
    alarms: &[NewAlarm],
    elsewhere: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<KeptRow>> {
    sqlx::query_as(KEEP)
        .bind(alarms.iter().map(|alarm| alarm.id).collect::<Vec<_>>())
        .bind(alarms.iter().map(|alarm| alarm.code).collect::<Vec<_>>())
        .bind(alarms.iter().map(|alarm| alarm.device).collect::<Vec<_>>())
        .bind(alarms.iter().map(|alarm| alarm.user).collect::<Vec<_>>())
        .bind(alarms.iter().map(|alarm| alarm.record).collect::<Vec<_>>())
        .bind(
            alarms
                .iter()
                .map(|alarm| alarm.record_type)
                .collect::<Vec<_>>(),
        )
        .bind(alarms.iter().map(|alarm| alarm.times).collect::<Vec<_>>())
        .bind(elsewhere)
        .bind(now)
        .fetch_all(tx)
        .await
}

pub(super) async fn list(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<AlarmRow>> {
    let (at, id) = filter.before.unzip();
    sqlx::query_as(LIST)
        .bind(&filter.area_pattern)
        .bind(filter.code)
        .bind(filter.device)
        .bind(filter.user)
        .bind(at)
        .bind(id)
        .bind(filter.rows)
        .fetch_all(tx)
        .await
}
