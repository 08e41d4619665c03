//! Reading the register back: a scope's log from an entry on, whole records, heads. For sync and bundles.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use doorstep_core::crypto::seal::SealKey;
use doorstep_core::ids::{AreaCode, ChangeHash, DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{
    Cursor, Entry, EventEntry, PutEntry, StateEntry, WholeEntry,
};
use serde_bytes::ByteBuf;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::load::heads;
use super::log::LogKind;
use super::model::Areas;
use super::{sealing, store};
use crate::database::system_tx;
use crate::error::{ApiError, ApiResult};
use crate::keys::{KeyRing, WrappedKey};
use crate::state::AppState;

const SCOPE_ENDS: &str = "SELECT scope, seq, digest FROM scopes WHERE scope = ANY($1)";
const SCOPE_END: &str = "SELECT seq, digest FROM scopes WHERE scope = $1";
const LOG_AFTER: &str = include_str!("sql/log_after.sql");
const RECORD_KEYS: &str = include_str!("sql/record_keys.sql");
const CHANGE_BODIES: &str = include_str!("sql/change_bodies.sql");
const EVENT_BODIES: &str = include_str!("sql/event_bodies.sql");
const MEMBERS: &str = include_str!("sql/members.sql");
const ERASED_AFTER: &str =
    "SELECT EXISTS (SELECT FROM scope_log WHERE scope = $1 AND seq > $2 AND kind = 6)";
const STATE_JSON: &str = "SELECT json FROM states WHERE scope = $1 AND key = $2";
const MESSAGES: &str = include_str!("sql/messages.sql");
const AREAS_OF: &str = "SELECT areas FROM records WHERE id = $1";
const SCOPE_STATES: &str =
    "SELECT key, json FROM states WHERE scope = $1 AND json <> '' ORDER BY key";
const SCOPE_EVENTS: &str =
    "SELECT id FROM events WHERE area_code = $1 AND happened_at > $2 ORDER BY id";

/// The end of a scope's log; zero for one that nothing was ever put in.
///
/// # Errors
/// When the database fails.
pub async fn scope_end(tx: &mut PgConnection, scope: ScopeId) -> ApiResult<Cursor> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(SCOPE_END)
        .bind(scope.to_string())
        .fetch_optional(tx)
        .await?;
    Ok(row.map_or_else(Cursor::default, |(seq, digest)| cursor(seq, digest)))
}

/// An end from its columns.
pub(super) fn cursor(seq: i64, digest: Vec<u8>) -> Cursor {
    Cursor {
        seq: seq.unsigned_abs(),
        digest: ScopeDigest(digest.try_into().unwrap_or_default()),
    }
}

/// Where the logs of several scopes end; those that have none are left out.
///
/// # Errors
/// When the database fails.
pub async fn scope_ends(
    tx: &mut PgConnection,
    scopes: &[ScopeId],
) -> ApiResult<Vec<(ScopeId, Cursor)>> {
    let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let rows: Vec<(String, i64, Vec<u8>)> =
        sqlx::query_as(SCOPE_ENDS).bind(names).fetch_all(tx).await?;
    let read = |(name, seq, digest): (String, i64, Vec<u8>)| {
        let scope: ScopeId = name.parse().map_err(ApiError::internal)?;
        Ok((scope, cursor(seq, digest)))
    };
    rows.into_iter().map(read).collect()
}

#[derive(Debug, sqlx::FromRow)]
struct LogRow {
    seq: i64,
    kind: i16,
    record_id: Option<Uuid>,
    change_hash: Option<Vec<u8>>,
    device_id: Option<Uuid>,
    state_key: Option<String>,
    json: Option<String>,
}

/// Entries after `after`, at most `limit`, and the number of the last one looked at. A change that `own` made itself
/// is named by its hash alone. Records that are no longer in the scope are left out: their LEAVE comes later.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn log_after(
    tx: &mut PgConnection,
    keys: &KeyRing,
    scope: ScopeId,
    after: u64,
    limit: i64,
    own: Option<DeviceId>,
) -> ApiResult<(u64, Vec<Entry>)> {
    let rows: Vec<LogRow> = sqlx::query_as(LOG_AFTER)
        .bind(scope.to_string())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
    let to = rows.last().map_or(after, |row| row.seq.unsigned_abs());
    let is_own = |row: &LogRow| own.is_some() && row.device_id == own.map(|device| device.0);
    let mut changes: Vec<(Uuid, Vec<u8>)> = Vec::new();
    let mut whole = BTreeSet::new();
    let mut events = BTreeSet::new();
    for row in &rows {
        match (
            LogKind::from_column(row.kind),
            row.record_id,
            &row.change_hash,
        ) {
            (Some(LogKind::Change), Some(record), Some(hash)) if !is_own(row) => {
                changes.push((record, hash.clone()))
            }
            (Some(LogKind::Whole), Some(record), _) => {
                whole.insert(record);
            }
            (Some(LogKind::Event), Some(event), _) => {
                events.insert(event);
            }
            _ => {}
        }
    }
    let opened = changes.iter().map(|(record, _)| *record);
    let opened = opened.chain(whole.iter().copied()).collect();
    let open = open_records(tx, keys, scope, opened).await?;
    let mut bodies = change_bodies(tx, &open, changes).await?;
    let mut wholes = whole_entries(tx, &open, whole).await?;
    let mut events = event_entries(tx, keys, &events.into_iter().collect::<Vec<_>>()).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(kind) = LogKind::from_column(row.kind) else {
            continue;
        };
        match (kind, row.record_id) {
            (LogKind::Change, Some(record)) => {
                let Some(hash) = row
                    .change_hash
                    .as_ref()
                    .and_then(|hash| hash.as_slice().try_into().ok())
                else {
                    continue;
                };
                let hash = ChangeHash(hash);
                if is_own(&row) {
                    entries.push(Entry::Own(RecordId(record), hash));
                } else if let Some(put) = bodies.remove(&(RecordId(record), hash)) {
                    entries.push(Entry::Put(put));
                }
            }
            (LogKind::Whole, Some(record)) => {
                entries.extend(wholes.remove(&RecordId(record)).map(Entry::Whole))
            }
            (LogKind::Event, Some(event)) => {
                entries.extend(events.remove(&EventId(event)).map(Entry::Event))
            }
            (LogKind::Leave, Some(record)) => entries.push(Entry::Leave(RecordId(record))),
            (LogKind::Erase, Some(record)) => entries.push(Entry::Erase(RecordId(record))),
            (LogKind::State, _) => {
                if let (Some(key), Some(json)) = (row.state_key, row.json) {
                    entries.push(Entry::State(StateEntry { key, json }));
                }
            }
            _ => {}
        }
    }
    Ok((to, entries))
}

#[derive(Debug, sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    record_type: String,
    epoch: i32,
    #[sqlx(flatten)]
    wrapped: WrappedKey,
}

struct OpenRecord {
    record_type: String,
    epoch: u32,
    key: SealKey,
}

/// The keys of records that are in the scope now.
async fn open_records(
    tx: &mut PgConnection,
    keys: &KeyRing,
    scope: ScopeId,
    ids: BTreeSet<Uuid>,
) -> ApiResult<BTreeMap<RecordId, OpenRecord>> {
    let ScopeId::Area(area) = scope else {
        return Ok(BTreeMap::new());
    };
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows: Vec<KeyRow> = sqlx::query_as(RECORD_KEYS)
        .bind(&ids)
        .bind(area.as_str())
        .fetch_all(tx)
        .await?;
    let mut open = BTreeMap::new();
    for row in rows {
        let id = RecordId(row.id);
        let record = OpenRecord {
            record_type: row.record_type,
            epoch: row.epoch.unsigned_abs(),
            key: keys.record_key(id, &row.wrapped).await?,
        };
        open.insert(id, record);
    }
    Ok(open)
}

async fn change_bodies(
    tx: &mut PgConnection,
    open: &BTreeMap<RecordId, OpenRecord>,
    wanted: Vec<(Uuid, Vec<u8>)>,
) -> ApiResult<BTreeMap<(RecordId, ChangeHash), PutEntry>> {
    let (records, hashes): (Vec<Uuid>, Vec<Vec<u8>>) = wanted
        .into_iter()
        .filter(|(record, _)| open.contains_key(&RecordId(*record)))
        .unzip();
    let mut bodies = BTreeMap::new();
    if records.is_empty() {
        return Ok(bodies);
    }
    let rows: Vec<store::ChangeRow> = sqlx::query_as(CHANGE_BODIES)
        .bind(&records)
        .bind(&hashes)
        .fetch_all(tx)
        .await?;
    for row in rows {
        let (record, hash) = (RecordId(row.record_id), row.hash()?);
        let Some(held) = open.get(&record) else {
            continue;
        };
        let bytes = sealing::open_change(&held.key, hash, &row.body)?;
        let put = PutEntry {
            record,
            record_type: held.record_type.clone(),
            epoch: held.epoch,
            bytes,
        };
        bodies.insert((record, hash), put);
    }
    Ok(bodies)
}

async fn whole_entries(
    tx: &mut PgConnection,
    open: &BTreeMap<RecordId, OpenRecord>,
    wanted: BTreeSet<Uuid>,
) -> ApiResult<BTreeMap<RecordId, WholeEntry>> {
    let ids: Vec<Uuid> = wanted
        .into_iter()
        .filter(|id| open.contains_key(&RecordId(*id)))
        .collect();
    let mut wholes: BTreeMap<RecordId, WholeEntry> = BTreeMap::new();
    if ids.is_empty() {
        return Ok(wholes);
    }
    for row in store::changes_of(tx, &ids).await? {
        let (record, hash) = (RecordId(row.record_id), row.hash()?);
        let Some(held) = open.get(&record) else {
            continue;
        };
        let bytes = sealing::open_change(&held.key, hash, &row.body)?;
        let whole = wholes.entry(record).or_insert_with(|| WholeEntry {
            record,
            record_type: held.record_type.clone(),
            epoch: held.epoch,
            changes: Vec::new(),
        });
        whole.changes.push(ByteBuf::from(bytes));
    }
    Ok(wholes)
}

/// An event's row, sealed.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct EventRow {
    id: Uuid,
    event_type: String,
    user_id: Uuid,
    #[sqlx(flatten)]
    wrapped: WrappedKey,
    body: Vec<u8>,
}

impl EventRow {
    /// The event, and the key that seals it.
    pub(super) async fn open(self, keys: &KeyRing) -> ApiResult<(EventEntry, SealKey)> {
        let id = EventId(self.id);
        let key = keys.record_key(id.into(), &self.wrapped).await?;
        let plain = sealing::open_row(&key, "events", id.as_bytes(), &self.body)?;
        let event = EventEntry {
            id,
            event_type: self.event_type,
            area: self.wrapped.area,
            user: UserId(self.user_id),
            fields: codec::from_bytes(&plain).map_err(ApiError::internal)?,
        };
        Ok((event, key))
    }
}

/// Events by id, opened.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn event_entries(
    tx: &mut PgConnection,
    keys: &KeyRing,
    ids: &[Uuid],
) -> ApiResult<BTreeMap<EventId, EventEntry>> {
    let mut events = BTreeMap::new();
    if ids.is_empty() {
        return Ok(events);
    }
    let rows: Vec<EventRow> = sqlx::query_as(EVENT_BODIES).bind(ids).fetch_all(tx).await?;
    for row in rows {
        let (event, _) = row.open(keys).await?;
        events.insert(event.id, event);
    }
    Ok(events)
}

/// A scope's records with their parts of the digest.
///
/// # Errors
/// When the database fails.
pub async fn members(
    tx: &mut PgConnection,
    area: AreaCode,
) -> ApiResult<Vec<(RecordId, ScopeDigest)>> {
    let rows: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(MEMBERS)
        .bind(area.as_str())
        .fetch_all(tx)
        .await?;
    let part = |(id, bytes): (Uuid, Vec<u8>)| {
        let id = RecordId(id);
        (id, ScopeDigest::of_record(id, &heads(&bytes)))
    };
    Ok(rows.into_iter().map(part).collect())
}

/// Whole records of a scope by id, in the order of ids.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn wholes(
    tx: &mut PgConnection,
    keys: &KeyRing,
    scope: ScopeId,
    ids: &[RecordId],
) -> ApiResult<Vec<WholeEntry>> {
    let ids: BTreeSet<Uuid> = ids.iter().map(|id| id.0).collect();
    let open = open_records(tx, keys, scope, ids.clone()).await?;
    Ok(whole_entries(tx, &open, ids).await?.into_values().collect())
}

/// What a scope holds besides records: its states, and the events that happened after `since`.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn states_and_events(
    tx: &mut PgConnection,
    keys: &KeyRing,
    scope: ScopeId,
    since: chrono::DateTime<chrono::Utc>,
) -> ApiResult<Vec<Entry>> {
    let states: Vec<(String, String)> = sqlx::query_as(SCOPE_STATES)
        .bind(scope.to_string())
        .fetch_all(&mut *tx)
        .await?;
    let mut entries: Vec<Entry> = states
        .into_iter()
        .map(|(key, json)| Entry::State(StateEntry { key, json }))
        .collect();
    if let ScopeId::Area(area) = scope {
        let ids: Vec<Uuid> = sqlx::query_scalar(SCOPE_EVENTS)
            .bind(area.as_str())
            .bind(since)
            .fetch_all(&mut *tx)
            .await?;
        for chunk in ids.chunks(1_000) {
            entries.extend(
                event_entries(tx, keys, chunk)
                    .await?
                    .into_values()
                    .map(Entry::Event),
            );
        }
    }
    Ok(entries)
}

/// Whether something of a scope was erased after a number of its log: what was copied before then must be forgotten.
///
/// # Errors
/// When the database fails.
pub async fn erased_after(tx: &mut PgConnection, scope: ScopeId, seq: u64) -> ApiResult<bool> {
    Ok(sqlx::query_scalar(ERASED_AFTER)
        .bind(scope.to_string())
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .fetch_one(tx)
        .await?)
}

/// One state entry's JSON.
///
/// # Errors
/// When the database fails.
pub async fn state_json(
    tx: &mut PgConnection,
    scope: ScopeId,
    key: &str,
) -> ApiResult<Option<String>> {
    Ok(sqlx::query_scalar(STATE_JSON)
        .bind(scope.to_string())
        .bind(key)
        .fetch_optional(tx)
        .await?)
}

/// Something that a user was told.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MessageRow {
    /// Its key in the user's scope.
    pub key: String,
    /// Code, text and record.
    pub json: String,
    /// When it was said.
    pub changed_at: DateTime<Utc>,
}

/// What a user was told, the newest first, before the last one seen.
///
/// # Errors
/// When the database fails.
pub async fn messages(
    tx: &mut PgConnection,
    scope: ScopeId,
    before: Option<(DateTime<Utc>, String)>,
    rows: i64,
) -> ApiResult<Vec<MessageRow>> {
    let (at, key) = before.unzip();
    Ok(sqlx::query_as(MESSAGES)
        .bind(scope.to_string())
        .bind(at)
        .bind(key)
        .bind(rows)
        .fetch_all(tx)
        .await?)
}

/// The areas whose devices hold a record; none for one that is not there.
///
/// # Errors
/// When the database fails.
pub async fn areas_of(state: &AppState, record: RecordId) -> ApiResult<Vec<AreaCode>> {
    let mut tx = system_tx(&state.pool).await?;
    let areas: Option<Vec<String>> = sqlx::query_scalar(AREAS_OF)
        .bind(record.0)
        .fetch_optional(&mut *tx)
        .await?;
    let areas = Areas::try_from(areas.unwrap_or_default());
    Ok(areas.map_err(ApiError::internal)?.0)
}
