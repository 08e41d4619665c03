//! Judging what a device sends: identity, epoch, dependencies, rights per field, shape, merging, conflicts.
//!
//! Pure: the host loads the records an envelope names, calls `judge` for each change in order, and writes what comes
//! out in one transaction. Server and simulator run the same code. Knows no database and no other record: what needs
//! a look at others (the same person recorded twice, two claims to one resident) is found by the register afterwards.

mod conflict;
mod history;
mod judge;

pub use conflict::{ConflictDraft, ConflictKind};
pub use history::{History, Past};
pub use judge::{Author, Hold, Judged, judge};

#[cfg(test)]
mod tests;
