//! An envelope's answer. What was refused is taken out of the record, and what the collector did after it is made
//! again on top of what the server has, so that one refusal loses nothing else.

use std::collections::BTreeMap;

use crate::crdt::{Registers, chunk};
use crate::envelope::Item;
use crate::ids::{ChangeHash, RecordId};
use crate::projection::project;
use crate::protocol::frames::{Outcome, Pushed, Refusal};
use crate::store::{DeviceStore, OutboxItem, RecordWrite, RefusedItem, StoredChange, WriteBatch};
use crate::sync::{DeviceError, Identity, edit};
use crate::time::Timestamp;
use crate::value::Fields;

/// The code of a refusal that only says an earlier change was refused: such a change is made again.
pub(crate) const BUILDS_ON_REFUSED: &str = "builds_on_refused";

/// What an answer did.
#[derive(Default)]
pub(super) struct Settled {
    /// Records whose values may differ now.
    pub(super) changed: Vec<RecordId>,
    /// Changes merged by it, events not counted.
    pub(super) merged: usize,
    /// Items of an envelope that was refused as a whole.
    pub(super) refused_whole: usize,
}

/// Takes the answer to an envelope.
pub(super) fn settle<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    pushed: Pushed,
    now: Timestamp,
) -> Result<Settled, DeviceError<S::Error>> {
    let Some(saved) = store
        .envelopes()?
        .into_iter()
        .find(|saved| saved.seq == pushed.seq)
    else {
        return Ok(Settled::default());
    };
    let mut done = Settled::default();
    let outbox = store.outbox()?;
    let item = |id: u64| outbox.iter().find(|item| item.id == id);
    let mut batch = WriteBatch {
        answered: vec![pushed.seq],
        ..WriteBatch::default()
    };
    let mut mend: BTreeMap<RecordId, Vec<ChangeHash>> = BTreeMap::new();
    let mut built_on: Vec<(&OutboxItem, Refusal)> = Vec::new();
    if let Some(refusal) = pushed.refused {
        for found in saved.items.iter().filter_map(|id| item(*id)) {
            done.refused_whole += 1;
            refuse(&mut batch, &mut mend, found, refusal.clone(), now);
        }
    }
    for (id, outcome) in saved.items.iter().zip(pushed.outcomes) {
        let Some(found) = item(*id) else { continue };
        match outcome {
            Outcome::Accepted => {
                done.merged += usize::from(found.hash.is_some());
                batch.unqueue.push(*id);
            }
            Outcome::Duplicate => batch.unqueue.push(*id),
            Outcome::Waiting => {} // no longer in an envelope, so it goes up again
            Outcome::Refused(refusal) if refusal.code == BUILDS_ON_REFUSED => {
                if let Item::Change(change) = &found.item {
                    mend.entry(change.record).or_default();
                    built_on.push((found, refusal));
                }
            }
            Outcome::Refused(refusal) => refuse(&mut batch, &mut mend, found, refusal, now),
        }
    }
    done.changed = mend.keys().copied().collect();
    for (record, refused) in mend {
        let of_record = |item: &OutboxItem| matches!(&item.item, Item::Change(change) if change.record == record);
        let waiting: Vec<&OutboxItem> = outbox
            .iter()
            .filter(|item| of_record(item) && !batch.unqueue.contains(&item.id))
            .collect();
        if !rebuild(store, who, record, &refused, &waiting, &mut batch)? {
            // The record itself was refused: the server keeps it for a supervisor, with every edit that came after
            // it. What it has not answered yet goes up, and is kept there in the same way.
            for (found, refusal) in built_on.iter().filter(|(found, _)| of_record(found)) {
                batch.unqueue.push(found.id);
                batch.refused.push(RefusedItem {
                    item: found.item.clone(),
                    refusal: refusal.clone(),
                    at: now,
                });
            }
            batch.purge.push(record);
        }
    }
    store.commit(batch)?;
    Ok(done)
}

fn refuse(
    batch: &mut WriteBatch,
    mend: &mut BTreeMap<RecordId, Vec<ChangeHash>>,
    found: &OutboxItem,
    refusal: Refusal,
    now: Timestamp,
) {
    batch.unqueue.push(found.id);
    if let (Item::Change(change), Some(hash)) = (&found.item, found.hash) {
        mend.entry(change.record).or_default().push(hash);
    }
    batch.refused.push(RefusedItem {
        item: found.item.clone(),
        refusal,
        at: now,
    });
}

/// Rebuilds a record from what the server is known to have, then makes its still unanswered edits again. Gives false
/// when the server has nothing of the record.
fn rebuild<S: DeviceStore>(
    store: &S,
    who: &Identity,
    id: RecordId,
    refused: &[ChangeHash],
    waiting: &[&OutboxItem],
    batch: &mut WriteBatch,
) -> Result<bool, DeviceError<S::Error>> {
    let Some(mut record) = store.record(id)? else {
        return Ok(false);
    };
    let pending: Vec<ChangeHash> = waiting
        .iter()
        .filter_map(|item| item.hash)
        .chain(refused.iter().copied())
        .collect();
    record.registers = Registers::default();
    for known in store
        .changes(id)?
        .into_iter()
        .filter(|known| !pending.contains(&known.hash))
    {
        if let Ok((change, hash)) = chunk::decode(&known.bytes) {
            // What the server has applies in the order it came; what was built on a refusal does not apply.
            let _ = record.registers.apply(&change, hash, |_, _| true);
        }
    }
    if record.registers.is_empty() {
        return Ok(false);
    }
    let mut add: Vec<StoredChange> = Vec::new();
    for item in waiting {
        batch.unqueue.push(item.id);
        let Item::Change(change) = &item.item else {
            continue;
        };
        let Ok((change, _)) = chunk::decode(&change.bytes) else {
            continue;
        };
        let puts: Fields = change
            .ops
            .into_iter()
            .map(|op| (op.key, op.value))
            .collect();
        // It keeps the time at which the collector made it.
        let (write, again, hash) = edit::change_of(who, &mut record, &puts, item.made_at);
        add.extend(write.add);
        batch.queue.push((again, Some(hash), item.made_at));
    }
    batch.records.push(RecordWrite {
        projection: project(&record.record_type, &record.registers),
        record,
        add,
        confirm: Vec::new(),
        remove: pending,
        join: Vec::new(),
        leave: Vec::new(),
    });
    Ok(true)
}
