//! The photos' SQL, and nothing else.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{PhotoId, RecordId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{PhotoRow, UploadRow};

const OPEN: &str = include_str!("sql/open.sql");
const FORGET: &str = include_str!("sql/forget.sql");
const STALE: &str = include_str!("sql/stale.sql");
const STRAYS: &str = include_str!("sql/strays.sql");
const UNDER_WAY: &str = "SELECT count(*) FROM photo_uploads WHERE owner = $1";
const SENT: &str = "SELECT (SELECT coalesce(sum(size), 0) FROM photos WHERE uploaded_by = $1 AND arrived_at > $2) \
    + (SELECT coalesce(sum(size), 0) FROM photo_uploads WHERE owner = $1)";
const LOCK: &str = "SELECT id, digest, record_id, field, media_type, size, received \
    FROM photo_uploads WHERE id = $1 AND owner = $2 FOR UPDATE";
const ADVANCE: &str = "UPDATE photo_uploads SET received = $2, touched_at = $3 WHERE id = $1";
const END: &str = "DELETE FROM photo_uploads WHERE id = $1";
const KEEP: &str = "INSERT INTO photos (id, record_id, digest, area_code, media_type, size, width, height, \
    uploaded_by, arrived_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT ON CONSTRAINT photos_one DO NOTHING";
const STORED: &str = "SELECT id, record_id, digest, media_type, size, width, height, uploaded_by, arrived_at \
    FROM photos WHERE record_id = $1 AND digest = $2";
const OF_UPLOAD: &str = "SELECT id, record_id, digest, media_type, size, width, height, uploaded_by, arrived_at \
    FROM photos WHERE id = $1 AND uploaded_by = $2";
const NAMED: &str = "SELECT id, record_id, digest, media_type, size, width, height, uploaded_by, arrived_at \
    FROM photos WHERE digest = $1 ORDER BY arrived_at, id LIMIT 50";
const ARRIVED: &str = "SELECT DISTINCT ON (digest) id, record_id, digest, media_type, size, width, height, \
    uploaded_by, arrived_at FROM photos WHERE digest = ANY($1) ORDER BY digest, arrived_at, id";
const ARRIVING: &str = "SELECT id, digest, record_id, field, media_type, size, received \
    FROM photo_uploads WHERE record_id = $1 ORDER BY received";
const REMOVE: &str = "INSERT INTO photo_removals (id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const REMOVALS: &str =
    "SELECT id FROM photo_removals ORDER BY at, id LIMIT $1 FOR UPDATE SKIP LOCKED";
const REMOVED: &str = "DELETE FROM photo_removals WHERE id = ANY($1)";

/// An upload to be opened.
#[derive(Clone, Debug)]
pub(super) struct NewUpload<'a> {
    pub(super) id: PhotoId,
    pub(super) digest: &'a [u8],
    pub(super) record: RecordId,
    pub(super) field: &'a str,
    pub(super) area: &'a str,
    pub(super) owner: UserId,
    pub(super) media_type: &'a str,
    pub(super) size: i32,
    pub(super) at: DateTime<Utc>,
}

pub(super) async fn open(tx: &mut PgConnection, new: &NewUpload<'_>) -> sqlx::Result<UploadRow> {
    sqlx::query_as(OPEN)
        .bind(new.id.0)
        .bind(new.digest)
        .bind(new.record.0)
        .bind(new.field)
        .bind(new.area)
        .bind(new.owner.0)
        .bind(new.media_type)
        .bind(new.size)
        .bind(new.at)
        .fetch_one(tx)
        .await
}

/// How many uploads of a user are under way.
pub(super) async fn under_way(tx: &mut PgConnection, owner: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar(UNDER_WAY)
        .bind(owner.0)
        .fetch_one(tx)
        .await
}

/// Bytes of a user's photos that arrived since a time, and of those under way.
pub(super) async fn sent(
    tx: &mut PgConnection,
    owner: UserId,
    since: DateTime<Utc>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(SENT)
        .bind(owner.0)
        .bind(since)
        .fetch_one(tx)
        .await
}

/// A user's upload, kept from other requests until the transaction ends.
pub(super) async fn lock(
    tx: &mut PgConnection,
    id: PhotoId,
    owner: UserId,
) -> sqlx::Result<Option<UploadRow>> {
    sqlx::query_as(LOCK)
        .bind(id.0)
        .bind(owner.0)
        .fetch_optional(tx)
        .await
}

pub(super) async fn advance(
    tx: &mut PgConnection,
    id: PhotoId,
    received: i32,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(ADVANCE)
        .bind(id.0)
        .bind(received)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn end(tx: &mut PgConnection, id: PhotoId) -> sqlx::Result<()> {
    sqlx::query(END).bind(id.0).execute(tx).await?;
    Ok(())
}

/// Keeps a photo; `false` when the record has it already.
pub(super) async fn keep(
    tx: &mut PgConnection,
    photo: &PhotoRow,
    area: &str,
) -> sqlx::Result<bool> {
    let kept = sqlx::query(KEEP)
        .bind(photo.id)
        .bind(photo.record_id)
        .bind(&photo.digest)
        .bind(area)
        .bind(&photo.media_type)
        .bind(photo.size)
        .bind(photo.width)
        .bind(photo.height)
        .bind(photo.uploaded_by)
        .bind(photo.arrived_at)
        .execute(tx)
        .await?;
    Ok(kept.rows_affected() == 1)
}

/// A record's photo of this digest.
pub(super) async fn stored(
    tx: &mut PgConnection,
    record: RecordId,
    digest: &[u8],
) -> sqlx::Result<Option<PhotoRow>> {
    sqlx::query_as(STORED)
        .bind(record.0)
        .bind(digest)
        .fetch_optional(tx)
        .await
}

/// What a user's upload became.
pub(super) async fn of_upload(
    tx: &mut PgConnection,
    id: PhotoId,
    owner: UserId,
) -> sqlx::Result<Option<PhotoRow>> {
    sqlx::query_as(OF_UPLOAD)
        .bind(id.0)
        .bind(owner.0)
        .fetch_optional(tx)
        .await
}

/// The photos of a digest within the transaction's areas, one for each record that has it.
pub(super) async fn named(tx: &mut PgConnection, digest: &[u8]) -> sqlx::Result<Vec<PhotoRow>> {
    sqlx::query_as(NAMED).bind(digest).fetch_all(tx).await
}

/// Of these digests, those that have arrived.
pub(super) async fn arrived(
    tx: &mut PgConnection,
    digests: &[Vec<u8>],
) -> sqlx::Result<Vec<PhotoRow>> {
    sqlx::query_as(ARRIVED).bind(digests).fetch_all(tx).await
}

/// A record's uploads under way.
pub(super) async fn arriving(
    tx: &mut PgConnection,
    record: RecordId,
) -> sqlx::Result<Vec<UploadRow>> {
    sqlx::query_as(ARRIVING).bind(record.0).fetch_all(tx).await
}

/// Notes that a photo's objects are to be removed.
pub(super) async fn remove(
    tx: &mut PgConnection,
    id: PhotoId,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(REMOVE).bind(id.0).bind(at).execute(tx).await?;
    Ok(())
}

/// Drops photos and uploads of what is erased.
pub(super) async fn forget(
    tx: &mut PgConnection,
    records: &[Uuid],
    at: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(FORGET)
        .bind(records)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}

/// Drops uploads that were last heard of before a time, or whose record is no more.
pub(super) async fn drop_stale(
    tx: &mut PgConnection,
    before: DateTime<Utc>,
    at: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(STALE).bind(before).bind(at).execute(tx).await?;
    Ok(done.rows_affected())
}

/// Notes which of these objects nobody knows.
pub(super) async fn note_strays(
    tx: &mut PgConnection,
    ids: &[Uuid],
    at: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(STRAYS).bind(ids).bind(at).execute(tx).await?;
    Ok(done.rows_affected())
}

/// Removals that are due and that no other node carries out.
pub(super) async fn removals(tx: &mut PgConnection, most: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(REMOVALS).bind(most).fetch_all(tx).await
}

/// Notes that they were carried out.
pub(super) async fn removed(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query(REMOVED).bind(ids).execute(tx).await?;
    Ok(())
}
