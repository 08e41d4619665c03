//! A device's storage in memory: for tests, the simulator and hosts without files.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::{
    DeviceStore, ListQuery, Listed, OutboxItem, RefusedItem, SavedEnvelope, StoredChange,
    StoredRecord, WriteBatch,
};
use crate::ids::{ChangeHash, EventId, RecordId, ScopeId};
use crate::projection::{self, Projection};
use crate::protocol::frames::{Cursor, EventEntry, StateEntry, Unsent};
use crate::search;

#[derive(Clone, Debug)]
struct Row {
    record: StoredRecord,
    projection: Projection,
    changes: Vec<StoredChange>,
    scopes: BTreeSet<ScopeId>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: BTreeMap<RecordId, Row>,
    cursors: BTreeMap<ScopeId, Cursor>,
    states: BTreeMap<String, (ScopeId, String)>,
    events: BTreeMap<EventId, EventEntry>,
    outbox: BTreeMap<u64, OutboxItem>,
    next_item: u64,
    envelopes: BTreeMap<u64, SavedEnvelope>,
    last_envelope: u64,
    refused: Vec<RefusedItem>,
    last_refused: u64,
}

impl DeviceStore for MemoryStore {
    type Error = Infallible;

    fn record(&self, id: RecordId) -> Result<Option<StoredRecord>, Infallible> {
        Ok(self.rows.get(&id).map(|row| row.record.clone()))
    }

    fn changes(&self, id: RecordId) -> Result<Vec<StoredChange>, Infallible> {
        Ok(self
            .rows
            .get(&id)
            .map(|row| row.changes.clone())
            .unwrap_or_default())
    }

    fn scopes_of(&self, id: RecordId) -> Result<Vec<ScopeId>, Infallible> {
        Ok(self
            .rows
            .get(&id)
            .map(|row| row.scopes.iter().copied().collect())
            .unwrap_or_default())
    }

    fn scopes(&self) -> Result<Vec<(ScopeId, Cursor)>, Infallible> {
        Ok(self
            .cursors
            .iter()
            .map(|(scope, cursor)| (*scope, *cursor))
            .collect())
    }

    fn members(&self, scope: &ScopeId) -> Result<Vec<(RecordId, Vec<ChangeHash>)>, Infallible> {
        let rows = self
            .rows
            .iter()
            .filter(|(_, row)| row.scopes.contains(scope));
        Ok(rows
            .map(|(id, row)| (*id, row.record.confirmed.clone()))
            .collect())
    }

    fn state(&self, key: &str) -> Result<Option<String>, Infallible> {
        Ok(self.states.get(key).map(|(_, json)| json.clone()))
    }

    fn states(&self, prefix: &str) -> Result<Vec<StateEntry>, Infallible> {
        let found = self
            .states
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        Ok(found
            .map(|(key, (_, json))| StateEntry {
                key: key.clone(),
                json: json.clone(),
            })
            .collect())
    }

    fn event(&self, id: EventId) -> Result<Option<EventEntry>, Infallible> {
        Ok(self.events.get(&id).cloned())
    }

    fn events_about(&self, record: RecordId) -> Result<Vec<EventEntry>, Infallible> {
        let found = self.events.values().rev().filter(|event| {
            let mut subjects = projection::subjects(&event.event_type, &event.fields);
            subjects.any(|subject| subject == record)
        });
        Ok(found.cloned().collect())
    }

    fn events(&self) -> Result<Vec<EventEntry>, Infallible> {
        Ok(self.events.values().cloned().collect())
    }

    fn queued(&self, limit: usize) -> Result<Vec<OutboxItem>, Infallible> {
        let under_way: BTreeSet<u64> = self
            .envelopes
            .values()
            .flat_map(|envelope| envelope.items.clone())
            .collect();
        let free = self
            .outbox
            .values()
            .filter(|item| !under_way.contains(&item.id));
        Ok(free.take(limit).cloned().collect())
    }

    fn outbox(&self) -> Result<Vec<OutboxItem>, Infallible> {
        Ok(self.outbox.values().cloned().collect())
    }

    fn unsent(&self) -> Result<Unsent, Infallible> {
        let oldest = self.outbox.values().map(|item| item.made_at).min();
        Ok(Unsent {
            items: self.outbox.len() as u64,
            blobs: 0,
            oldest,
        })
    }

    fn envelopes(&self) -> Result<Vec<SavedEnvelope>, Infallible> {
        Ok(self.envelopes.values().cloned().collect())
    }

    fn last_envelope(&self) -> Result<u64, Infallible> {
        Ok(self.last_envelope)
    }

    fn refused(&self) -> Result<Vec<RefusedItem>, Infallible> {
        Ok(self.refused.iter().rev().cloned().collect())
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<Listed>, Infallible> {
        let words = search::query(&query.text);
        let found = self.rows.values().filter(|row| {
            query
                .record_type
                .as_ref()
                .is_none_or(|wanted| *wanted == row.record.record_type)
                && (query.cancelled || !row.projection.cancelled)
                && query
                    .linked_to
                    .is_none_or(|to| row.projection.links.iter().any(|(_, link)| *link == to))
                && words.matches(&row.projection.tokens)
        });
        let listed = found.map(|row| Listed {
            id: row.record.id,
            record_type: row.record.record_type.clone(),
            fields: row.projection.fields.clone(),
            pending: row.changes.iter().any(|change| !change.confirmed),
        });
        Ok(listed.skip(query.offset).take(query.limit).collect())
    }

    fn count(&self, record_type: Option<&str>) -> Result<u64, Infallible> {
        let rows = self.rows.values();
        Ok(rows
            .filter(|row| record_type.is_none_or(|wanted| wanted == row.record.record_type))
            .count() as u64)
    }

    fn commit(&mut self, batch: WriteBatch) -> Result<(), Infallible> {
        for (item, hash, made_at) in batch.queue {
            self.next_item += 1;
            let id = self.next_item;
            self.outbox.insert(
                id,
                OutboxItem {
                    id,
                    item,
                    hash,
                    made_at,
                },
            );
        }
        for write in batch.records {
            let row = self.rows.entry(write.record.id).or_insert_with(|| Row {
                record: write.record.clone(),
                projection: write.projection.clone(),
                changes: Vec::new(),
                scopes: BTreeSet::new(),
            });
            row.record = write.record;
            let before = std::mem::replace(&mut row.projection, write.projection);
            if write.same_tokens {
                row.projection.tokens = before.tokens;
            }
            row.changes
                .retain(|change| !write.remove.contains(&change.hash));
            row.changes.extend(write.add);
            for change in &mut row.changes {
                change.confirmed |= write.confirm.contains(&change.hash);
            }
            row.scopes.extend(write.join);
            row.scopes.retain(|scope| !write.leave.contains(scope));
        }
        for id in batch.purge {
            self.rows.remove(&id);
        }
        self.events
            .extend(batch.events.into_iter().map(|event| (event.id, event)));
        for id in batch.purge_events {
            self.events.remove(&id);
        }
        for (scope, StateEntry { key, json }) in batch.states {
            if json.is_empty() {
                self.states.remove(&key);
            } else {
                self.states.insert(key, (scope, json));
            }
        }
        self.cursors.extend(batch.cursors);
        for scope in batch.drop_scopes {
            self.cursors.remove(&scope);
            self.states.retain(|_, (of, _)| *of != scope);
            for row in self.rows.values_mut() {
                row.scopes.remove(&scope);
            }
            if let ScopeId::Area(area) = scope {
                self.events.retain(|_, event| event.area != area);
            }
        }
        if let Some(envelope) = batch.envelope {
            self.last_envelope = self.last_envelope.max(envelope.seq);
            self.envelopes.insert(envelope.seq, envelope);
        }
        self.envelopes
            .retain(|seq, _| !batch.answered.contains(seq));
        self.outbox.retain(|id, _| !batch.unqueue.contains(id));
        for (item, refusal, at) in batch.refused {
            self.last_refused += 1;
            self.refused.push(RefusedItem {
                id: self.last_refused,
                item,
                refusal,
                at,
            });
        }
        self.refused
            .retain(|refused| !batch.dismiss.contains(&refused.id));
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), Infallible> {
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_store_keeps_the_contract() {
        crate::store::contract::all(super::MemoryStore::default);
    }
}
