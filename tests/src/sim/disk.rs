//! A device's storage that can fail at a commit, as a phone does whose battery ends: before the batch is kept, or
//! after it is kept and before anybody knows. Knows nothing of what it keeps.

use std::convert::Infallible;

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
