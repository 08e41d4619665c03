//! The outbox's file: queued items, envelopes, refusals, and the register's half of the last batch.
//! Knows nothing of what items mean.

use doorstep_core::envelope::{Item, SignedEnvelope};
use doorstep_core::ids::ChangeHash;
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Refusal, Unsent};
use doorstep_core::store::{OutboxItem, RefusedItem, SavedEnvelope, WriteBatch};
use doorstep_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::StoreError;
use crate::file::Steps;
use crate::register::{bytes, unpack};

pub(crate) const STEPS: Steps = &[include_str!("schema/outbox_1.sql")];

/// Whether a batch writes this file.
pub(crate) fn concerns(batch: &WriteBatch) -> bool {
    !batch.queue.is_empty()
        || !batch.unqueue.is_empty()
        || batch.envelope.is_some()
        || !batch.answered.is_empty()
        || !batch.refused.is_empty()
}

/// Writes the outbox's part of a batch, and the register's half with its number. The caller commits.
pub(crate) fn write(
    to: &Connection,
    batch: &WriteBatch,
    half: Option<(i64, &[u8])>,
) -> Result<(), StoreError> {
    for (item, hash, made_at) in &batch.queue {
        to.prepare_cached("INSERT INTO item (item, hash, made_at) VALUES (?1, ?2, ?3)")?
            .execute(params![
                codec::to_bytes(item),
                hash.map(|hash| hash.0),
                made_at.0
            ])?;
    }
    if let Some(envelope) = &batch.envelope {
        to.prepare_cached(
            "INSERT OR REPLACE INTO envelope (seq, body, signature, items) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            envelope.seq.cast_signed(),
            envelope.signed.body,
            envelope.signed.signature,
            codec::to_bytes(&envelope.items),
        ])?;
        for id in &envelope.items {
            to.prepare_cached("UPDATE item SET envelope = ?2 WHERE id = ?1")?
                .execute(params![id.cast_signed(), envelope.seq.cast_signed()])?;
        }
    }
    for seq in &batch.answered {
        to.prepare_cached("DELETE FROM envelope WHERE seq = ?1")?
            .execute([seq.cast_signed()])?;
    }
    for id in &batch.unqueue {
        to.prepare_cached("DELETE FROM item WHERE id = ?1")?
            .execute([id.cast_signed()])?;
    }
    if !batch.answered.is_empty() {
        // What an answered envelope held and was not unqueued goes up again.
        to.prepare_cached(
            "UPDATE item SET envelope = NULL
             WHERE envelope IS NOT NULL AND envelope NOT IN (SELECT seq FROM envelope)",
        )?
        .execute([])?;
    }
    for refused in &batch.refused {
        let row = codec::to_bytes(&(&refused.item, &refused.refusal, refused.at));
        to.prepare_cached("INSERT INTO refused (refused) VALUES (?1)")?
            .execute([row])?;
    }
    if let Some((number, half)) = half {
        to.prepare_cached("INSERT OR REPLACE INTO half (one, number, half) VALUES (1, ?1, ?2)")?
            .execute(params![number, half])?;
    }
    Ok(())
}

/// The register's half of the last batch that wrote both files, with its number.
pub(crate) fn half(from: &Connection) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
    Ok(from
        .prepare_cached("SELECT number, half FROM half")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// The number of that batch; 0 when there is none.
pub(crate) fn half_number(from: &Connection) -> Result<i64, StoreError> {
    let found = from
        .prepare_cached("SELECT number FROM half")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// Empties the half, and keeps its number.
pub(crate) fn forget_half(to: &Connection) -> Result<(), StoreError> {
    to.prepare_cached("UPDATE half SET half = x''")?
        .execute([])?;
    Ok(())
}

pub(crate) fn queued(from: &Connection, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    items(
        from,
        "SELECT id, item, hash, made_at FROM item WHERE envelope IS NULL ORDER BY id LIMIT ?1",
        limit,
    )
}

pub(crate) fn outbox(from: &Connection) -> Result<Vec<OutboxItem>, StoreError> {
    items(
        from,
        "SELECT id, item, hash, made_at FROM item ORDER BY id LIMIT ?1",
        i64::MAX,
    )
}

fn items(from: &Connection, sql: &str, limit: i64) -> Result<Vec<OutboxItem>, StoreError> {
    let mut statement = from.prepare_cached(sql)?;
    let mut rows = statement.query([limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(item(row)?);
    }
    Ok(found)
}

fn item(row: &Row<'_>) -> Result<OutboxItem, StoreError> {
    Ok(OutboxItem {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        item: unpack::<Item>(bytes(row, 1)?, "item")?,
        hash: row.get::<_, Option<[u8; 32]>>(2)?.map(ChangeHash),
        made_at: Timestamp(row.get(3)?),
    })
}

pub(crate) fn unsent(from: &Connection) -> Result<Unsent, StoreError> {
    let (items, oldest): (i64, Option<i64>) = from
        .prepare_cached("SELECT count(*), min(made_at) FROM item")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Unsent {
        items: items.cast_unsigned(),
        blobs: 0,
        oldest: oldest.map(Timestamp),
    })
}

pub(crate) fn envelopes(from: &Connection) -> Result<Vec<SavedEnvelope>, StoreError> {
    let mut statement =
        from.prepare_cached("SELECT seq, body, signature, items FROM envelope ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(SavedEnvelope {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            signed: SignedEnvelope {
                body: row.get(1)?,
                signature: row.get(2)?,
            },
            items: unpack(bytes(row, 3)?, "envelope")?,
        });
    }
    Ok(found)
}

/// The greatest number ever used: SQLite keeps it for an AUTOINCREMENT key after its rows are gone.
pub(crate) fn last_envelope(from: &Connection) -> Result<u64, StoreError> {
    let found: Option<i64> = from
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'envelope'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0).cast_unsigned())
}

pub(crate) fn refused(from: &Connection) -> Result<Vec<RefusedItem>, StoreError> {
    let mut statement = from.prepare_cached("SELECT refused FROM refused ORDER BY n DESC")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (item, refusal, at): (Item, Refusal, Timestamp) = unpack(bytes(row, 0)?, "refused")?;
        found.push(RefusedItem { item, refusal, at });
    }
    Ok(found)
}
