//! What a device does whose outbox was lost: everything that the records hold and nobody has confirmed goes up again.
//! Knows no file: a host says when the outbox was not whole.

use std::collections::BTreeSet;

use crate::crdt::chunk;
use crate::envelope::{ChangeItem, EventItem, Item};
use crate::ids::{ChangeHash, EventId, UserId};
use crate::store::{DeviceStore, ListQuery, WriteBatch};
use crate::sync::DeviceError;
use crate::time::Timestamp;

/// Queues the unconfirmed changes and the user's own events that are neither queued nor refused; gives how many. What
/// the server has already it answers as a duplicate, and what it refused before with the same refusal.
///
/// # Errors
/// The storage's.
pub fn requeue<S: DeviceStore>(
    store: &mut S,
    user: UserId,
) -> Result<usize, DeviceError<S::Error>> {
    let queued = store.outbox()?;
    let mut changes: BTreeSet<ChangeHash> = queued.iter().filter_map(|item| item.hash).collect();
    // A refused change is in no record any more; a refused event is still shown.
    let refused = store.refused()?.into_iter().map(|item| item.item);
    let events = queued.into_iter().map(|item| item.item).chain(refused);
    let events = events.filter_map(|item| match item {
        Item::Event(event) => Some(event.id),
        Item::Change(_) => None,
    });
    let mut events: BTreeSet<EventId> = events.collect();
    let everything = ListQuery {
        cancelled: true,
        limit: usize::MAX,
        ..ListQuery::default()
    };
    let mut batch = WriteBatch::default();
    for listed in store.list(&everything)? {
        if listed.pending
            && let Some(record) = store.record(listed.id)?
        {
            for kept in store.changes(listed.id)? {
                let Ok((change, hash)) = chunk::decode(&kept.bytes) else {
                    continue;
                };
                if kept.confirmed || !changes.insert(hash) {
                    continue;
                }
                let item = Item::Change(ChangeItem {
                    record: record.id,
                    record_type: record.record_type.clone(),
                    epoch: record.epoch,
                    bytes: kept.bytes,
                });
                batch.queue.push((item, Some(hash), Timestamp(change.time)));
            }
        }
        for event in store.events_about(listed.id)? {
            if event.user != user || !events.insert(event.id) {
                continue;
            }
            let made_at = event.id.made_at();
            let item = Item::Event(EventItem {
                id: event.id,
                event_type: event.event_type,
                area: event.area,
                fields: event.fields,
            });
            batch.queue.push((item, None, made_at));
        }
    }
    let count = batch.queue.len();
    if count > 0 {
        store.commit(batch)?;
    }
    Ok(count)
}
