//! The logs of scopes: numbered entries, digests, states, and reading them back for one device.
//! The model of server/src/register/{log,read}.rs.

use std::collections::BTreeMap;

use doorstep_core::ids::{ChangeHash, DeviceId, EventId, RecordId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{Cursor, StateEntry};

/// One numbered entry; what it stands for is read when it is sent.
#[derive(Clone, Debug)]
pub enum Logged {
    /// A change, and the device that made it.
    Change(RecordId, ChangeHash, DeviceId),
    /// A record that came into the scope.
    Whole(RecordId),
    /// A record that left it.
    Leave(RecordId),
    /// An event.
    Event(EventId),
    /// State under a key, as it stands when it is sent.
    State(String),
}

/// One scope.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Logged>,
    digest: ScopeDigest,
    states: BTreeMap<String, String>,
}

impl Log {
    /// Where the log ends.
    #[must_use]
    pub fn end(&self) -> Cursor {
        Cursor {
            seq: self.entries.len() as u64,
            digest: self.digest,
        }
    }

    /// Gives the next number to an entry.
    pub fn append(&mut self, entry: Logged) {
        self.entries.push(entry);
    }

    /// Puts state and logs it.
    pub fn put_state(&mut self, state: StateEntry) {
        self.append(Logged::State(state.key.clone()));
        self.states.insert(state.key, state.json);
    }

    /// A record's part of the digest goes from `before` to `after` (empty: not in the scope).
    pub fn move_digest(&mut self, record: RecordId, before: &[ChangeHash], after: &[ChangeHash]) {
        if !before.is_empty() {
            self.digest = self.digest.minus(ScopeDigest::of_record(record, before));
        }
        if !after.is_empty() {
            self.digest = self.digest.plus(ScopeDigest::of_record(record, after));
        }
    }

    /// At most `limit` entries after a number.
    #[must_use]
    pub fn after(&self, seq: u64, limit: usize) -> &[Logged] {
        let from = usize::try_from(seq).map_or(self.entries.len(), |at| at.min(self.entries.len()));
        &self.entries[from..self.entries.len().min(from + limit)]
    }

    /// The state under a key.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<StateEntry> {
        self.states.get(key).map(|json| StateEntry {
            key: key.to_owned(),
            json: json.clone(),
        })
    }

    /// Every state that was not withdrawn.
    pub fn states(&self) -> impl Iterator<Item = StateEntry> + '_ {
        let standing = self.states.iter().filter(|(_, json)| !json.is_empty());
        standing.map(|(key, json)| StateEntry {
            key: key.clone(),
            json: json.clone(),
        })
    }
}
