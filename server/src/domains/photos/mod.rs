//! Photos of records and events: taken in by chunks, checked, sealed and kept; shown to those who may read the field
//! that names them; gone with what they belong to.
//!
//! The database says what there is, the object store holds sealed bytes and nothing else. Every object carries the id of
//! a row (an upload, a photo, or a removal that is due), so neither a crash nor another node leaves one that nobody
//! knows. It knows no record's rules: what a record says of its photos, and the key, come from the register.

mod carry;
mod list;
mod model;
mod objects;
mod open;
mod picture;
pub mod routes;
mod sealing;
pub mod service;
mod show;
mod store;
mod take;
mod tidy;

pub use objects::Photos;
