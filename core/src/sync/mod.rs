//! Sync as state machines: frames in, frames out. `device` is one end of a connection, `server` the other;
//! `edit` makes changes, `replay` mends a record after a refusal. Knows no socket, clock or randomness.

pub mod device;
pub mod edit;
mod incoming;
mod replay;
pub mod server;

pub use device::{Action, DeviceSession, Identity};

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
