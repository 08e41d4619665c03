//! The audit log: what was done, by whom, where and with what outcome, as a chain of SM3 hashes with signed heads.
//! An entry of a write is part of the write's transaction; a read is written down before it is answered.
//! Knows no personal data: entries name things by id and code.

mod actions;
mod chain;
mod export;
mod model;
mod refusals;
pub mod routes;
mod search;
pub mod service;
mod store;
mod writer;

pub use actions::Action;
pub use chain::{Fault, Verdict};
pub use model::{Entry, Outcome, Trail};
pub use refusals::{Refusals, network, refused, write_refusals};
pub use service::{record, record_all, sign_head, verify};
pub use writer::AuditWriter;
