//! The register's file: records, changes, scopes, states, events. Knows nothing of the outbox beyond the number of
//! its last batch taken here.

use doorstep_core::ids::{ChangeHash, EventId, RecordId, ScopeId};
use doorstep_core::projection::{self, Projection};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{Cursor, EventEntry, StateEntry};
use doorstep_core::store::{RecordWrite, StoredChange, StoredRecord, WriteBatch};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::file::Steps;
use crate::list;
use crate::token::{self, TokenWrites};

pub(crate) const STEPS: Steps = &[
    include_str!("schema/register_1.sql"),
    include_str!("schema/register_2.sql"),
];

/// The register's half of a batch.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Half {
    records: Vec<RecordWrite>,
    purge: Vec<RecordId>,
    events: Vec<EventEntry>,
    states: Vec<(ScopeId, StateEntry)>,
    cursors: Vec<(ScopeId, Cursor)>,
    drop_scopes: Vec<ScopeId>,
    #[serde(default)]
    purge_events: Vec<EventId>,
}

impl Half {
    /// Takes the register's part out of a batch.
    pub(crate) fn take(batch: &mut WriteBatch) -> Self {
        Self {
            records: std::mem::take(&mut batch.records),
            purge: std::mem::take(&mut batch.purge),
            events: std::mem::take(&mut batch.events),
            states: std::mem::take(&mut batch.states),
            cursors: std::mem::take(&mut batch.cursors),
            drop_scopes: std::mem::take(&mut batch.drop_scopes),
            purge_events: std::mem::take(&mut batch.purge_events),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.purge.is_empty()
            && self.events.is_empty()
            && self.states.is_empty()
            && self.cursors.is_empty()
            && self.drop_scopes.is_empty()
            && self.purge_events.is_empty()
    }

    /// Whether it takes personal data away, so that nothing of it may stay behind elsewhere.
    pub(crate) fn forgets(&self) -> bool {
        !self.purge.is_empty() || !self.drop_scopes.is_empty() || !self.purge_events.is_empty()
    }
}

/// Reads a column of MessagePack.
pub(crate) fn unpack<T: DeserializeOwned>(
    bytes: &[u8],
    table: &'static str,
) -> Result<T, StoreError> {
    codec::from_bytes(bytes).map_err(|_| StoreError::Row(table))
}

/// Writes a half; `taken` is the outbox's number of it, where it has one. The caller commits.
pub(crate) fn write(to: &Connection, half: &Half, taken: Option<i64>) -> Result<(), StoreError> {
    let mut tokens = TokenWrites::default();
    for record in &half.records {
        write_record(to, record, &mut tokens)?;
    }
    for id in &half.purge {
        purge(to, *id, &mut tokens)?;
    }
    for event in &half.events {
        write_event(to, event)?;
    }
    for id in &half.purge_events {
        for sql in [
            "DELETE FROM event_about WHERE event = ?1",
            "DELETE FROM event WHERE id = ?1",
        ] {
            to.prepare_cached(sql)?.execute([id.as_bytes()])?;
        }
    }
    for (scope, StateEntry { key, json }) in &half.states {
        if json.is_empty() {
            to.prepare_cached("DELETE FROM state WHERE key = ?1")?
                .execute([key])?;
        } else {
            to.prepare_cached(
                "INSERT OR REPLACE INTO state (key, scope, json) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![key, scope.to_string(), json])?;
        }
    }
    for (scope, cursor) in &half.cursors {
        to.prepare_cached(
            "INSERT OR REPLACE INTO cursor (scope, seq, digest) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![
            scope.to_string(),
            cursor.seq.cast_signed(),
            cursor.digest.0
        ])?;
    }
    for scope in &half.drop_scopes {
        drop_scope(to, *scope)?;
    }
    if let Some(number) = taken {
        to.prepare_cached("UPDATE stand SET taken = ?1")?
            .execute([number])?;
    }
    tokens.write(to)?;
    if half.forgets() {
        token::forget(to)?;
    }
    Ok(())
}

/// The number of the outbox's last half that this file has taken; `None` for a file that was only made now.
pub(crate) fn taken(from: &Connection) -> Result<Option<i64>, StoreError> {
    Ok(from.query_row("SELECT taken FROM stand", [], |row| row.get(0))?)
}

/// Derives lists, links and tokens of every record again, when the app derives them otherwise than the one before.
pub(crate) fn project_again(to: &Connection) -> Result<(), StoreError> {
    let stamp = projection::stamp();
    let found: String = to.query_row("SELECT projected FROM stand", [], |row| row.get(0))?;
    if found == stamp {
        return Ok(());
    }
    let transaction = to.unchecked_transaction()?;
    let mut ids = Vec::new();
    {
        let mut statement = transaction.prepare("SELECT id FROM record")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            ids.push(RecordId::from_bytes(row.get(0)?));
        }
    }
    let mut tokens = TokenWrites::default();
    for id in ids {
        if let (Some(row), Some(record)) = (row_of(&transaction, id)?, record(&transaction, id)?) {
            let projection = projection::project(&record.record_type, &record.registers);
            update_record(&transaction, row, &record, &projection)?;
            update_words(&transaction, row, &projection, &mut tokens)?;
        }
    }
    tokens.write(&transaction)?;
    transaction.execute("UPDATE stand SET projected = ?1", [stamp])?;
    Ok(transaction.commit()?)
}

fn row_of(from: &Connection, id: RecordId) -> Result<Option<i64>, StoreError> {
    Ok(from
        .prepare_cached("SELECT row FROM record WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?)
}

fn write_record(
    to: &Connection,
    write: &RecordWrite,
    tokens: &mut TokenWrites,
) -> Result<(), StoreError> {
    let row = match row_of(to, write.record.id)? {
        Some(row) => {
            update_record(to, row, &write.record, &write.projection)?;
            if !write.same_tokens {
                update_words(to, row, &write.projection, tokens)?;
            }
            row
        }
        None => insert_record(to, write, tokens)?,
    };
    for hash in &write.remove {
        to.prepare_cached("DELETE FROM change WHERE row = ?1 AND hash = ?2")?
            .execute(params![row, hash.0])?;
    }
    for change in &write.add {
        to.prepare_cached(
            "INSERT INTO change (row, hash, confirmed, bytes) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![row, change.hash.0, change.confirmed, change.bytes])?;
    }
    for hash in &write.confirm {
        to.prepare_cached("UPDATE change SET confirmed = 1 WHERE row = ?1 AND hash = ?2")?
            .execute(params![row, hash.0])?;
    }
    for scope in &write.join {
        to.prepare_cached("INSERT OR IGNORE INTO member (row, scope) VALUES (?1, ?2)")?
            .execute(params![row, scope.to_string()])?;
    }
    for scope in &write.leave {
        to.prepare_cached("DELETE FROM member WHERE row = ?1 AND scope = ?2")?
            .execute(params![row, scope.to_string()])?;
    }
    Ok(())
}

fn insert_record(
    to: &Connection,
    write: &RecordWrite,
    tokens: &mut TokenWrites,
) -> Result<i64, StoreError> {
    let (record, mut projection) = (&write.record, &write.projection);
    let with_tokens;
    if write.same_tokens {
        with_tokens = projection::project(&record.record_type, &record.registers);
        projection = &with_tokens;
    }
    to.prepare_cached(
        "INSERT INTO record (id, type, area, epoch, cancelled, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        record.id.as_bytes(),
        record.record_type,
        record.area.as_str(),
        record.epoch,
        projection.cancelled,
        codec::to_bytes(&projection.fields),
    ])?;
    let row = to.last_insert_rowid();
    let words = list::indexed(&projection.tokens);
    to.prepare_cached(
        "INSERT INTO register (row, registers, confirmed, tokens) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        row,
        codec::to_bytes(&record.registers),
        codec::to_bytes(&record.confirmed),
        words,
    ])?;
    tokens.put(row, String::new(), words);
    write_links(to, row, &projection.links)?;
    Ok(row)
}

fn update_record(
    to: &Connection,
    row: i64,
    record: &StoredRecord,
    projection: &Projection,
) -> Result<(), StoreError> {
    to.prepare_cached(
        "UPDATE record SET type = ?2, area = ?3, epoch = ?4, cancelled = ?5, fields = ?6 WHERE row = ?1",
    )?
    .execute(params![
        row,
        record.record_type,
        record.area.as_str(),
        record.epoch,
        projection.cancelled,
        codec::to_bytes(&projection.fields),
    ])?;
    to.prepare_cached("UPDATE register SET registers = ?2, confirmed = ?3 WHERE row = ?1")?
        .execute(params![
            row,
            codec::to_bytes(&record.registers),
            codec::to_bytes(&record.confirmed),
        ])?;
    to.prepare_cached("DELETE FROM link WHERE row = ?1")?
        .execute([row])?;
    write_links(to, row, &projection.links)
}

/// What the index holds of a record, and what it shall hold.
fn update_words(
    to: &Connection,
    row: i64,
    projection: &Projection,
    tokens: &mut TokenWrites,
) -> Result<(), StoreError> {
    let (before, after) = (tokens_of(to, row)?, list::indexed(&projection.tokens));
    if before != after {
        to.prepare_cached("UPDATE register SET tokens = ?2 WHERE row = ?1")?
            .execute(params![row, after])?;
        tokens.put(row, before, after);
    }
    Ok(())
}

fn tokens_of(from: &Connection, row: i64) -> Result<String, StoreError> {
    Ok(from
        .prepare_cached("SELECT tokens FROM register WHERE row = ?1")?
        .query_row([row], |row| row.get(0))?)
}

fn write_links(to: &Connection, row: i64, links: &[(String, RecordId)]) -> Result<(), StoreError> {
    for (field, target) in links {
        to.prepare_cached("INSERT OR IGNORE INTO link (row, field, target) VALUES (?1, ?2, ?3)")?
            .execute(params![row, field, target.as_bytes()])?;
    }
    Ok(())
}

fn purge(to: &Connection, id: RecordId, tokens: &mut TokenWrites) -> Result<(), StoreError> {
    let Some(row) = row_of(to, id)? else {
        return Ok(());
    };
    tokens.put(row, tokens_of(to, row)?, String::new());
    for sql in [
        "DELETE FROM link WHERE row = ?1",
        "DELETE FROM member WHERE row = ?1",
        "DELETE FROM change WHERE row = ?1",
        "DELETE FROM register WHERE row = ?1",
        "DELETE FROM record WHERE row = ?1",
    ] {
        to.prepare_cached(sql)?.execute([row])?;
    }
    Ok(())
}

fn write_event(to: &Connection, event: &EventEntry) -> Result<(), StoreError> {
    let id = event.id.as_bytes();
    to.prepare_cached("DELETE FROM event_about WHERE event = ?1")?
        .execute([id])?;
    to.prepare_cached("INSERT OR REPLACE INTO event (id, area, event) VALUES (?1, ?2, ?3)")?
        .execute(params![id, event.area.as_str(), codec::to_bytes(event)])?;
    for record in projection::subjects(&event.event_type, &event.fields) {
        to.prepare_cached("INSERT OR IGNORE INTO event_about (record, event) VALUES (?1, ?2)")?
            .execute(params![record.as_bytes(), id])?;
    }
    Ok(())
}

fn drop_scope(to: &Connection, scope: ScopeId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM cursor WHERE scope = ?1",
        "DELETE FROM state WHERE scope = ?1",
        "DELETE FROM member WHERE scope = ?1",
    ] {
        to.prepare_cached(sql)?.execute([scope.to_string()])?;
    }
    if let ScopeId::Area(area) = scope {
        to.prepare_cached(
            "DELETE FROM event_about WHERE event IN (SELECT id FROM event WHERE area = ?1)",
        )?
        .execute([area.as_str()])?;
        to.prepare_cached("DELETE FROM event WHERE area = ?1")?
            .execute([area.as_str()])?;
    }
    Ok(())
}

pub(crate) fn record(from: &Connection, id: RecordId) -> Result<Option<StoredRecord>, StoreError> {
    let mut statement = from.prepare_cached(
        "SELECT type, area, epoch, registers, confirmed FROM record JOIN register USING (row) WHERE id = ?1",
    )?;
    let mut rows = statement.query([id.as_bytes()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(StoredRecord {
        id,
        record_type: row.get(0)?,
        area: parsed(row, 1, "record")?,
        epoch: row.get(2)?,
        registers: unpack(bytes(row, 3)?, "register")?,
        confirmed: unpack(bytes(row, 4)?, "register")?,
    }))
}

pub(crate) fn changes(from: &Connection, id: RecordId) -> Result<Vec<StoredChange>, StoreError> {
    let mut statement = from.prepare_cached(
        "SELECT hash, bytes, confirmed FROM change
         WHERE row = (SELECT row FROM record WHERE id = ?1) ORDER BY n",
    )?;
    let found = statement.query_map([id.as_bytes()], |row| {
        Ok(StoredChange {
            hash: ChangeHash(row.get(0)?),
            bytes: row.get(1)?,
            confirmed: row.get(2)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(crate) fn scopes_of(from: &Connection, id: RecordId) -> Result<Vec<ScopeId>, StoreError> {
    let mut statement = from.prepare_cached(
        "SELECT scope FROM member WHERE row = (SELECT row FROM record WHERE id = ?1)",
    )?;
    let mut rows = statement.query([id.as_bytes()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(parsed(row, 0, "member")?);
    }
    found.sort_unstable();
    Ok(found)
}

pub(crate) fn scopes(from: &Connection) -> Result<Vec<(ScopeId, Cursor)>, StoreError> {
    let mut statement = from.prepare_cached("SELECT scope, seq, digest FROM cursor")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cursor = Cursor {
            seq: row.get::<_, i64>(1)?.cast_unsigned(),
            digest: ScopeDigest(row.get(2)?),
        };
        found.push((parsed(row, 0, "cursor")?, cursor));
    }
    found.sort_unstable_by_key(|(scope, _)| *scope);
    Ok(found)
}

pub(crate) fn members(
    from: &Connection,
    scope: &ScopeId,
) -> Result<Vec<(RecordId, Vec<ChangeHash>)>, StoreError> {
    let mut statement = from.prepare_cached(
        "SELECT id, confirmed FROM member JOIN record USING (row) JOIN register USING (row)
         WHERE scope = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([scope.to_string()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = RecordId::from_bytes(row.get(0)?);
        found.push((id, unpack(bytes(row, 1)?, "register")?));
    }
    Ok(found)
}

pub(crate) fn state(from: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    Ok(from
        .prepare_cached("SELECT json FROM state WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

pub(crate) fn states(from: &Connection, prefix: &str) -> Result<Vec<StateEntry>, StoreError> {
    let mut statement =
        from.prepare_cached("SELECT key, json FROM state WHERE key >= ?1 ORDER BY key")?;
    let mut rows = statement.query([prefix])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if !key.starts_with(prefix) {
            break;
        }
        found.push(StateEntry {
            key,
            json: row.get(1)?,
        });
    }
    Ok(found)
}

pub(crate) fn event(from: &Connection, id: EventId) -> Result<Option<EventEntry>, StoreError> {
    let found: Option<Vec<u8>> = from
        .prepare_cached("SELECT event FROM event WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    found.map(|bytes| unpack(&bytes, "event")).transpose()
}

pub(crate) fn events(from: &Connection) -> Result<Vec<EventEntry>, StoreError> {
    let mut statement = from.prepare_cached("SELECT event FROM event ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(unpack(bytes(row, 0)?, "event")?);
    }
    Ok(found)
}

pub(crate) fn events_about(
    from: &Connection,
    record: RecordId,
) -> Result<Vec<EventEntry>, StoreError> {
    let mut statement = from.prepare_cached(
        "SELECT e.event FROM event_about a JOIN event e ON e.id = a.event
         WHERE a.record = ?1 ORDER BY e.id DESC",
    )?;
    let mut rows = statement.query([record.as_bytes()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(unpack(bytes(row, 0)?, "event")?);
    }
    Ok(found)
}

/// A text column that holds one of core's ids.
fn parsed<T: std::str::FromStr>(
    row: &Row<'_>,
    column: usize,
    table: &'static str,
) -> Result<T, StoreError> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(|_| StoreError::Row(table))?;
    text.parse().map_err(|_| StoreError::Row(table))
}

/// A blob column, borrowed.
pub(crate) fn bytes<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], StoreError> {
    row.get_ref(column)?
        .as_blob()
        .map_err(|_| StoreError::Row("column"))
}
