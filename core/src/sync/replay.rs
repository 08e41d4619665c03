//! An envelope's answer. What was refused is taken out of the record, and what the collector did after it and has not
//! sent yet is made again without it, so that one refusal loses nothing else. What was sent after it is refused like
//! it and with the supervisor: that is never made again, or it would be there twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{FlatChange, Registers, chunk};
use crate::crypto::actor;
use crate::envelope::Item;
use crate::ids::{ChangeHash, RecordId, ScopeId};
use crate::protocol::frames::{Outcome, Pushed, Refusal, StateEntry};
use crate::store::{DeviceStore, OutboxItem, RecordWrite, StoredChange, StoredRecord, WriteBatch};
use crate::sync::{DeviceError, Identity, edit, hole_key, set_back};
use crate::time::Timestamp;
use crate::value::Fields;

/// What an answer did.
#[derive(Default)]
pub(super) struct Settled {
    /// Records whose values may differ now.
    pub(super) changed: Vec<RecordId>,
    /// Changes merged by it, events not counted.
    pub(super) merged: usize,
    /// Events that were not taken because they tell of someone erased.
    pub(super) erased: Vec<RecordId>,
}

/// Takes the answer to an envelope.
pub(super) fn settle<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    pushed: Pushed,
    now: Timestamp,
) -> Result<Settled, DeviceError<S::Error>> {
    let envelopes = store.envelopes()?;
    let Some(saved) = envelopes.iter().find(|saved| saved.seq == pushed.seq) else {
        return Ok(Settled::default());
    };
    let mut done = Settled::default();
    let outbox = store.outbox()?;
    let item = |id: &u64| outbox.iter().find(|item| item.id == *id);
    let mut batch = WriteBatch {
        answered: vec![pushed.seq],
        ..WriteBatch::default()
    };
    if pushed.refused.is_none() {
        let note = set_back::answered(store, who, pushed.seq)?;
        batch.states.extend(note);
    }
    let mut mend: BTreeMap<RecordId, BTreeSet<ChangeHash>> = BTreeMap::new();
    // Refused whole, it was not judged at all (its number was wrong): what it holds goes up in another.
    for (id, outcome) in saved.items.iter().zip(pushed.outcomes) {
        let Some(found) = item(id) else { continue };
        if matches!(outcome, Outcome::Accepted | Outcome::Duplicate) {
            taken(store, who, &found.item, &mut batch)?;
        }
        match outcome {
            Outcome::Accepted => {
                done.merged += usize::from(found.hash.is_some());
                batch.unqueue.push(*id);
            }
            Outcome::Duplicate => batch.unqueue.push(*id),
            Outcome::Waiting => {} // no longer in an envelope, so it goes up again
            Outcome::Refused(refusal) => {
                if let Item::Event(event) = &found.item
                    && refusal.code == Refusal::ERASED
                {
                    done.erased.push(event.id.into());
                }
                refuse(&mut batch, &mut mend, found, refusal, now);
            }
        }
    }
    let others = envelopes.iter().filter(|other| other.seq != pushed.seq);
    let sent: BTreeSet<u64> = others.flat_map(|other| other.items.clone()).collect();
    done.changed = mend.keys().copied().collect();
    for (id, refused) in mend {
        let Some(record) = store.record(id)? else {
            continue; // gone from this device; what was not answered yet goes up as it is
        };
        let of_record = |item: &&OutboxItem| {
            matches!(&item.item, Item::Change(change) if change.record == id)
                && !batch.unqueue.contains(&item.id)
        };
        let waiting: Vec<&OutboxItem> = outbox.iter().filter(of_record).collect();
        let known = decoded(store.changes(id)?);
        Mend {
            who,
            known,
            refused,
            sent: &sent,
        }
        .write(record, &waiting, &mut batch);
    }
    store.commit(batch)?;
    Ok(done)
}

/// The server has what was made in an area, or of a record, that was taken from this device meanwhile.
fn taken<S: DeviceStore>(
    store: &S,
    who: &Identity,
    item: &Item,
    batch: &mut WriteBatch,
) -> Result<(), S::Error> {
    match item {
        // Nothing more is heard of a visit from there, and it may not be held.
        Item::Event(event) if edit::taken_away(store, event.area)? => {
            batch.purge_events.push(event.id);
        }
        // Should the record come back, it comes before what was made of it here: an edit in between would take its
        // number.
        Item::Change(change)
            if store.scopes_of(change.record)?.is_empty()
                && store.record(change.record)?.is_none() =>
        {
            let (key, json) = (hole_key(change.record), "true".to_owned());
            let scope = ScopeId::User(who.user);
            batch.states.push((scope, StateEntry { key, json }));
        }
        Item::Change(_) | Item::Event(_) => {}
    }
    Ok(())
}

fn refuse(
    batch: &mut WriteBatch,
    mend: &mut BTreeMap<RecordId, BTreeSet<ChangeHash>>,
    found: &OutboxItem,
    refusal: Refusal,
    now: Timestamp,
) {
    batch.unqueue.push(found.id);
    if let (Item::Change(change), Some(hash)) = (&found.item, found.hash) {
        mend.entry(change.record).or_default().insert(hash);
    }
    let mut item = found.item.clone();
    if refusal.code == Refusal::ERASED {
        match &mut item {
            Item::Change(change) => change.bytes.clear(),
            Item::Event(event) => {
                event.fields.clear();
                batch.purge_events.push(event.id);
            }
        }
    }
    batch.refused.push((item, refusal, now));
}

fn decoded(changes: Vec<StoredChange>) -> Vec<(ChangeHash, FlatChange)> {
    let decode = |change: StoredChange| Some((change.hash, chunk::decode(&change.bytes).ok()?.0));
    changes.into_iter().filter_map(decode).collect()
}

/// One record without its refused changes.
struct Mend<'a> {
    who: &'a Identity,
    /// Everything the device has of it, in the order it came.
    known: Vec<(ChangeHash, FlatChange)>,
    refused: BTreeSet<ChangeHash>,
    /// Outbox items in other envelopes: the server has them or will have them, and answers them.
    sent: &'a BTreeSet<u64>,
}

impl Mend<'_> {
    fn write(self, mut record: StoredRecord, waiting: &[&OutboxItem], batch: &mut WriteBatch) {
        let built_on = self.built_on_refused();
        let mut kept: Vec<(ChangeHash, FlatChange)> = self.known.clone();
        kept.retain(|(hash, _)| !built_on.contains(hash));
        record.registers = registers_of(&kept, |_| true);
        if record.registers.is_empty() {
            // The record itself was refused: the server keeps it for a supervisor, and what is still to be answered
            // goes up and is kept there in the same way.
            batch.purge.push(record.id);
            return;
        }
        let mut add = Vec::new();
        let mut again: BTreeMap<ChangeHash, ChangeHash> = BTreeMap::new();
        for item in waiting {
            let (Item::Change(sent), Some(old)) = (&item.item, item.hash) else {
                continue;
            };
            if !built_on.contains(&old) || self.sent.contains(&item.id) {
                continue;
            }
            let Some((_, change)) = self.known.iter().find(|(hash, _)| *hash == old) else {
                continue;
            };
            let (made, bytes, hash) = self.again(&record, change, &kept, &again);
            if record.registers.apply(&made, hash).is_err() {
                continue; // goes up as it is, and the server keeps it
            }
            again.insert(old, hash);
            kept.push((hash, made));
            batch.unqueue.push(item.id);
            add.push(StoredChange {
                hash,
                bytes: bytes.clone(),
                confirmed: false,
            });
            let mut sent = sent.clone();
            sent.bytes = bytes;
            batch
                .queue
                .push((Item::Change(sent), Some(hash), item.made_at));
        }
        batch.records.push(RecordWrite {
            add,
            remove: built_on.into_iter().collect(),
            ..RecordWrite::of(record, false)
        });
    }

    /// The refused changes and everything built on them.
    fn built_on_refused(&self) -> BTreeSet<ChangeHash> {
        let mut built_on = self.refused.clone();
        for (hash, change) in &self.known {
            if change.deps.iter().any(|dep| built_on.contains(dep)) {
                built_on.insert(*hash);
            }
        }
        built_on
    }

    /// The same edit, on top of what its author saw without what was refused: on top of everything it would replace
    /// values that the author never saw, and their conflict would go unnoticed.
    fn again(
        &self,
        record: &StoredRecord,
        change: &FlatChange,
        kept: &[(ChangeHash, FlatChange)],
        again: &BTreeMap<ChangeHash, ChangeHash>,
    ) -> (FlatChange, Vec<u8>, ChangeHash) {
        let mut seen: BTreeSet<ChangeHash> = BTreeSet::new();
        let mut open = change.deps.clone();
        while let Some(hash) = open.pop() {
            if !seen.insert(again.get(&hash).copied().unwrap_or(hash)) {
                continue;
            }
            if let Some((_, earlier)) = self.known.iter().find(|(known, _)| *known == hash) {
                open.extend(&earlier.deps);
            }
        }
        let base = registers_of(kept, |hash| seen.contains(hash));
        let actor = actor::derive(&self.who.key.public(), record.id, record.epoch);
        let puts: Fields = change
            .ops
            .iter()
            .map(|op| (op.key.clone(), op.value.clone()))
            .collect();
        base.change(actor, change.time, &puts)
    }
}

/// What these changes add up to, applied in their order; what was built on something else does not apply.
pub(super) fn registers_of(
    changes: &[(ChangeHash, FlatChange)],
    wanted: impl Fn(&ChangeHash) -> bool,
) -> Registers {
    let mut registers = Registers::default();
    for (hash, change) in changes.iter().filter(|(hash, _)| wanted(hash)) {
        let _ = registers.apply(change, *hash);
    }
    registers
}
