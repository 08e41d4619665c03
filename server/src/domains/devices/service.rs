//! What the sync engine and other domains may ask of devices.

use chrono::{DateTime, Utc};
use doorstep_core::ids::DeviceId;
use sqlx::PgConnection;

pub use super::enrolment::{find, require_active};

use super::model::DeviceStatus;
use super::store;
use crate::error::ApiResult;

/// Notes that a device synced, and what it said it still had to send.
///
/// # Errors
/// When the database fails.
pub async fn note_sync(
    tx: &mut PgConnection,
    id: DeviceId,
    at: DateTime<Utc>,
    unsent: u32,
) -> ApiResult<()> {
    Ok(store::note_sync(tx, id.0, at, i32::try_from(unsent).unwrap_or(i32::MAX)).await?)
}

/// Notes that a device said it wiped what it held.
///
/// # Errors
/// When the database fails.
pub async fn note_wiped(tx: &mut PgConnection, id: DeviceId, at: DateTime<Utc>) -> ApiResult<()> {
    Ok(store::set_status(
        tx,
        id.0,
        DeviceStatus::Wiped.code(),
        at,
        None,
        "设备已确认清除",
    )
    .await?)
}
