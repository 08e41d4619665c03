//! What a collector does, offline or not: a new record, an edit, an event. Each is queued and merged at once.

use crate::crdt::Registers;
use crate::crypto::actor;
use crate::envelope::{ChangeItem, EventItem, Item};
use crate::ids::{AreaCode, ChangeHash, EventId, RecordId, ScopeId};
use crate::projection::{AREA_KEY, keeps_tokens};
use crate::protocol::frames::EventEntry;
use crate::records::{self, FieldProblem, Mode, RecordKind, Severity};
use crate::store::{DeviceStore, OutboxItem, RecordWrite, StoredChange, StoredRecord, WriteBatch};
use crate::sync::{DeviceError, Identity, given_back_key, hole_key, loading_key};
use crate::time::Timestamp;
use crate::value::Fields;

/// Makes a new record in an area and queues it.
///
/// # Errors
/// `Invalid` with every wrong field; `NoSuchType`; `Exists`; the storage's.
pub fn create<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    id: RecordId,
    record_type: &str,
    area: AreaCode,
    fields: Fields,
    now: Timestamp,
) -> Result<ChangeHash, DeviceError<S::Error>> {
    let declared = records::record_type(record_type)
        .filter(|declared| declared.kind == RecordKind::Record)
        .ok_or(DeviceError::NoSuchType)?;
    check(declared, &fields, Mode::Whole)?;
    if store.record(id)?.is_some() {
        return Err(DeviceError::Exists);
    }
    let fields = records::begin(declared, area, fields);
    let record = StoredRecord {
        id,
        record_type: record_type.to_owned(),
        area,
        epoch: 0,
        registers: Registers::default(),
        confirmed: Vec::new(),
    };
    put(store, who, record, &fields, now, vec![ScopeId::Area(area)])
}

/// Edits a record and queues the change. Values equal to those held are left out; an edit that changes nothing
/// gives `None`.
///
/// # Errors
/// `NoSuchRecord`; `Loading`; `Invalid` with every wrong field; the storage's.
pub fn update<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    id: RecordId,
    fields: &Fields,
    now: Timestamp,
) -> Result<Option<ChangeHash>, DeviceError<S::Error>> {
    let record = store.record(id)?.ok_or(DeviceError::NoSuchRecord)?;
    if is_loading(store, id)? || takes_a_number(store, who, &record)? {
        return Err(DeviceError::Loading);
    }
    let declared = records::record_type(&record.record_type).ok_or(DeviceError::NoSuchType)?;
    check(declared, fields, Mode::Partial)?;
    let reserved: Vec<FieldProblem> = fields
        .keys()
        .filter(|key| key.starts_with('_'))
        .map(|key| FieldProblem {
            path: key.clone(),
            code: "reserved_field".into(),
            message: "档案的类型和区划不能直接修改。".to_owned(),
            severity: Severity::Error,
        })
        .collect();
    if !reserved.is_empty() {
        return Err(DeviceError::Invalid(reserved));
    }
    let changed: Fields = fields
        .iter()
        .filter(|(key, value)| match record.registers.all(key).as_slice() {
            [] => !value.is_null(),
            [held] => held.value != **value,
            _ => true,
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if changed.is_empty() {
        return Ok(None);
    }
    put(store, who, record, &changed, now, Vec::new()).map(Some)
}

/// Whether the record misses something, or every scope that holds it is still coming from the beginning.
fn is_loading<S: DeviceStore>(store: &S, id: RecordId) -> Result<bool, S::Error> {
    if store.state(&hole_key(id))?.is_some() {
        return Ok(true);
    }
    let scopes = store.scopes_of(id)?;
    for scope in &scopes {
        if store.state(&loading_key(*scope))?.is_none() {
            return Ok(false);
        }
    }
    Ok(!scopes.is_empty())
}

/// Whether an edit would take the number of one that is queued and could not be put on top of the record: what it
/// builds on was lost by a restored server, and went from here with the record for a while.
fn takes_a_number<S: DeviceStore>(
    store: &S,
    who: &Identity,
    record: &StoredRecord,
) -> Result<bool, S::Error> {
    let mut comes_again = false;
    for scope in store.scopes_of(record.id)? {
        comes_again |= store.state(&given_back_key(scope))?.is_some();
    }
    if !comes_again {
        return Ok(false);
    }
    let own = actor::derive(&who.key.public(), record.id, record.epoch);
    let next = record.registers.seq_of(own) + 1;
    let taken = |item: &OutboxItem| {
        let Item::Change(sent) = &item.item else {
            return false;
        };
        sent.record == record.id
            && crate::crdt::chunk::decode(&sent.bytes)
                .is_ok_and(|(change, _)| change.actor == own && change.seq >= next)
    };
    Ok(store.outbox()?.iter().any(taken))
}

/// Records an event, such as a visit, and queues it.
///
/// # Errors
/// `Invalid` with every wrong field; `NoSuchType`; the storage's.
pub fn record_event<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    id: EventId,
    event_type: &str,
    area: AreaCode,
    fields: Fields,
    now: Timestamp,
) -> Result<(), DeviceError<S::Error>> {
    let declared = records::record_type(event_type)
        .filter(|declared| declared.kind == RecordKind::Event)
        .ok_or(DeviceError::NoSuchType)?;
    check(declared, &fields, Mode::Whole)?;
    let event_type = event_type.to_owned();
    let entry = EventEntry {
        id,
        event_type: event_type.clone(),
        area,
        user: who.user,
        fields: fields.clone(),
    };
    let item = Item::Event(EventItem {
        id,
        event_type,
        area,
        fields,
    });
    let batch = WriteBatch {
        events: vec![entry],
        queue: vec![(item, None, now)],
        ..WriteBatch::default()
    };
    Ok(store.commit(batch)?)
}

fn check<E: std::error::Error + Send + Sync + 'static>(
    declared: &records::RecordType,
    fields: &Fields,
    mode: Mode,
) -> Result<(), DeviceError<E>> {
    let problems = records::validate(declared, fields, mode);
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(DeviceError::Invalid(problems));
    }
    Ok(())
}

fn put<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    mut record: StoredRecord,
    fields: &Fields,
    now: Timestamp,
    join: Vec<ScopeId>,
) -> Result<ChangeHash, DeviceError<S::Error>> {
    let (write, item, hash) = change_of(who, &mut record, fields, now);
    let write = RecordWrite { join, ..write };
    store.commit(WriteBatch {
        records: vec![write],
        queue: vec![(item, Some(hash), now)],
        ..WriteBatch::default()
    })?;
    Ok(hash)
}

/// The change that puts these values on top of the record, applied to it.
fn change_of(
    who: &Identity,
    record: &mut StoredRecord,
    fields: &Fields,
    now: Timestamp,
) -> (RecordWrite, Item, ChangeHash) {
    let actor = actor::derive(&who.key.public(), record.id, record.epoch);
    let (change, bytes, hash) = record.registers.change(actor, now.0, fields);
    // A change made on top of everything held always applies.
    let applied = record.registers.apply(&change, hash);
    debug_assert!(applied.is_ok());
    let same_tokens = keeps_tokens(&record.record_type, &change);
    let write = RecordWrite {
        add: vec![StoredChange {
            hash,
            bytes: bytes.clone(),
            confirmed: false,
        }],
        ..RecordWrite::of(record.clone(), same_tokens)
    };
    let item = Item::Change(ChangeItem {
        record: record.id,
        record_type: record.record_type.clone(),
        epoch: record.epoch,
        bytes,
    });
    (write, item, hash)
}

/// Puts back what the outbox holds and the records do not: when the records' file was lost, or a store keeps the two
/// apart and crashed in between. Gives the records mended. For a host to call when it opens a store; a session does
/// so again when a scope is complete.
///
/// # Errors
/// The storage's.
pub fn recover<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
) -> Result<Vec<RecordId>, DeviceError<S::Error>> {
    let mut mended = Vec::new();
    let envelopes = store.envelopes()?;
    for queued in store.outbox()? {
        // What is under way may be with the server, and the record moved away since: the log says.
        let under_way = envelopes
            .iter()
            .any(|saved| saved.items.contains(&queued.id));
        match queued.item {
            Item::Change(item) => {
                if recover_change(store, &item, under_way)? {
                    mended.push(item.record);
                }
            }
            Item::Event(item) => {
                if store.event(item.id)?.is_none() && !taken_away(store, item.area)? {
                    let entry = EventEntry {
                        id: item.id,
                        event_type: item.event_type,
                        area: item.area,
                        user: who.user,
                        fields: item.fields,
                    };
                    store.commit(WriteBatch {
                        events: vec![entry],
                        ..WriteBatch::default()
                    })?;
                }
            }
        }
    }
    Ok(mended)
}

/// Whether the device holds scopes, and none with this area: what it had there was purged, and stays away.
pub(super) fn taken_away<S: DeviceStore>(store: &S, area: AreaCode) -> Result<bool, S::Error> {
    let scopes = store.scopes()?;
    let holds = |scope: &ScopeId| matches!(scope, ScopeId::Area(held) if held.contains(&area));
    Ok(!scopes.is_empty() && !scopes.iter().any(|(scope, _)| holds(scope)))
}

/// Whether an area comes again from a restored server. What is queued there may have been given back, and its record
/// has gone since because the server said so.
fn comes_again<S: DeviceStore>(store: &S, area: AreaCode) -> Result<bool, S::Error> {
    let note = store.state(&given_back_key(ScopeId::Area(area)))?;
    Ok(note.is_some())
}

fn recover_change<S: DeviceStore>(
    store: &mut S,
    item: &ChangeItem,
    under_way: bool,
) -> Result<bool, DeviceError<S::Error>> {
    let Ok((change, hash)) = crate::crdt::chunk::decode(&item.bytes) else {
        return Ok(false);
    };
    let known = store.changes(item.record)?;
    let knows = |hash: &ChangeHash| known.iter().any(|known| known.hash == *hash);
    if knows(&hash) || !change.deps.iter().all(knows) {
        return Ok(false); // there already, or built on what the server still has to send again
    }
    let held = store.record(item.record)?;
    let new = held.is_none();
    let made_in = || {
        let op = change.ops.iter().find(|op| op.key == AREA_KEY)?;
        op.value.as_text()?.parse::<AreaCode>().ok()
    };
    let mut record = match (held, made_in()) {
        (Some(record), _) => record,
        (None, Some(area))
            if !under_way && !taken_away(store, area)? && !comes_again(store, area)? =>
        {
            StoredRecord {
                id: item.record,
                record_type: item.record_type.clone(),
                area,
                epoch: item.epoch,
                registers: Registers::default(),
                confirmed: Vec::new(),
            }
        }
        (None, _) => return Ok(false),
    };
    if record.registers.apply(&change, hash).is_err() {
        return Ok(false); // it goes up as it is
    }
    // One that is held may have moved: it is in the scopes that the log put it into.
    let join = new.then_some(ScopeId::Area(record.area));
    let same_tokens = keeps_tokens(&record.record_type, &change);
    let write = RecordWrite {
        add: vec![StoredChange {
            hash,
            bytes: item.bytes.clone(),
            confirmed: false,
        }],
        join: join.into_iter().collect(),
        ..RecordWrite::of(record, same_tokens)
    };
    store.commit(WriteBatch {
        records: vec![write],
        ..WriteBatch::default()
    })?;
    Ok(true)
}
