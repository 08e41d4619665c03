//! What a device must keep, as a trait. Every write is one `WriteBatch`, and a batch is kept whole or not at all.
//! Knows no encoding of the storage and no rule of records: projections come ready made from `projection`.

#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod memory;

use serde::{Deserialize, Serialize};

use crate::crdt::Registers;
use crate::envelope::{Item, SignedEnvelope};
use crate::ids::{AreaCode, ChangeHash, EventId, RecordId, ScopeId};
use crate::projection::{Projection, project_anew};
use crate::protocol::frames::{Cursor, EventEntry, Refusal, StateEntry, Unsent};
use crate::time::Timestamp;
use crate::value::Fields;

/// A record as a device keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Its id.
    pub id: RecordId,
    /// Its declared type.
    pub record_type: String,
    /// The area it was made in.
    pub area: AreaCode,
    /// Its epoch.
    pub epoch: u32,
    /// Everything it holds, edits that were not sent yet included.
    pub registers: Registers,
    /// The heads the server has confirmed; empty for a record it has not seen.
    pub confirmed: Vec<ChangeHash>,
}

/// One change of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredChange {
    /// Its hash.
    pub hash: ChangeHash,
    /// The Automerge chunk.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Whether it came from the server or was accepted by it.
    pub confirmed: bool,
}

/// A write to one record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordWrite {
    /// The record as it is afterwards.
    pub record: StoredRecord,
    /// What lists, search and forms read.
    pub projection: Projection,
    /// Changes that are new.
    pub add: Vec<StoredChange>,
    /// Changes that the server has accepted.
    pub confirm: Vec<ChangeHash>,
    /// Changes that go: refused, or replaced by a replay.
    pub remove: Vec<ChangeHash>,
    /// Scopes it came into.
    pub join: Vec<ScopeId>,
    /// Scopes it left.
    pub leave: Vec<ScopeId>,
    /// The words that it is found by stay as they are: `projection` was made without them.
    #[serde(default)]
    pub same_tokens: bool,
}

impl RecordWrite {
    /// Writes a record as it is now, with none of its changes and in the scopes it was in.
    #[must_use]
    pub fn of(record: StoredRecord, same_tokens: bool) -> Self {
        Self {
            projection: project_anew(&record.record_type, &record.registers, same_tokens),
            record,
            add: Vec::new(),
            confirm: Vec::new(),
            remove: Vec::new(),
            join: Vec::new(),
            leave: Vec::new(),
            same_tokens,
        }
    }
}

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxItem {
    /// Its place in the queue; ascending, never used again.
    pub id: u64,
    /// What to send.
    pub item: Item,
    /// For a change: its hash.
    pub hash: Option<ChangeHash>,
    /// When it was made.
    pub made_at: Timestamp,
}

/// An envelope that is under way: sent again byte for byte until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEnvelope {
    /// Its number.
    pub seq: u64,
    /// Its bytes.
    pub signed: SignedEnvelope,
    /// The outbox items in it, in order.
    pub items: Vec<u64>,
}

/// Something that the server did not merge; shown to the collector until dismissed.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedItem {
    /// Its number; ascending, never used again.
    pub id: u64,
    /// What was sent.
    pub item: Item,
    /// Why it was refused.
    pub refusal: Refusal,
    /// When the answer came.
    pub at: Timestamp,
}

/// Everything that happens in one step; kept whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// Records written.
    pub records: Vec<RecordWrite>,
    /// Records to forget, with their changes and their unsent items' projections.
    pub purge: Vec<RecordId>,
    /// Events made here or come down.
    pub events: Vec<EventEntry>,
    /// Events to forget.
    pub purge_events: Vec<EventId>,
    /// State come down; empty JSON withdraws it.
    pub states: Vec<(ScopeId, StateEntry)>,
    /// Cursors moved.
    pub cursors: Vec<(ScopeId, Cursor)>,
    /// Scopes to forget, with their cursors, states and memberships, and an area's events. Their records are in
    /// `purge` unless another scope holds them.
    pub drop_scopes: Vec<ScopeId>,
    /// Items to queue, in order; the store gives the ids.
    pub queue: Vec<(Item, Option<ChangeHash>, Timestamp)>,
    /// Items answered, or replaced.
    pub unqueue: Vec<u64>,
    /// An envelope sealed over queued items.
    pub envelope: Option<SavedEnvelope>,
    /// Envelopes answered.
    pub answered: Vec<u64>,
    /// Items refused, with why and when, in order; the store gives the numbers.
    pub refused: Vec<(Item, Refusal, Timestamp)>,
    /// Numbers of refused items that are shown no longer.
    pub dismiss: Vec<u64>,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only this declared type.
    pub record_type: Option<String>,
    /// Typed words (see `search::query`); empty for all.
    pub text: String,
    /// Only records that link to this one, such as the residences of a house.
    pub linked_to: Option<RecordId>,
    /// Cancelled records too.
    pub cancelled: bool,
    /// How many to pass over.
    pub offset: usize,
    /// How many at most.
    pub limit: usize,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Which record.
    pub id: RecordId,
    /// Its declared type.
    pub record_type: String,
    /// Its winning values.
    pub fields: Fields,
    /// Whether it has edits that the server has not confirmed.
    pub pending: bool,
}

/// A device's storage, for one user.
pub trait DeviceStore {
    /// What can go wrong in the storage.
    type Error: std::error::Error + Send + Sync + 'static;

    /// One record.
    ///
    /// # Errors
    /// The storage's, here and below.
    fn record(&self, id: RecordId) -> Result<Option<StoredRecord>, Self::Error>;
    /// A record's changes in the order they were taken.
    ///
    /// # Errors
    /// The storage's.
    fn changes(&self, id: RecordId) -> Result<Vec<StoredChange>, Self::Error>;
    /// The scopes a record is in.
    ///
    /// # Errors
    /// The storage's.
    fn scopes_of(&self, id: RecordId) -> Result<Vec<ScopeId>, Self::Error>;
    /// All scopes and cursors.
    ///
    /// # Errors
    /// The storage's.
    fn scopes(&self) -> Result<Vec<(ScopeId, Cursor)>, Self::Error>;
    /// A scope's records with their confirmed heads.
    ///
    /// # Errors
    /// The storage's.
    fn members(&self, scope: &ScopeId) -> Result<Vec<(RecordId, Vec<ChangeHash>)>, Self::Error>;
    /// One state entry's JSON.
    ///
    /// # Errors
    /// The storage's.
    fn state(&self, key: &str) -> Result<Option<String>, Self::Error>;
    /// All state entries whose key starts so, by key.
    ///
    /// # Errors
    /// The storage's.
    fn states(&self, prefix: &str) -> Result<Vec<StateEntry>, Self::Error>;
    /// One event.
    ///
    /// # Errors
    /// The storage's.
    fn event(&self, id: EventId) -> Result<Option<EventEntry>, Self::Error>;
    /// The events about a record (`projection::subjects`), newest first.
    ///
    /// # Errors
    /// The storage's.
    fn events_about(&self, record: RecordId) -> Result<Vec<EventEntry>, Self::Error>;
    /// Every event, oldest first.
    ///
    /// # Errors
    /// The storage's.
    fn events(&self) -> Result<Vec<EventEntry>, Self::Error>;
    /// Queued items that are in no envelope yet, oldest first.
    ///
    /// # Errors
    /// The storage's.
    fn queued(&self, limit: usize) -> Result<Vec<OutboxItem>, Self::Error>;
    /// Every item not yet answered, in an envelope or not, oldest first.
    ///
    /// # Errors
    /// The storage's.
    fn outbox(&self) -> Result<Vec<OutboxItem>, Self::Error>;
    /// Count and age of what is not answered yet.
    ///
    /// # Errors
    /// The storage's.
    fn unsent(&self) -> Result<Unsent, Self::Error>;
    /// Envelopes not answered yet, by number.
    ///
    /// # Errors
    /// The storage's.
    fn envelopes(&self) -> Result<Vec<SavedEnvelope>, Self::Error>;
    /// The greatest envelope number ever used.
    ///
    /// # Errors
    /// The storage's.
    fn last_envelope(&self) -> Result<u64, Self::Error>;
    /// Items the server refused, newest first.
    ///
    /// # Errors
    /// The storage's.
    fn refused(&self) -> Result<Vec<RefusedItem>, Self::Error>;
    /// Lists and searches; by id, so in the order in which records were made.
    ///
    /// # Errors
    /// The storage's.
    fn list(&self, query: &ListQuery) -> Result<Vec<Listed>, Self::Error>;
    /// How many records of a type are held (all types for `None`), cancelled ones included.
    ///
    /// # Errors
    /// The storage's.
    fn count(&self, record_type: Option<&str>) -> Result<u64, Self::Error>;
    /// Keeps a batch whole. When it returns, a crash loses nothing of it.
    ///
    /// # Errors
    /// The storage's; then nothing of the batch is kept.
    fn commit(&mut self, batch: WriteBatch) -> Result<(), Self::Error>;
    /// Forgets everything; nothing of it can be read from the files afterwards.
    ///
    /// # Errors
    /// The storage's.
    fn wipe(&mut self) -> Result<(), Self::Error>;
}
