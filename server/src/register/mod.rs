//! The one way into the register: every change of a record and every event goes through `apply`, whether a device sent
//! it, a supervisor decided it or a file brought it. What is no change has a function beside it: making a record the
//! alias of another, erasing, telling phones states, opening an item about two records that may be one.
//!
//! One transaction holds changes, projections, conflict items, log entries, digests and answers; the caller adds its
//! own rows and the audit entry and commits. Rules are core's (`doorstep_core::accept`); this module loads what they
//! need and writes what they say. It knows no HTTP and no socket.

mod alias;
mod apply;
mod conflicts;
mod erase;
mod filters;
mod find;
mod holder;
mod judging;
mod ledger;
mod load;
mod log;
mod message;
mod model;
mod neighbours;
mod opened;
pub mod read;
mod record_rows;
mod refused;
mod relations;
mod rescope;
mod sealed;
mod sealing;
mod standing;
mod store;

pub use alias::{bring_back, merge_away, survivors};
pub use apply::{Applied, DUE, apply, commit};
pub use conflicts::suspect_duplicates;
pub use erase::{Erasure, erase};
pub use filters::{filter_token, named_in};
pub use find::{
    find_by_tokens, find_merged_by_tokens, find_residents_by_names, tokens_of_residents,
};
pub use holder::{Holder, holder, keep};
pub use log::{LogSlice, Told, append_states};
pub use message::{About, message};
pub use model::{Areas, Prepared, Put, Receipt, SERVER_DEVICE, Sealed, Submission, Submitter};
pub use opened::{EventAbout, Maker, Opened, events_about, lock, makers, open, residences_of};
pub use refused::read_refused;
pub use relations::{
    HEAD as RELATION_HEAD, RelationReview, household_token, linked_token, take_relation_review,
};
pub use sealed::{PastChange, SealedRecord, field_values, history};
pub use sealing::{
    ConflictBody, ConflictValue, open_conflict, open_outcome, open_refused, seal_outcome,
};
pub use standing::standing;
