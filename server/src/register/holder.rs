//! What a photo belongs to: a record or an event, opened, with the key that seals what is kept beside it.
//! Knows no reader's rights and no store: the transaction's areas are the wall, and the bytes are the caller's.

use doorstep_core::crdt::Registers;
use doorstep_core::crypto::seal::SealKey;
use doorstep_core::ids::{AreaCode, RecordId, UserId};
use doorstep_core::records::{self, Field, RecordType, split_key};
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::model::Areas;
use super::read::EventRow;
use super::sealing;
use crate::error::{ApiError, ApiResult};
use crate::keys::{KeyRing, WrappedKey};

const RECORD: &str = include_str!("sql/holder.sql");
const EVENT: &str = include_str!("sql/event_bodies.sql");
const KEEP_RECORD: &str =
    "SELECT id FROM records WHERE id = $1 AND erased_at IS NULL FOR KEY SHARE";
const KEEP_EVENT: &str = "SELECT id FROM events WHERE id = $1 FOR KEY SHARE";

/// A record or an event that may hold photos.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its id.
    pub id: RecordId,
    /// Its declaration.
    pub declared: &'static RecordType,
    /// The area it was made in.
    pub area: AreaCode,
    /// The areas whose devices hold it.
    pub areas: Vec<AreaCode>,
    /// Who noted an event; `None` for a record.
    pub maker: Option<UserId>,
    key: Option<SealKey>,
    says: Says,
}

/// What it says: a record's registers with what is concurrent, an event's values.
#[derive(Clone, Debug)]
enum Says {
    Record(Box<Registers>),
    Event(Fields),
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    record_type: String,
    #[sqlx(flatten)]
    wrapped: WrappedKey,
    #[sqlx(try_from = "Vec<String>")]
    areas: Areas,
    erased: bool,
    state: Vec<u8>,
    version: i32,
}

/// A record or event within the transaction's areas. Of an erased record there is a holder without a key.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn holder(
    tx: &mut PgConnection,
    keys: &KeyRing,
    id: RecordId,
) -> ApiResult<Option<Holder>> {
    let row: Option<Row> = sqlx::query_as(RECORD)
        .bind(id.0)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(row) = row {
        return of_record(keys, row).await.map(Some);
    }
    let row: Option<EventRow> = sqlx::query_as(EVENT)
        .bind([id.0].as_slice())
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (event, key) = row.open(keys).await?;
    Ok(Some(Holder {
        id,
        declared: declared(&event.event_type)?,
        area: event.area,
        areas: vec![event.area],
        maker: Some(event.user),
        key: Some(key),
        says: Says::Event(event.fields),
    }))
}

async fn of_record(keys: &KeyRing, row: Row) -> ApiResult<Holder> {
    let id = RecordId(row.id);
    let (key, registers) = if row.erased {
        (None, Registers::default())
    } else {
        let key = keys.record_key(id, &row.wrapped).await?;
        let registers = sealing::open_state(&key, id, row.version, &row.state)?;
        (Some(key), registers)
    };
    Ok(Holder {
        id,
        declared: declared(&row.record_type)?,
        area: row.wrapped.area,
        areas: row.areas.0,
        maker: None,
        key,
        says: Says::Record(Box::new(registers)),
    })
}

fn declared(name: &str) -> ApiResult<&'static RecordType> {
    records::record_type(name)
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("no declaration of {name}")))
}

/// Keeps a record or event from being erased until the transaction ends; `false` when it is gone already.
///
/// # Errors
/// When the database fails.
pub async fn keep(tx: &mut PgConnection, holder: &Holder) -> ApiResult<bool> {
    let sql = if holder.maker.is_some() {
        KEEP_EVENT
    } else {
        KEEP_RECORD
    };
    let kept: Option<Uuid> = sqlx::query_scalar(sql)
        .bind(holder.id.0)
        .fetch_optional(tx)
        .await?;
    Ok(kept.is_some())
}

impl Holder {
    /// The key that seals what is kept beside it; `None` once it is erased.
    #[must_use]
    pub fn key(&self) -> Option<SealKey> {
        self.key
    }

    /// The field of photos that a name stands for.
    #[must_use]
    pub fn photo_field(&self, name: &str) -> Option<&'static Field> {
        self.declared
            .named(name)
            .filter(|field| field.holds_photos())
    }

    /// The photos it names: field and digest. A value in dispute counts: whoever decides must see both.
    #[must_use]
    pub fn photos(&self) -> Vec<(&'static Field, String)> {
        let mut photos = Vec::new();
        let mut note = |key: &str, value: &Value| {
            let Some(field) = self
                .declared
                .field(key)
                .filter(|field| field.holds_photos())
            else {
                return;
            };
            let digest = match (split_key(key).1, value) {
                (None, Value::Text(digest)) => digest.as_str(),
                (Some(digest), Value::Bool(true)) => digest,
                _ => return,
            };
            photos.push((field, digest.to_owned()));
        };
        match &self.says {
            Says::Event(fields) => fields.iter().for_each(|(key, value)| note(key, value)),
            Says::Record(registers) => {
                for key in registers.keys() {
                    for held in registers.all(key) {
                        note(key, &held.value);
                    }
                }
            }
        }
        photos.dedup();
        photos
    }
}
