//! Merging: Automerge changes of flat documents, and the registers they add up to.
//!
//! A record's document is one flat Automerge map of scalars, so its whole visible state is a table of multi-value
//! registers, and merging a change needs no document: values it names as predecessors go, its own comes.
//! Automerge stays the format, the history and the oracle of the tests; this module holds no library document
//! and knows no field rules, rights or storage.

pub mod change;
pub mod chunk;
pub mod registers;

pub use change::{FlatChange, OpId, Put};
pub use registers::{ApplyError, Concurrent, Registers};
