//! Entries of a scope's log, taken into a device's storage: one batch, one write.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{FlatChange, Registers, chunk};
use crate::envelope::Item;
use crate::ids::{ChangeHash, EventId, RecordId, ScopeId};
use crate::projection::{self, keeps_tokens};
use crate::protocol::digest::{ScopeDigest, heads_after};
use crate::protocol::frames::{Batch, Cursor, Entry, PutEntry, StateEntry, WholeEntry};
use crate::store::{DeviceStore, OutboxItem, RecordWrite, StoredChange, StoredRecord, WriteBatch};
use crate::sync::{DeviceError, given_back_key, hole_key, loading_key};
use crate::value::Fields;

/// What a batch did.
pub(super) struct Done {
    /// Records whose values may differ now.
    pub(super) changed: Vec<RecordId>,
    /// Records that left the scope.
    pub(super) left: Vec<RecordId>,
    /// Records and events that were erased, and events that told of them.
    pub(super) erased: Vec<RecordId>,
    /// Keys of state that came or was withdrawn.
    pub(super) states: Vec<String>,
    /// How many of the device's own changes came back.
    pub(super) own: usize,
    /// The scope was coming from the beginning, and has come.
    pub(super) complete: bool,
    /// Records that miss something until they are repaired.
    pub(super) holes: usize,
}

/// A record while a batch is taken in.
struct Open {
    record: StoredRecord,
    add: Vec<StoredChange>,
    confirm: Vec<ChangeHash>,
    remove: Vec<ChangeHash>,
    /// Every change the device has of it, with its bytes; read when first needed.
    known: Vec<StoredChange>,
    /// Something came of which the bytes, or what it builds on, are not here.
    hole: bool,
    /// It was put in place whole: nothing is missing.
    whole: bool,
    old_heads: Vec<ChangeHash>,
    join: bool,
    /// Nothing that came may alter the words that it is found by.
    same_tokens: bool,
}

/// Takes the entries of a batch and moves the scope's cursor to `to`. A repair holds records as the server has them
/// now. Behind what is `past` comes a checkpoint.
pub(super) fn apply<S: DeviceStore>(
    store: &mut S,
    scope: ScopeId,
    to: u64,
    batch: &Batch,
    repair: bool,
    past: bool,
) -> Result<Done, DeviceError<S::Error>> {
    let entries = batch
        .entries()
        .map_err(|_| DeviceError::Protocol("batch can't be read"))?;
    let given_back = past && store.state(&given_back_key(scope))?.is_some();
    let mut open: BTreeMap<RecordId, Open> = BTreeMap::new();
    let mut write = WriteBatch::default();
    let mut gone: BTreeSet<RecordId> = BTreeSet::new();
    let mut erased: BTreeSet<RecordId> = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Put(put) => {
                gone.remove(&put.record);
                take_put(store, &mut open, put)?;
            }
            Entry::Whole(whole) => {
                gone.remove(&whole.record);
                take_whole(store, &mut open, whole, repair)?;
            }
            Entry::Own(record, hash) => take_own(store, &mut open, record, hash)?,
            Entry::State(state) => write.states.push((scope, state)),
            Entry::Event(event) => write.events.push(event),
            Entry::Leave(record) if given_back && has_open(store, record)? => {}
            Entry::Leave(record) => {
                open.remove(&record);
                gone.insert(record);
            }
            Entry::Erase(record) => {
                open.remove(&record);
                gone.insert(record);
                erased.insert(record);
            }
        }
    }
    forget_traces(store, &erased, &mut write)?;
    let mut digests: BTreeMap<ScopeId, ScopeDigest> = store
        .scopes()?
        .into_iter()
        .map(|(scope, cursor)| (scope, cursor.digest))
        .collect();
    digests.entry(scope).or_default();
    let mut done = Done {
        changed: Vec::new(),
        left: Vec::new(),
        erased: erased.iter().copied().collect(),
        states: write
            .states
            .iter()
            .map(|(_, state)| state.key.clone())
            .collect(),
        own: open.values().map(Open::own).sum(),
        complete: false,
        holes: 0,
    };
    let traces = write.purge_events.iter().copied();
    done.erased.extend(traces.map(RecordId::from));
    let loading = loading_key(scope);
    if let Some(json) = store.state(&loading)? {
        done.complete = json.parse().is_ok_and(|end: u64| to >= end);
    }
    if done.complete {
        let json = String::new();
        let withdrawn = StateEntry { key: loading, json };
        write.states.push((scope, withdrawn));
    }
    let unsent = if open.values().any(|open| open.join) {
        store.outbox()?
    } else {
        Vec::new()
    };
    for (id, mut open) in open {
        if open.join {
            open.put_on_top(id, &unsent);
        }
        // What this device made of it and was just answered comes later: an edit now would take its number.
        let partly = open.join && given_back;
        done.holes += usize::from(open.hole);
        if open.hole || partly {
            let (key, json) = (hole_key(id), "true".to_owned());
            write.states.push((scope, StateEntry { key, json }));
        } else if open.whole {
            write.states.extend(filled(store, scope, id)?);
        }
        done.changed.push(id);
        let mut scopes = store.scopes_of(id)?;
        let member = scopes.contains(&scope);
        for held in &scopes {
            if let Some(digest) = digests.get_mut(held) {
                *digest = digest.minus(part(id, &open.old_heads));
            }
        }
        if !member {
            scopes.push(scope);
        }
        for held in &scopes {
            if let Some(digest) = digests.get_mut(held) {
                *digest = digest.plus(part(id, &open.record.confirmed));
            }
        }
        write.records.push(RecordWrite {
            add: open.add,
            confirm: open.confirm,
            remove: open.remove,
            join: if member && !open.join {
                Vec::new()
            } else {
                vec![scope]
            },
            ..RecordWrite::of(open.record, open.same_tokens)
        });
    }
    for id in gone {
        done.changed.push(id);
        done.left.push(id);
        let Some(record) = store.record(id)? else {
            continue;
        };
        let scopes = store.scopes_of(id)?;
        let leaving = |held: &ScopeId| *held == scope || erased.contains(&id);
        for held in scopes.iter().filter(|held| leaving(held)) {
            if let Some(digest) = digests.get_mut(held) {
                *digest = digest.minus(part(id, &record.confirmed));
            }
        }
        if scopes.iter().all(leaving) {
            write.purge.push(id);
            write.states.extend(filled(store, scope, id)?);
        } else {
            write.records.push(leave(record, scope));
        }
    }
    let seqs: BTreeMap<ScopeId, u64> = store
        .scopes()?
        .into_iter()
        .map(|(scope, at)| (scope, at.seq))
        .collect();
    write.cursors = digests
        .into_iter()
        .map(|(held, digest)| {
            let seq = if held == scope {
                to
            } else {
                seqs.get(&held).copied().unwrap_or(0)
            };
            (held, Cursor { seq, digest })
        })
        .collect();
    store.commit(write)?;
    Ok(done)
}

/// Whatever else tells of erased records: the events about them (erased events are named like records), and what of
/// them was refused.
fn forget_traces<S: DeviceStore>(
    store: &S,
    erased: &BTreeSet<RecordId>,
    write: &mut WriteBatch,
) -> Result<(), S::Error> {
    if erased.is_empty() {
        return Ok(());
    }
    for id in erased {
        let event = EventId(id.0);
        write
            .purge_events
            .extend(store.event(event)?.map(|event| event.id));
        let about = store.events_about(*id)?.into_iter();
        write.purge_events.extend(about.map(|event| event.id));
    }
    let tells = |event: EventId, event_type: &str, fields: &Fields| {
        let mut subjects = projection::subjects(event_type, fields);
        erased.contains(&RecordId::from(event)) || subjects.any(|id| erased.contains(&id))
    };
    write
        .events
        .retain(|event| !tells(event.id, &event.event_type, &event.fields));
    let refused = store.refused()?.into_iter();
    let refused = refused.filter(|refused| match &refused.item {
        Item::Change(item) => erased.contains(&item.record),
        Item::Event(item) => tells(item.id, &item.event_type, &item.fields),
    });
    write.dismiss.extend(refused.map(|refused| refused.id));
    Ok(())
}

/// Whether a record holds what a restored server may have lost. While the scope's past comes again it does not go, even
/// if it went once: what it is built on would not come again with it. The checkpoint says whether it is still there.
fn has_open<S: DeviceStore>(store: &S, id: RecordId) -> Result<bool, S::Error> {
    Ok(store.changes(id)?.iter().any(|change| !change.confirmed))
}

/// Takes back the note that a record misses something.
fn filled<S: DeviceStore>(
    store: &S,
    scope: ScopeId,
    id: RecordId,
) -> Result<Option<(ScopeId, StateEntry)>, S::Error> {
    let (key, json) = (hole_key(id), String::new());
    let noted = store.state(&key)?.is_some();
    Ok(noted.then_some((scope, StateEntry { key, json })))
}

/// What a record adds to a digest; one the server has not confirmed adds nothing.
fn part(id: RecordId, heads: &[ChangeHash]) -> ScopeDigest {
    if heads.is_empty() {
        ScopeDigest::default()
    } else {
        ScopeDigest::of_record(id, heads)
    }
}

/// The write that takes a record out of a scope and keeps it for the others.
pub(super) fn leave(record: StoredRecord, scope: ScopeId) -> RecordWrite {
    RecordWrite {
        leave: vec![scope],
        ..RecordWrite::of(record, true)
    }
}

fn open_record<'a, S: DeviceStore>(
    store: &S,
    open: &'a mut BTreeMap<RecordId, Open>,
    id: RecordId,
    made: impl FnOnce() -> Option<StoredRecord>,
) -> Result<Option<&'a mut Open>, DeviceError<S::Error>> {
    use std::collections::btree_map::Entry as Slot;
    match open.entry(id) {
        Slot::Occupied(slot) => Ok(Some(slot.into_mut())),
        Slot::Vacant(slot) => {
            let stored = store.record(id)?;
            let known = if stored.is_some() {
                store.changes(id)?
            } else {
                Vec::new()
            };
            let join = stored.is_none();
            let Some(record) = stored.or_else(made) else {
                return Ok(None);
            };
            let old_heads = record.confirmed.clone();
            Ok(Some(slot.insert(Open {
                record,
                add: Vec::new(),
                confirm: Vec::new(),
                remove: Vec::new(),
                known,
                hole: false,
                whole: false,
                old_heads,
                join,
                same_tokens: !join,
            })))
        }
    }
}

fn take_put<S: DeviceStore>(
    store: &S,
    open: &mut BTreeMap<RecordId, Open>,
    put: PutEntry,
) -> Result<(), DeviceError<S::Error>> {
    let (change, hash) =
        chunk::decode(&put.bytes).map_err(|_| DeviceError::Protocol("change can't be read"))?;
    let made = || {
        let mut registers = Registers::default();
        registers.apply(&change, hash).ok()?;
        Some(StoredRecord {
            id: put.record,
            record_type: put.record_type.clone(),
            area: projection::area_of(&registers)?,
            epoch: put.epoch,
            registers: Registers::default(),
            confirmed: Vec::new(),
        })
    };
    let Some(open) = open_record(store, open, put.record, made)? else {
        return Ok(()); // its beginning is missing; the checkpoint will differ and repair it
    };
    open.take(&change, hash, put.bytes);
    Ok(())
}

fn take_own<S: DeviceStore>(
    store: &S,
    open: &mut BTreeMap<RecordId, Open>,
    record: RecordId,
    hash: ChangeHash,
) -> Result<(), DeviceError<S::Error>> {
    let Some(open) = open_record(store, open, record, || None)? else {
        return Ok(());
    };
    open.hole |= !open.knows(&hash);
    open.confirm(hash);
    Ok(())
}

/// Takes a record whole, as the server has it. In a bundle or a log it may be older than what another scope has
/// brought of the same record; as a repair it is the last word.
fn take_whole<S: DeviceStore>(
    store: &S,
    open: &mut BTreeMap<RecordId, Open>,
    whole: WholeEntry,
    repair: bool,
) -> Result<(), DeviceError<S::Error>> {
    let mut registers = Registers::default();
    let mut changes = Vec::with_capacity(whole.changes.len());
    for bytes in whole.changes {
        let (change, hash) =
            chunk::decode(&bytes).map_err(|_| DeviceError::Protocol("change can't be read"))?;
        if registers.apply(&change, hash).is_err() {
            return Ok(()); // it does not add up; the checkpoint will say so again
        }
        changes.push(StoredChange {
            hash,
            bytes: bytes.into_vec(),
            confirmed: true,
        });
    }
    let made = || {
        Some(StoredRecord {
            id: whole.record,
            record_type: whole.record_type.clone(),
            area: projection::area_of(&registers)?,
            epoch: whole.epoch,
            registers: Registers::default(),
            confirmed: Vec::new(),
        })
    };
    if let Some(open) = open_record(store, open, whole.record, made)?
        && (repair || whole.epoch >= open.record.epoch)
    {
        let mends = repair || whole.epoch > open.record.epoch;
        open.record.epoch = whole.epoch;
        open.put_in_place(registers, changes, mends);
    }
    Ok(())
}

impl Open {
    /// How many changes made here came back: confirmed by this batch, and not new.
    fn own(&self) -> usize {
        let new = |hash: &ChangeHash| self.add.iter().any(|change| change.hash == *hash);
        self.confirm.iter().filter(|hash| !new(hash)).count()
    }

    fn knows(&self, hash: &ChangeHash) -> bool {
        self.known.iter().any(|known| known.hash == *hash)
    }

    /// Takes a change that the server has. One that builds on something missing here is left out, and not counted as
    /// held: the checkpoint will differ and bring the whole record.
    fn take(&mut self, change: &FlatChange, hash: ChangeHash, bytes: Vec<u8>) {
        if !self.knows(&hash) {
            let registers = &mut self.record.registers;
            let known = |dep: &ChangeHash| self.known.iter().any(|known| known.hash == *dep);
            if !change.deps.iter().all(known) || registers.apply(change, hash).is_err() {
                self.hole = true;
                return;
            }
            self.same_tokens &= keeps_tokens(&self.record.record_type, change);
            let stored = StoredChange {
                hash,
                bytes,
                confirmed: false,
            };
            self.known.push(stored.clone());
            self.add.push(stored);
        }
        self.confirm(hash);
    }

    /// Notes that the server has a change, and so everything that it builds on, and moves the confirmed heads.
    fn confirm(&mut self, hash: ChangeHash) {
        let mut wanted = BTreeSet::from([hash]);
        let mut found = Vec::new();
        for known in self.known.iter_mut().rev() {
            if known.confirmed || !wanted.contains(&known.hash) {
                continue;
            }
            // What is kept was decoded before.
            let Ok((change, _)) = chunk::decode(&known.bytes) else {
                continue;
            };
            known.confirmed = true;
            wanted.extend(&change.deps);
            found.push((known.hash, change.deps));
        }
        for (hash, deps) in found.into_iter().rev() {
            self.record.confirmed = heads_after(&self.record.confirmed, &deps, hash);
            self.confirm.push(hash);
        }
    }

    /// Puts unsent edits of a record that is new here, or that comes back, on top of it. Without them the next edit
    /// would take the number of the first of them.
    fn put_on_top(&mut self, id: RecordId, unsent: &[OutboxItem]) {
        for queued in unsent {
            let (Item::Change(item), Some(hash)) = (&queued.item, queued.hash) else {
                continue;
            };
            if item.record != id || self.knows(&hash) {
                continue;
            }
            let Ok((change, _)) = chunk::decode(&item.bytes) else {
                continue;
            };
            let registers = &mut self.record.registers;
            let known = |dep: &ChangeHash| self.known.iter().any(|known| known.hash == *dep);
            if change.deps.iter().all(known) && registers.apply(&change, hash).is_ok() {
                let stored = StoredChange {
                    hash,
                    bytes: item.bytes.clone(),
                    confirmed: false,
                };
                self.known.push(stored.clone());
                self.add.push(stored);
            }
        }
    }

    /// Puts a whole record in place. What the device has besides comes on top: unsent edits and, unless this mends the
    /// record, what another scope has already brought.
    fn put_in_place(&mut self, registers: Registers, changes: Vec<StoredChange>, mends: bool) {
        (self.hole, self.whole, self.same_tokens) = (false, true, false);
        self.record.confirmed = registers.heads().to_vec();
        self.record.registers = registers;
        let mut before = std::mem::replace(&mut self.known, changes);
        self.remove = before.iter().map(|known| known.hash).collect();
        self.confirm.clear();
        let outdated = |known: &StoredChange| mends && known.confirmed;
        before.retain(|known| !self.knows(&known.hash) && !outdated(known));
        for other in before {
            // What no longer applies (of an epoch that is over, say) still goes up, and is kept until it is answered.
            if let Ok((change, hash)) = chunk::decode(&other.bytes)
                && change.deps.iter().all(|dep| self.knows(dep))
                && self.record.registers.apply(&change, hash).is_ok()
            {
                if other.confirmed {
                    self.record.confirmed = heads_after(&self.record.confirmed, &change.deps, hash);
                }
            } else if other.confirmed {
                continue;
            }
            self.known.push(other);
        }
        self.add.clone_from(&self.known);
    }
}
