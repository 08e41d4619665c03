//! The SQL of loading and writing what changes touch, and nothing else. Many rows go in one statement by UNNEST. What
//! only one neighbour asks stands with it.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, ChangeHash, RecordId};
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Uuid};

use super::model::Areas;
use crate::error::{ApiError, ApiResult};
use crate::keys::WrappedKey;

const LOCK_RECORDS: &str = include_str!("sql/lock_records.sql");
const REFUSED_CHANGES: &str = include_str!("sql/refused_changes.sql");
const REFUSED_EVENTS: &str = include_str!("sql/refused_events.sql");
const CHANGES_OF: &str =
    "SELECT record_id, hash, body FROM changes WHERE record_id = ANY($1) ORDER BY record_id, ord";
const CHANGE_BYTES: &str = "SELECT record_id, sum(octet_length(body))::bigint FROM changes \
    WHERE record_id = ANY($1) GROUP BY record_id";
const INSERT_RECORDS: &str = include_str!("sql/insert_records.sql");
const UPDATE_RECORDS: &str = include_str!("sql/update_records.sql");
const PUT_TOKENS: &str = include_str!("sql/put_tokens.sql");
const INSERT_CHANGES: &str = include_str!("sql/insert_changes.sql");
const DROP_LINKS: &str = "DELETE FROM links WHERE record_id = ANY($1)";
const INSERT_LINKS: &str = "INSERT INTO links (record_id, field, target) SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[])";
const AREAS_AMONG: &str = "SELECT code::text FROM areas WHERE code = ANY($1)";
const KNOWN_IDS: &str = include_str!("sql/known_ids.sql");
const INSERT_EVENTS: &str = include_str!("sql/insert_events.sql");
const ENVELOPES: &str = include_str!("sql/envelopes.sql");
const LAST_ENVELOPES: &str = include_str!("sql/last_envelopes.sql");
const INSERT_ENVELOPES: &str = include_str!("sql/insert_envelopes.sql");
const OPEN_CONFLICTS: &str = include_str!("sql/open_conflicts.sql");
const INSERT_CONFLICTS: &str = include_str!("sql/insert_conflicts.sql");
const UPDATE_CONFLICT: &str = "UPDATE conflicts SET body = $2, version = version + 1 WHERE id = $1";
const INSERT_REFUSED: &str = include_str!("sql/insert_refused.sql");
const INSERT_TOMBS: &str = include_str!("sql/insert_tombs.sql");
const MAKERS: &str = "SELECT hash, user_id FROM changes WHERE record_id = $1 AND hash = ANY($2)";

/// A record's row.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct RecordRow {
    pub(super) id: Uuid,
    pub(super) record_type: String,
    #[sqlx(flatten)]
    pub(super) wrapped: WrappedKey,
    #[sqlx(try_from = "Vec<String>")]
    pub(super) areas: Areas,
    pub(super) merged_into: Option<Uuid>,
    pub(super) epoch: i32,
    pub(super) heads: Vec<u8>,
    pub(super) state: Vec<u8>,
    pub(super) version: i32,
    pub(super) erased: bool,
}

pub(super) async fn lock_records(tx: &mut PgConnection, ids: &[Uuid]) -> ApiResult<Vec<RecordRow>> {
    Ok(sqlx::query_as(LOCK_RECORDS).bind(ids).fetch_all(tx).await?)
}

/// How many bytes of changes these records hold.
pub(super) async fn change_bytes(
    tx: &mut PgConnection,
    ids: &[Uuid],
) -> ApiResult<Vec<(Uuid, i64)>> {
    Ok(sqlx::query_as(CHANGE_BYTES).bind(ids).fetch_all(tx).await?)
}

/// Those of these areas that there are or were.
pub(super) async fn areas_among(
    tx: &mut PgConnection,
    named: &BTreeSet<AreaCode>,
) -> ApiResult<BTreeSet<AreaCode>> {
    if named.is_empty() {
        return Ok(BTreeSet::new());
    }
    let codes: Vec<String> = named.iter().map(ToString::to_string).collect();
    let found: Vec<String> = sqlx::query_scalar(AREAS_AMONG)
        .bind(&codes)
        .fetch_all(tx)
        .await?;
    let parsed = found
        .iter()
        .map(|code| code.parse::<AreaCode>().map_err(ApiError::internal));
    parsed.collect()
}

/// Something that was refused before.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct RefusedRow {
    pub(super) record_id: Uuid,
    pub(super) hash: Vec<u8>,
    pub(super) code: String,
    pub(super) field: Option<String>,
}

/// Those of these changes that were refused before. Not all that was refused of their records: whoever lies piles that up.
pub(super) async fn refused_changes(
    tx: &mut PgConnection,
    asked: &BTreeSet<(RecordId, ChangeHash)>,
) -> ApiResult<Vec<RefusedRow>> {
    let (records, hashes): (Vec<Uuid>, Vec<&[u8]>) = asked
        .iter()
        .map(|(record, hash)| (record.0, hash.0.as_slice()))
        .unzip();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(REFUSED_CHANGES)
        .bind(&records)
        .bind(&hashes)
        .fetch_all(tx)
        .await?)
}

/// Those of these events that were refused before; each once.
pub(super) async fn refused_events(
    tx: &mut PgConnection,
    ids: &[Uuid],
) -> ApiResult<Vec<RefusedRow>> {
    Ok(sqlx::query_as(REFUSED_EVENTS)
        .bind(ids)
        .fetch_all(tx)
        .await?)
}

/// A change's row.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ChangeRow {
    pub(super) record_id: Uuid,
    pub(super) hash: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl ChangeRow {
    pub(super) fn hash(&self) -> ApiResult<ChangeHash> {
        self.hash
            .as_slice()
            .try_into()
            .map(ChangeHash)
            .map_err(|_| ApiError::internal(anyhow::anyhow!("a hash of another length")))
    }
}

/// All changes of records, each record's in the order of acceptance.
pub(super) async fn changes_of(tx: &mut PgConnection, ids: &[Uuid]) -> ApiResult<Vec<ChangeRow>> {
    Ok(sqlx::query_as(CHANGES_OF).bind(ids).fetch_all(tx).await?)
}

/// New records' columns.
#[derive(Debug, Default)]
pub(super) struct NewRecords {
    pub(super) id: Vec<Uuid>,
    pub(super) record_type: Vec<String>,
    pub(super) area_code: Vec<String>,
    /// Array literals, `{a,b}`: arrays of unequal length can't be unnested.
    pub(super) areas: Vec<String>,
    pub(super) epoch: Vec<i32>,
    pub(super) wrapped_key: Vec<Vec<u8>>,
    pub(super) key_version: Vec<i32>,
}

/// The columns that every write of a record gives anew.
#[derive(Debug, Default)]
pub(super) struct RecordContents {
    pub(super) id: Vec<Uuid>,
    pub(super) cancelled: Vec<bool>,
    pub(super) heads: Vec<Vec<u8>>,
    pub(super) state: Vec<Vec<u8>>,
    pub(super) version: Vec<i32>,
    pub(super) facets: Vec<serde_json::Value>,
    pub(super) updated_by: Vec<Uuid>,
}

impl RecordContents {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            id: Vec::with_capacity(rows),
            cancelled: Vec::with_capacity(rows),
            heads: Vec::with_capacity(rows),
            state: Vec::with_capacity(rows),
            version: Vec::with_capacity(rows),
            facets: Vec::with_capacity(rows),
            updated_by: Vec::with_capacity(rows),
        }
    }
}

pub(super) async fn insert_records(
    tx: &mut PgConnection,
    rows: &NewRecords,
    contents: &RecordContents,
    now: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(INSERT_RECORDS)
        .bind(&rows.id)
        .bind(&rows.record_type)
        .bind(&rows.area_code)
        .bind(&rows.areas)
        .bind(&rows.epoch)
        .bind(&rows.wrapped_key)
        .bind(&rows.key_version)
        .bind(&contents.cancelled)
        .bind(&contents.heads)
        .bind(&contents.state)
        .bind(&contents.version)
        .bind(&contents.facets)
        .bind(&contents.updated_by)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn update_records(
    tx: &mut PgConnection,
    contents: &RecordContents,
    now: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(UPDATE_RECORDS)
        .bind(&contents.id)
        .bind(&contents.cancelled)
        .bind(&contents.heads)
        .bind(&contents.state)
        .bind(&contents.version)
        .bind(&contents.facets)
        .bind(&contents.updated_by)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Puts the search tokens of records, areas and tokens as array literals.
pub(super) async fn put_tokens(
    tx: &mut PgConnection,
    ids: &[Uuid],
    areas: &[String],
    tokens: &[String],
) -> ApiResult<()> {
    sqlx::query(PUT_TOKENS)
        .bind(ids)
        .bind(areas)
        .bind(tokens)
        .execute(tx)
        .await?;
    Ok(())
}

/// A change's columns to be written.
#[derive(Debug, Default)]
pub(super) struct ChangeColumns {
    pub(super) record_id: Vec<Uuid>,
    pub(super) hash: Vec<Vec<u8>>,
    pub(super) actor: Vec<Vec<u8>>,
    pub(super) seq: Vec<i64>,
    pub(super) epoch: Vec<i32>,
    pub(super) device_id: Vec<Uuid>,
    pub(super) user_id: Vec<Uuid>,
    pub(super) made_at: Vec<DateTime<Utc>>,
    pub(super) body: Vec<Vec<u8>>,
}

pub(super) async fn insert_changes(
    tx: &mut PgConnection,
    rows: &ChangeColumns,
    now: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(INSERT_CHANGES)
        .bind(&rows.record_id)
        .bind(&rows.hash)
        .bind(&rows.actor)
        .bind(&rows.seq)
        .bind(&rows.epoch)
        .bind(&rows.device_id)
        .bind(&rows.user_id)
        .bind(&rows.made_at)
        .bind(&rows.body)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Puts these links, after dropping all that `records` had.
pub(super) async fn replace_links(
    tx: &mut PgConnection,
    records: &[Uuid],
    links: &[(Uuid, String, Uuid)],
) -> ApiResult<()> {
    if !records.is_empty() {
        sqlx::query(DROP_LINKS)
            .bind(records)
            .execute(&mut *tx)
            .await?;
    }
    if links.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_LINKS)
        .bind(links.iter().map(|link| link.0).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.1.clone()).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.2).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Those of `ids` that are an event's (`true`), and those of `events` that are a record's.
pub(super) async fn known_ids(
    tx: &mut PgConnection,
    ids: &[Uuid],
    events: &[Uuid],
) -> ApiResult<Vec<(Uuid, bool)>> {
    Ok(sqlx::query_as(KNOWN_IDS)
        .bind(ids)
        .bind(events)
        .fetch_all(tx)
        .await?)
}

/// An event's columns to be written.
#[derive(Debug, Default)]
pub(super) struct EventColumns {
    pub(super) id: Vec<Uuid>,
    pub(super) event_type: Vec<String>,
    pub(super) area_code: Vec<String>,
    pub(super) user_id: Vec<Uuid>,
    pub(super) device_id: Vec<Uuid>,
    pub(super) happened_at: Vec<DateTime<Utc>>,
    pub(super) subjects: Vec<String>,
    pub(super) facets: Vec<serde_json::Value>,
    pub(super) wrapped_key: Vec<Vec<u8>>,
    pub(super) key_version: Vec<i32>,
    pub(super) body: Vec<Vec<u8>>,
    pub(super) verifies: Vec<bool>,
}

pub(super) async fn insert_events(
    tx: &mut PgConnection,
    rows: &EventColumns,
    now: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(INSERT_EVENTS)
        .bind(&rows.id)
        .bind(&rows.event_type)
        .bind(&rows.area_code)
        .bind(&rows.user_id)
        .bind(&rows.device_id)
        .bind(&rows.happened_at)
        .bind(&rows.subjects)
        .bind(&rows.facets)
        .bind(&rows.wrapped_key)
        .bind(&rows.key_version)
        .bind(&rows.body)
        .bind(now)
        .bind(&rows.verifies)
        .execute(tx)
        .await?;
    Ok(())
}

/// An envelope that was answered before.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct EnvelopeRow {
    pub(super) device_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) seq: i64,
    pub(super) digest: Vec<u8>,
    pub(super) outcomes: Vec<u8>,
}

/// Of these (device, user, number), those answered before.
pub(super) async fn envelopes(
    tx: &mut PgConnection,
    names: &[(Uuid, Uuid, i64)],
) -> ApiResult<Vec<EnvelopeRow>> {
    Ok(sqlx::query_as(ENVELOPES)
        .bind(names.iter().map(|name| name.0).collect::<Vec<_>>())
        .bind(names.iter().map(|name| name.1).collect::<Vec<_>>())
        .bind(names.iter().map(|name| name.2).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?)
}

/// The last number answered for each of these devices and users.
pub(super) async fn last_envelopes(
    tx: &mut PgConnection,
    names: &[(Uuid, Uuid)],
) -> ApiResult<Vec<(Uuid, Uuid, i64)>> {
    Ok(sqlx::query_as(LAST_ENVELOPES)
        .bind(names.iter().map(|name| name.0).collect::<Vec<_>>())
        .bind(names.iter().map(|name| name.1).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?)
}

pub(super) async fn insert_envelopes(
    tx: &mut PgConnection,
    rows: &[EnvelopeRow],
    now: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(INSERT_ENVELOPES)
        .bind(rows.iter().map(|row| row.device_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.user_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.seq).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.digest.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| row.outcomes.clone())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// A conflict item that is still open.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct OpenConflictRow {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) record_id: Uuid,
    pub(super) subject: String,
    #[sqlx(flatten)]
    pub(super) wrapped: WrappedKey,
    pub(super) body: Vec<u8>,
}

pub(super) async fn open_conflicts(
    tx: &mut PgConnection,
    records: &[Uuid],
) -> ApiResult<Vec<OpenConflictRow>> {
    Ok(sqlx::query_as(OPEN_CONFLICTS)
        .bind(records)
        .fetch_all(tx)
        .await?)
}

pub(super) async fn update_conflict(tx: &mut PgConnection, id: Uuid, body: &[u8]) -> ApiResult<()> {
    sqlx::query(UPDATE_CONFLICT)
        .bind(id)
        .bind(body)
        .execute(tx)
        .await?;
    Ok(())
}

/// A conflict item to be opened.
#[derive(Debug)]
pub(super) struct NewConflict {
    pub(super) id: Uuid,
    pub(super) kind: &'static str,
    pub(super) area_code: String,
    pub(super) record_id: Uuid,
    pub(super) other_id: Option<Uuid>,
    pub(super) subject: String,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) key_version: i32,
    pub(super) body: Vec<u8>,
}

pub(super) async fn insert_conflicts(
    tx: &mut PgConnection,
    rows: &[NewConflict],
    now: DateTime<Utc>,
    due: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(INSERT_CONFLICTS)
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.kind).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.area_code.clone())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.record_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.other_id).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.subject.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| row.wrapped_key.clone())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.key_version).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.body.clone()).collect::<Vec<_>>())
        .bind(now)
        .bind(due)
        .execute(tx)
        .await?;
    Ok(())
}

/// An item that was refused, to be kept.
#[derive(Debug)]
pub(super) struct NewRefused {
    pub(super) id: Uuid,
    pub(super) conflict_id: Uuid,
    pub(super) record_id: Uuid,
    pub(super) hash: Vec<u8>,
    pub(super) device_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) code: String,
    pub(super) field: Option<String>,
    pub(super) body: Vec<u8>,
    /// An array literal: arrays of unequal length can't be unnested.
    pub(super) subjects: String,
}

pub(super) async fn insert_refused(
    tx: &mut PgConnection,
    rows: &[NewRefused],
    now: DateTime<Utc>,
) -> ApiResult<()> {
    sqlx::query(INSERT_REFUSED)
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.conflict_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.record_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.hash.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.device_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.user_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.code.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.field.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.body.clone()).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.subjects.clone())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps the ids of records that never came to be, as those of erased ones are kept: id, type, area.
pub(super) async fn insert_tombs(
    tx: &mut PgConnection,
    tombs: &[(Uuid, String, AreaCode)],
    now: DateTime<Utc>,
) -> ApiResult<()> {
    if tombs.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_TOMBS)
        .bind(tombs.iter().map(|tomb| tomb.0).collect::<Vec<_>>())
        .bind(tombs.iter().map(|tomb| tomb.1.clone()).collect::<Vec<_>>())
        .bind(
            tombs
                .iter()
                .map(|tomb| tomb.2.to_string())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Who made these changes of a record.
pub(super) async fn makers(
    tx: &mut PgConnection,
    record: Uuid,
    hashes: &[Vec<u8>],
) -> ApiResult<Vec<(Vec<u8>, Option<Uuid>)>> {
    Ok(sqlx::query_as(MAKERS)
        .bind(record)
        .bind(hashes)
        .fetch_all(tx)
        .await?)
}
