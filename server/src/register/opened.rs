//! Records as they stand now, opened for the domains that show or decide them, with who made which change.
//! Knows no reader's rights: the transaction's areas are the wall, and masks are the caller's.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use doorstep_core::crdt::Registers;
use doorstep_core::ids::{AreaCode, ChangeHash, DeviceId, EventId, RecordId, UserId};
use doorstep_core::mask;
use doorstep_core::projection::{self, Projection};
use doorstep_core::records;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::model::Areas;
use super::sealing;
use crate::error::ApiResult;
use crate::keys::{KeyRing, WrappedKey};

/// A change's hash, its user and device, when it was made and when accepted.
type MakerRow = (
    Vec<u8>,
    Option<Uuid>,
    Uuid,
    DateTime<Utc>,
    DateTime<Utc>,
    i64,
);

const OPEN: &str = include_str!("sql/open_records.sql");
const LOCK: &str = include_str!("sql/lock_opened.sql");
const MAKERS: &str = "SELECT hash, user_id, device_id, made_at, accepted_at, ord FROM changes \
    WHERE record_id = $1 AND hash = ANY($2)";
const RESIDENCES: &str = include_str!("sql/residences_of.sql");
const EVENTS_ABOUT: &str = "SELECT event_id FROM event_subjects WHERE subject = $1 \
    ORDER BY happened_at DESC, event_id DESC LIMIT $2";
const EVENTS_TIMES: &str = "SELECT id, happened_at, device_id FROM events WHERE id = ANY($1)";

/// A record as it stands.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its id.
    pub id: RecordId,
    /// Its declared type.
    pub record_type: String,
    /// The area it was made in.
    pub area: AreaCode,
    /// The areas whose devices hold it.
    pub areas: Vec<AreaCode>,
    /// The survivor, when it was merged into another.
    pub merged_into: Option<RecordId>,
    /// Everything it holds, with what is concurrent.
    pub registers: Registers,
}

impl Opened {
    /// Values, links and whether it is cancelled.
    #[must_use]
    pub fn project(&self) -> Projection {
        projection::project(&self.record_type, &self.registers)
    }

    /// Whether it holds these values now; what is not written is null.
    #[must_use]
    pub fn holds(&self, fields: &Fields) -> bool {
        let held = |key: &String| self.registers.get(key).unwrap_or(&Value::Null);
        fields.iter().all(|(key, value)| held(key) == value)
    }

    /// What names it to a person, masked; empty where nothing of that is written.
    #[must_use]
    pub fn masked_title(&self) -> String {
        let declared = records::record_type(&self.record_type);
        declared.map_or_else(String::new, |declared| {
            mask::title(declared, &self.registers.fields())
        })
    }
}

/// Who made a change, where and when.
#[derive(Clone, Debug)]
pub struct Maker {
    /// The user; `None` for the server.
    pub user: Option<UserId>,
    /// The device.
    pub device: DeviceId,
    /// The device's clock then.
    pub made_at: DateTime<Utc>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
    /// Its place in the order in which the server took all changes; no clock has a part in it.
    pub ord: i64,
}

/// An event about a record.
#[derive(Clone, Debug)]
pub struct EventAbout {
    /// The event.
    pub id: EventId,
    /// Its declared type.
    pub event_type: String,
    /// The area it belongs to.
    pub area: AreaCode,
    /// Who noted it.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// When it happened.
    pub happened_at: DateTime<Utc>,
    /// What it says.
    pub fields: doorstep_core::value::Fields,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    record_type: String,
    #[sqlx(flatten)]
    wrapped: WrappedKey,
    #[sqlx(try_from = "Vec<String>")]
    areas: Areas,
    merged_into: Option<Uuid>,
    state: Vec<u8>,
    version: i32,
}

/// Opens records; those that are not there, or not in the transaction's areas, are left out.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn open(
    tx: &mut PgConnection,
    keys: &KeyRing,
    ids: &[RecordId],
) -> ApiResult<BTreeMap<RecordId, Opened>> {
    read(tx, keys, OPEN, ids).await
}

/// As [`open`], and locks them in the order of their ids, as `apply` does: call it before locking anything else, with
/// every record that will be written.
///
/// # Errors
/// As [`open`].
pub async fn lock(
    tx: &mut PgConnection,
    keys: &KeyRing,
    ids: &[RecordId],
) -> ApiResult<BTreeMap<RecordId, Opened>> {
    read(tx, keys, LOCK, ids).await
}

async fn read(
    tx: &mut PgConnection,
    keys: &KeyRing,
    sql: &'static str,
    ids: &[RecordId],
) -> ApiResult<BTreeMap<RecordId, Opened>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<Row> = sqlx::query_as(sql).bind(&ids).fetch_all(tx).await?;
    let mut opened = BTreeMap::new();
    for row in rows {
        let id = RecordId(row.id);
        let key = keys.record_key(id, &row.wrapped).await?;
        let registers = sealing::open_state(&key, id, row.version, &row.state)?;
        let record = Opened {
            id,
            record_type: row.record_type,
            area: row.wrapped.area,
            areas: row.areas.0,
            merged_into: row.merged_into.map(RecordId),
            registers,
        };
        opened.insert(id, record);
    }
    Ok(opened)
}

/// Who made these changes of a record.
///
/// # Errors
/// When the database fails.
pub async fn makers(
    tx: &mut PgConnection,
    record: RecordId,
    hashes: &[ChangeHash],
) -> ApiResult<BTreeMap<ChangeHash, Maker>> {
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.0.to_vec()).collect();
    let rows: Vec<MakerRow> = sqlx::query_as(MAKERS)
        .bind(record.0)
        .bind(&hashes)
        .fetch_all(tx)
        .await?;
    let maker = |(hash, user, device, made_at, accepted_at, ord): (
        Vec<u8>,
        Option<Uuid>,
        Uuid,
        _,
        _,
        _,
    )| {
        let hash = ChangeHash(hash.try_into().ok()?);
        let maker = Maker {
            user: user.map(UserId),
            device: DeviceId(device),
            made_at,
            accepted_at,
            ord,
        };
        Some((hash, maker))
    };
    Ok(rows.into_iter().filter_map(maker).collect())
}

/// The residences of residents that are neither cancelled nor ended, in the order of their ids: residence, resident.
///
/// # Errors
/// When the database fails.
pub async fn residences_of(
    tx: &mut PgConnection,
    residents: &[RecordId],
) -> ApiResult<Vec<(RecordId, RecordId)>> {
    let ids: Vec<Uuid> = residents.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(RESIDENCES).bind(&ids).fetch_all(tx).await?;
    Ok(rows
        .into_iter()
        .map(|(residence, resident)| (RecordId(residence), RecordId(resident)))
        .collect())
}

/// The latest events about a record, the newest first.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn events_about(
    tx: &mut PgConnection,
    keys: &KeyRing,
    record: RecordId,
    most: i64,
) -> ApiResult<Vec<EventAbout>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(EVENTS_ABOUT)
        .bind(record.0)
        .bind(most)
        .fetch_all(&mut *tx)
        .await?;
    let times: Vec<(Uuid, DateTime<Utc>, Uuid)> = sqlx::query_as(EVENTS_TIMES)
        .bind(&ids)
        .fetch_all(&mut *tx)
        .await?;
    let times: BTreeMap<Uuid, (DateTime<Utc>, Uuid)> = times
        .into_iter()
        .map(|(id, at, device)| (id, (at, device)))
        .collect();
    let mut entries = super::read::event_entries(tx, keys, &ids).await?;
    let about = |id: Uuid| {
        let entry = entries.remove(&EventId(id))?;
        let (happened_at, device) = times.get(&id).copied()?;
        Some(EventAbout {
            id: entry.id,
            event_type: entry.event_type,
            area: entry.area,
            user: entry.user,
            device: DeviceId(device),
            happened_at,
            fields: entry.fields,
        })
    };
    Ok(ids.into_iter().filter_map(about).collect())
}
