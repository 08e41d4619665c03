//! Records and their pasts as lists and files read them: rows still sealed, and how they are opened. Knows no reader's
//! rights: the transaction's areas are the wall, and masks are the caller's.

use chrono::{DateTime, Utc};
use doorstep_core::crdt::{FlatChange, Registers, chunk};
use doorstep_core::crypto::seal::SealKey;
use doorstep_core::ids::{AreaCode, DeviceId, EventId, RecordId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::model::Areas;
use super::{sealing, store};
use crate::error::{ApiError, ApiResult};
use crate::keys::{KeyRing, WrappedKey};

const HISTORY: &str = include_str!("sql/history.sql");

/// A record's row; select its columns under these names (`area_code::text`).
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedRecord {
    /// Its id.
    pub id: Uuid,
    /// Its declared type.
    pub record_type: String,
    /// Its key, wrapped by that of the area it was made in.
    #[sqlx(flatten)]
    pub wrapped: WrappedKey,
    /// The areas whose devices hold it.
    #[sqlx(try_from = "Vec<String>")]
    pub areas: Areas,
    /// Whether it is cancelled.
    pub cancelled: bool,
    /// Counts its writes.
    pub version: i32,
    /// When it was written last.
    pub updated_at: DateTime<Utc>,
    /// By whom.
    pub updated_by: Option<Uuid>,
    state: Vec<u8>,
}

impl SealedRecord {
    async fn key(&self, keys: &KeyRing) -> ApiResult<SealKey> {
        keys.record_key(RecordId(self.id), &self.wrapped).await
    }

    /// Opens what the record holds.
    ///
    /// # Errors
    /// When key or state were altered.
    pub async fn open(&self, keys: &KeyRing) -> ApiResult<Registers> {
        let key = self.key(keys).await?;
        sealing::open_state(&key, RecordId(self.id), self.version, &self.state)
    }

    /// The visible values, reserved keys left out.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn fields(&self, keys: &KeyRing) -> ApiResult<Fields> {
        let mut fields = self.open(keys).await?.fields();
        fields.retain(|key, _| !key.starts_with('_'));
        Ok(fields)
    }

    /// The area it was made in.
    #[must_use]
    pub fn area(&self) -> AreaCode {
        self.wrapped.area
    }

    /// The areas whose devices hold it.
    #[must_use]
    pub fn areas(&self) -> &[AreaCode] {
        &self.areas.0
    }
}

/// A change that was accepted, with who made it.
#[derive(Clone, Debug)]
pub struct PastChange {
    /// What it does.
    pub change: FlatChange,
    /// The same as an Automerge chunk.
    pub bytes: Vec<u8>,
    /// Its name.
    pub hash: doorstep_core::ids::ChangeHash,
    /// The device; the server's own where it was made on the console or decided.
    pub device: DeviceId,
    /// The user.
    pub user: Option<UserId>,
    /// The device's clock then.
    pub made_at: DateTime<Utc>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
}

#[derive(Debug, sqlx::FromRow)]
struct PastRow {
    #[sqlx(flatten)]
    change: store::ChangeRow,
    device_id: Uuid,
    user_id: Option<Uuid>,
    made_at: DateTime<Utc>,
    accepted_at: DateTime<Utc>,
}

/// Every change of a record, in the order of acceptance.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn history(
    tx: &mut PgConnection,
    keys: &KeyRing,
    record: &SealedRecord,
) -> ApiResult<Vec<PastChange>> {
    let key = record.key(keys).await?;
    let rows: Vec<PastRow> = sqlx::query_as(HISTORY)
        .bind(record.id)
        .fetch_all(tx)
        .await?;
    let past = |row: PastRow| {
        let hash = row.change.hash()?;
        let bytes = sealing::open_change(&key, hash, &row.change.body)?;
        let (change, _) = chunk::decode(&bytes).map_err(ApiError::internal)?;
        Ok(PastChange {
            change,
            bytes,
            hash,
            device: DeviceId(row.device_id),
            user: row.user_id.map(UserId),
            made_at: row.made_at,
            accepted_at: row.accepted_at,
        })
    };
    rows.into_iter().map(past).collect()
}

/// Opens a row of `field_changes`: the values before and after.
///
/// # Errors
/// When key or body were altered.
pub async fn field_values(
    keys: &KeyRing,
    record: &SealedRecord,
    id: EventId,
    body: &[u8],
) -> ApiResult<(Value, Value)> {
    let key = record.key(keys).await?;
    let plain = sealing::open_row(&key, "field_changes", id.as_bytes(), body)?;
    codec::from_bytes(&plain).map_err(ApiError::internal)
}
