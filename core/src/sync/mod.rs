//! Sync as state machines: frames in, frames out. `device` is one end of a connection, `server` the other;
//! On the device `edit` makes changes and `alike` looks whether the record is there already; `incoming` takes in what
//! comes, `replay` mends a record after a refusal; `requeue`, `set_back` and `let_go` are for a lost outbox and for a
//! server that was restored. Knows no socket, clock or randomness.

pub mod alike;
pub mod device;
pub mod edit;
mod incoming;
mod let_go;
mod replay;
mod requeue;
pub mod server;
mod set_back;

pub use device::{Action, DeviceSession, Identity};
pub use requeue::requeue;

use crate::ids::{RecordId, ScopeId};

/// The state under which a device notes that a scope is coming from the beginning: JSON is the number of the log's
/// entry at which it is complete.
pub(crate) fn loading_key(scope: ScopeId) -> String {
    format!("_loading/{scope}")
}

/// The state under which a device notes that a record misses something, until its scope's checkpoint agrees.
pub(crate) fn hole_key(record: RecordId) -> String {
    format!("{HOLES}{record}")
}

/// The state under which a device notes since when a scope comes again from a restored server: JSON is its own time in
/// milliseconds. It goes when what nobody has given back is let go.
pub(crate) fn given_back_key(scope: ScopeId) -> String {
    format!("_given_back/{scope}")
}

/// The state under which a device notes the greatest number of an envelope that was judged.
pub(crate) const ANSWERED: &str = "_answered";

/// The state under which a device notes that the server lacks what it had confirmed, until it has begun anew.
pub(crate) const SET_BACK: &str = "_set_back";

/// How `hole_key`s begin.
pub(crate) const HOLES: &str = "_hole/";

/// What can go wrong on a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError<E: std::error::Error + Send + Sync + 'static> {
    /// The device's storage failed.
    #[error("storage: {0}")]
    Store(#[from] E),
    /// The server sent what the protocol does not know; the connection must end.
    #[error("protocol: {0}")]
    Protocol(&'static str),
    /// A new record was given the id of another.
    #[error("the record exists")]
    Exists,
    /// The record's scope is still coming from the beginning, or the record misses something that is being repaired: an
    /// edit would not know all of it, among it perhaps this device's own earlier edits.
    #[error("the record is still coming")]
    Loading,
    /// No record of that id, or of another type.
    #[error("no such record")]
    NoSuchRecord,
    /// Not a declared record type.
    #[error("no such record type")]
    NoSuchType,
    /// The values break the record's declaration.
    #[error("{} wrong fields", .0.len())]
    Invalid(Vec<crate::records::FieldProblem>),
}

#[cfg(test)]
mod tests;
