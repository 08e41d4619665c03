//! What the sync engine and other domains may ask of devices.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use sqlx::PgConnection;
use sqlx::types::Uuid;

pub use super::enrolment::{find, require_active};

use super::store;
use crate::error::ApiResult;

/// What people call devices, for showing where something was made. Devices that are not there are left out.
///
/// # Errors
/// When the database fails.
pub async fn names(
    tx: &mut PgConnection,
    ids: &[DeviceId],
) -> ApiResult<BTreeMap<DeviceId, String>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = store::names(tx, &ids).await?;
    Ok(rows
        .into_iter()
        .map(|(id, name)| (DeviceId(id), name))
        .collect())
}

/// That a device synced, and what it said it still had to send.
#[derive(Clone, Copy, Debug)]
pub struct Contact {
    /// The device.
    pub device: DeviceId,
    /// When.
    pub at: DateTime<Utc>,
    /// Changes and photos that were not sent.
    pub unsent: u32,
}

/// Notes contacts with devices, each once.
///
/// # Errors
/// When the database fails.
pub async fn note_contacts(tx: &mut PgConnection, contacts: &[Contact]) -> ApiResult<()> {
    Ok(store::note_contacts(tx, contacts).await?)
}

/// The users' rights shrank at `since`: their devices that have not synced after it hold what they may no longer, until
/// they say that it is purged.
///
/// # Errors
/// When the database fails.
pub async fn owe_purge(
    tx: &mut PgConnection,
    users: &[UserId],
    since: DateTime<Utc>,
) -> ApiResult<()> {
    let users: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    Ok(store::owe_purge(tx, &users, since).await?)
}

/// A device was told to purge something and has not said that it did. Does not move an earlier time.
///
/// # Errors
/// When the database fails.
pub async fn note_purge_owed(
    tx: &mut PgConnection,
    device: DeviceId,
    since: DateTime<Utc>,
) -> ApiResult<()> {
    Ok(store::note_purge_owed(tx, device.0, since).await?)
}

/// A device says that it holds nothing which its user may not hold.
///
/// # Errors
/// When the database fails.
pub async fn note_purged(
    tx: &mut PgConnection,
    device: DeviceId,
    at: DateTime<Utc>,
) -> ApiResult<()> {
    Ok(store::note_purged(tx, device.0, at).await?)
}

/// Moves a user's devices to the area that the user belongs to now, so that its administrators see them. Their alarms stay
/// with those who looked after them at the time.
///
/// # Errors
/// When the database fails.
pub async fn follow_user(tx: &mut PgConnection, user: UserId, area: &AreaCode) -> ApiResult<()> {
    Ok(store::follow_user(tx, user.0, area.as_str()).await?)
}
