//! The outbox's file: queued items, envelopes, refusals, and the register's halves of the last batches.
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
        || !batch.dismiss.is_empty()
}

/// Whether a batch takes away what tells of someone: a refusal that is dismissed, or what came too late for someone who
/// was erased.
pub(crate) fn forgets(batch: &WriteBatch) -> bool {
    let mut codes = batch.refused.iter().map(|(_, refusal, _)| &refusal.code);
    !batch.dismiss.is_empty() || codes.any(|code| code == Refusal::ERASED)
}

/// The register's half of a batch, on its way into the outbox.
pub(crate) struct HalfRow {
    /// Its number; ascending, never used again.
    pub(crate) number: i64,
    /// MessagePack.
    pub(crate) bytes: Vec<u8>,
    /// The last number that the register has for good: up to it the halves go.
    pub(crate) durable: i64,
}

/// Writes the outbox's part of a batch, and the register's half. The caller commits.
pub(crate) fn write(
    to: &Connection,
    batch: &WriteBatch,
    half: Option<HalfRow>,
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
        to.prepare_cached("INSERT INTO refused (refused) VALUES (?1)")?
            .execute([codec::to_bytes(refused)])?;
    }
    for id in &batch.dismiss {
        to.prepare_cached("DELETE FROM refused WHERE n = ?1")?
            .execute([id.cast_signed()])?;
    }
    if let Some(half) = half {
        to.prepare_cached("DELETE FROM half WHERE number <= ?1")?
            .execute([half.durable])?;
        to.prepare_cached("INSERT INTO half (number, half) VALUES (?1, ?2)")?
            .execute(params![half.number, half.bytes])?;
    }
    Ok(())
}

/// The halves after a number, in order.
pub(crate) fn halves(from: &Connection, after: i64) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let mut statement =
        from.prepare_cached("SELECT number, half FROM half WHERE number > ?1 ORDER BY number")?;
    let found = statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The greatest number that a half ever had; 0 for none.
pub(crate) fn half_number(from: &Connection) -> Result<i64, StoreError> {
    last_number(from, "half")
}

/// Lets the numbers of halves go on after `number`.
pub(crate) fn pass_half_number(to: &Connection, number: i64) -> Result<(), StoreError> {
    let transaction = to.unchecked_transaction()?;
    transaction.execute("INSERT INTO half (number, half) VALUES (?1, x'')", [number])?;
    transaction.execute("DELETE FROM half WHERE number = ?1", [number])?;
    Ok(transaction.commit()?)
}

/// Takes the halves out.
pub(crate) fn forget_halves(to: &Connection) -> Result<(), StoreError> {
    to.prepare_cached("DELETE FROM half")?.execute([])?;
    Ok(())
}

/// The greatest number ever given in a table: SQLite keeps it for an AUTOINCREMENT key after its rows are gone.
fn last_number(from: &Connection, table: &str) -> Result<i64, StoreError> {
    let found = from
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = ?1")?
        .query_row([table], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
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

/// The greatest number that an envelope ever had; 0 for none.
pub(crate) fn last_envelope(from: &Connection) -> Result<u64, StoreError> {
    Ok(last_number(from, "envelope")?.cast_unsigned())
}

pub(crate) fn refused(from: &Connection) -> Result<Vec<RefusedItem>, StoreError> {
    let mut statement = from.prepare_cached("SELECT refused, n FROM refused ORDER BY n DESC")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (item, refusal, at): (Item, Refusal, Timestamp) = unpack(bytes(row, 0)?, "refused")?;
        found.push(RefusedItem {
            id: row.get::<_, i64>(1)?.cast_unsigned(),
            item,
            refusal,
            at,
        });
    }
    Ok(found)
}
