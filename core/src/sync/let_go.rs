//! The end of waiting for colleagues after the server was restored: whose changes nobody has given back by then are
//! taken out of the copies here, and what was built on them is made again without them. So nothing waits for ever for
//! what the server made itself, or for a phone that never comes back.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{FlatChange, Registers, chunk};
use crate::crypto::actor;
use crate::envelope::{ChangeItem, Item};
use crate::ids::{Actor, ChangeHash, RecordId, ScopeId};
use crate::protocol::frames::StateEntry;
use crate::store::{DeviceStore, OutboxItem, RecordWrite, StoredChange, StoredRecord, WriteBatch};
use crate::sync::replay::registers_of;
use crate::sync::{DeviceError, Identity, given_back_key};
use crate::time::Timestamp;
use crate::value::Fields;

/// How long colleagues have to give back theirs, in milliseconds: seven days.
const COLLEAGUES_COME_MS: i64 = 7 * 86_400_000;

/// Lets go in a scope that is as the server has it, when the time has come; gives the records that changed. While
/// envelopes are under way it waits for another time: what they hold must not be made again.
pub(super) fn let_go<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    scope: ScopeId,
    now: Timestamp,
) -> Result<Vec<RecordId>, DeviceError<S::Error>> {
    let key = given_back_key(scope);
    let Some(json) = store.state(&key)? else {
        return Ok(Vec::new());
    };
    let since = json.parse().unwrap_or(0_i64);
    let waits = since..since.saturating_add(COLLEAGUES_COME_MS);
    if waits.contains(&now.0) || !store.envelopes()?.is_empty() {
        return Ok(Vec::new());
    }
    let outbox = store.outbox()?;
    let mut batch = WriteBatch::default();
    let mut changed = Vec::new();
    for (id, _) in store.members(&scope)? {
        let changes = store.changes(id)?;
        let of_it =
            |item: &OutboxItem| matches!(&item.item, Item::Change(sent) if sent.record == id);
        if changes.iter().all(|change| change.confirmed) && !outbox.iter().any(of_it) {
            continue;
        }
        if let Some(record) = store.record(id)? {
            let rest = Rest::new(who, record, changes, &outbox);
            if !rest.adrift.is_empty() {
                changed.push(id);
                rest.write(&mut batch);
            }
        }
    }
    let json = String::new();
    batch.states.push((scope, StateEntry { key, json }));
    store.commit(batch)?;
    Ok(changed)
}

/// One of this device's changes that is queued.
struct Queued<'a> {
    item: &'a OutboxItem,
    sent: &'a ChangeItem,
    hash: ChangeHash,
}

/// One record without what nobody gave back.
struct Rest<'a> {
    own: Actor,
    record: StoredRecord,
    /// What the device has of it, in the order it came.
    known: Vec<ChangeHash>,
    /// What the device made of it and has not sent. Some of that may not be among the known: what was refused.
    queued: Vec<Queued<'a>>,
    /// Each of both.
    all: BTreeMap<ChangeHash, FlatChange>,
    /// Others' changes that are not on the server.
    lost: BTreeSet<ChangeHash>,
    /// Those, and everything built on them or on what is not here at all.
    adrift: BTreeSet<ChangeHash>,
}

impl<'a> Rest<'a> {
    fn new(
        who: &Identity,
        record: StoredRecord,
        changes: Vec<StoredChange>,
        outbox: &'a [OutboxItem],
    ) -> Self {
        let own = actor::derive(&who.key.public(), record.id, record.epoch);
        let mut all = BTreeMap::new();
        let (mut known, mut lost) = (Vec::new(), BTreeSet::new());
        for kept in changes {
            let Ok((change, hash)) = chunk::decode(&kept.bytes) else {
                continue;
            };
            known.push(hash);
            if change.actor != own && !kept.confirmed {
                lost.insert(hash);
            }
            all.insert(hash, change);
        }
        let mut queued = Vec::new();
        for item in outbox {
            if let Item::Change(sent) = &item.item
                && sent.record == record.id
                && let Ok((change, hash)) = chunk::decode(&sent.bytes)
            {
                all.insert(hash, change);
                queued.push(Queued { item, sent, hash });
            }
        }
        let mut adrift = lost.clone();
        for hash in known.iter().chain(queued.iter().map(|queued| &queued.hash)) {
            let gone = |dep| adrift.contains(dep) || !all.contains_key(dep);
            if all[hash].deps.iter().any(gone) {
                adrift.insert(*hash);
            }
        }
        Self {
            own,
            record,
            known,
            queued,
            all,
            lost,
            adrift,
        }
    }

    fn write(mut self, batch: &mut WriteBatch) {
        let is_kept = |hash: &&ChangeHash| !self.adrift.contains(hash);
        let kept = self.known.iter().filter(is_kept);
        let mut made = Made::default();
        for hash in kept {
            let change = &self.all[hash];
            if change.actor == self.own {
                made.own.push((*hash, change.seq));
            }
            made.changes.push((*hash, change.clone()));
        }
        self.record.registers = registers_of(&made.changes, |_| true);
        // Its beginning is lost: it goes from here, and the server keeps what was done to it for the supervisor.
        let gone = self.record.registers.is_empty();
        let mut add = Vec::new();
        for queued in &self.queued {
            if !self.adrift.contains(&queued.hash) || self.lost.contains(&queued.hash) {
                continue;
            }
            let old = &self.all[&queued.hash];
            let (change, bytes, hash) = self.again(old, &made);
            // What was refused, and has another in its place, is in no record. Both numbers are those of before: without
            // what was lost, those of now begin lower.
            let number_is_free = made.own.iter().all(|(_, seq)| *seq < old.seq);
            if self.known.contains(&queued.hash) || number_is_free {
                let registers = &mut self.record.registers;
                // What does not apply goes up all the same, and the server keeps it: as it is, it would wait for ever.
                if gone || registers.apply(&change, hash).is_ok() {
                    made.own.push((hash, old.seq));
                    add.push(StoredChange {
                        hash,
                        bytes: bytes.clone(),
                        confirmed: false,
                    });
                }
            }
            made.changes.push((hash, change));
            made.instead.insert(queued.hash, hash);
            batch.unqueue.push(queued.item.id);
            let sent = ChangeItem {
                bytes,
                ..queued.sent.clone()
            };
            let item = (Item::Change(sent), Some(hash), queued.item.made_at);
            batch.queue.push(item);
        }
        if gone {
            batch.purge.push(self.record.id);
            return;
        }
        let removed = self.known.iter().filter(|hash| self.adrift.contains(hash));
        batch.records.push(RecordWrite {
            add,
            remove: removed.copied().collect(),
            ..RecordWrite::of(self.record, false)
        });
    }

    /// The same edit on top of what its author saw and is still there, and of the author's own edits before it, whose
    /// numbers it goes on from.
    fn again(&self, old: &FlatChange, made: &Made) -> (FlatChange, Vec<u8>, ChangeHash) {
        let before = made.own.iter().filter(|(_, seq)| *seq < old.seq);
        let mut open: Vec<ChangeHash> = before.map(|(hash, _)| *hash).collect();
        open.extend(&old.deps);
        let mut seen: BTreeSet<ChangeHash> = BTreeSet::new();
        while let Some(hash) = open.pop() {
            if seen.insert(made.instead.get(&hash).copied().unwrap_or(hash)) {
                open.extend(made.deps(&hash, &self.all));
            }
        }
        let base: Registers = registers_of(&made.changes, |hash| seen.contains(hash));
        let puts: Fields = old
            .ops
            .iter()
            .map(|op| (op.key.clone(), op.value.clone()))
            .collect();
        base.change(self.own, old.time, &puts)
    }
}

/// What a record is made of without what was lost.
#[derive(Default)]
struct Made {
    /// In their order, those that were made again among them.
    changes: Vec<(ChangeHash, FlatChange)>,
    /// This device's in the record, with the numbers that they had before.
    own: Vec<(ChangeHash, u64)>,
    /// What was made again, and as what.
    instead: BTreeMap<ChangeHash, ChangeHash>,
}

impl Made {
    /// What a change builds on, as it was or as it is now.
    fn deps(
        &self,
        hash: &ChangeHash,
        before: &BTreeMap<ChangeHash, FlatChange>,
    ) -> Vec<ChangeHash> {
        let now = || self.changes.iter().find(|(made, _)| made == hash);
        let found = before.get(hash).or_else(|| now().map(|(_, change)| change));
        found.map_or_else(Vec::new, |change| change.deps.clone())
    }
}
