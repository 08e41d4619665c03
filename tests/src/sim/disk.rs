//! A device's storage that can fail at a commit, as a phone does whose battery ends: before the batch is kept, or
//! after it is kept and before anybody knows. Knows nothing of what it keeps.

use std::collections::BTreeMap;
use std::convert::Infallible;

use doorstep_core::envelope::SignedEnvelope;
use doorstep_core::ids::{ChangeHash, EventId, RecordId, ScopeId};
use doorstep_core::protocol::frames::{Cursor, EventEntry, StateEntry, Unsent};
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::store::{
    DeviceStore, ListQuery, Listed, OutboxItem, RefusedItem, SavedEnvelope, StoredChange,
    StoredRecord, WriteBatch,
};

/// The device stopped in the middle of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device stopped")]
pub struct Stopped;

/// When the device stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuse {
    /// How many commits are still kept and known.
    pub commits: u32,
    /// Whether the commit at which it stops is kept.
    pub kept: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    kept: MemoryStore,
    /// Burns down with each commit; none: the device runs on.
    pub fuse: Option<Fuse>,
}

impl Disk {
    /// The outbox's file is lost, and what was refused with it.
    ///
    /// # Errors
    /// None.
    pub fn lose_outbox(&mut self) -> Result<(), Stopped> {
        let items = self.outbox()?.into_iter();
        let envelopes = self.envelopes()?.into_iter();
        let refused = self.refused()?.into_iter();
        let batch = WriteBatch {
            unqueue: items.map(|item| item.id).collect(),
            answered: envelopes.map(|saved| saved.seq).collect(),
            dismiss: refused.map(|refused| refused.id).collect(),
            ..WriteBatch::default()
        };
        sure(self.kept.commit(batch))
    }

    /// The file of the records is lost; the outbox's own file is not. Items get other places in the queue.
    ///
    /// # Errors
    /// None.
    pub fn lose_records(&mut self) -> Result<(), Stopped> {
        let outbox = self.outbox()?;
        let place: BTreeMap<u64, u64> = outbox.iter().map(|item| item.id).zip(1..).collect();
        let mut kept = MemoryStore::default();
        let mut commit = |batch: WriteBatch| sure(kept.commit(batch));
        let queue = outbox.into_iter();
        let queue = queue.map(|item| (item.item, item.hash, item.made_at));
        commit(WriteBatch {
            queue: queue.collect(),
            ..WriteBatch::default()
        })?;
        let last = self.last_envelope()?;
        let answered = SavedEnvelope {
            seq: last,
            signed: SignedEnvelope {
                body: Vec::new(),
                signature: Vec::new(),
            },
            items: Vec::new(),
        };
        commit(WriteBatch {
            envelope: Some(answered),
            answered: vec![last],
            ..WriteBatch::default()
        })?;
        for mut saved in self.envelopes()? {
            let at = |id: &u64| place.get(id).copied().unwrap_or(u64::MAX);
            saved.items = saved.items.iter().map(at).collect();
            commit(WriteBatch {
                envelope: Some(saved),
                ..WriteBatch::default()
            })?;
        }
        let refused = self.refused()?.into_iter().rev();
        commit(WriteBatch {
            refused: refused
                .map(|kept| (kept.item, kept.refusal, kept.at))
                .collect(),
            ..WriteBatch::default()
        })?;
        self.kept = kept;
        Ok(())
    }
}

fn sure<T>(read: Result<T, Infallible>) -> Result<T, Stopped> {
    read.map_err(|never| match never {})
}

impl DeviceStore for Disk {
    type Error = Stopped;

    fn record(&self, id: RecordId) -> Result<Option<StoredRecord>, Stopped> {
        sure(self.kept.record(id))
    }

    fn changes(&self, id: RecordId) -> Result<Vec<StoredChange>, Stopped> {
        sure(self.kept.changes(id))
    }

    fn scopes_of(&self, id: RecordId) -> Result<Vec<ScopeId>, Stopped> {
        sure(self.kept.scopes_of(id))
    }

    fn scopes(&self) -> Result<Vec<(ScopeId, Cursor)>, Stopped> {
        sure(self.kept.scopes())
    }

    fn members(&self, scope: &ScopeId) -> Result<Vec<(RecordId, Vec<ChangeHash>)>, Stopped> {
        sure(self.kept.members(scope))
    }

    fn state(&self, key: &str) -> Result<Option<String>, Stopped> {
        sure(self.kept.state(key))
    }

    fn states(&self, prefix: &str) -> Result<Vec<StateEntry>, Stopped> {
        sure(self.kept.states(prefix))
    }

    fn event(&self, id: EventId) -> Result<Option<EventEntry>, Stopped> {
        sure(self.kept.event(id))
    }

    fn events_about(&self, record: RecordId) -> Result<Vec<EventEntry>, Stopped> {
        sure(self.kept.events_about(record))
    }

    fn events(&self) -> Result<Vec<EventEntry>, Stopped> {
        sure(self.kept.events())
    }

    fn queued(&self, limit: usize) -> Result<Vec<OutboxItem>, Stopped> {
        sure(self.kept.queued(limit))
    }

    fn outbox(&self) -> Result<Vec<OutboxItem>, Stopped> {
        sure(self.kept.outbox())
    }

    fn unsent(&self) -> Result<Unsent, Stopped> {
        sure(self.kept.unsent())
    }

    fn envelopes(&self) -> Result<Vec<SavedEnvelope>, Stopped> {
        sure(self.kept.envelopes())
    }

    fn last_envelope(&self) -> Result<u64, Stopped> {
        sure(self.kept.last_envelope())
    }

    fn refused(&self) -> Result<Vec<RefusedItem>, Stopped> {
        sure(self.kept.refused())
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<Listed>, Stopped> {
        sure(self.kept.list(query))
    }

    fn count(&self, record_type: Option<&str>) -> Result<u64, Stopped> {
        sure(self.kept.count(record_type))
    }

    fn commit(&mut self, batch: WriteBatch) -> Result<(), Stopped> {
        match &mut self.fuse {
            None => sure(self.kept.commit(batch)),
            Some(fuse) if fuse.commits > 0 => {
                fuse.commits -= 1;
                sure(self.kept.commit(batch))
            }
            Some(fuse) => {
                if fuse.kept {
                    sure(self.kept.commit(batch))?;
                }
                Err(Stopped)
            }
        }
    }

    fn wipe(&mut self) -> Result<(), Stopped> {
        sure(self.kept.wipe())
    }
}
