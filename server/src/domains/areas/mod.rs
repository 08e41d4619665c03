//! The city's areas: import of the tree, versions, what changed between them, and finding one.
//! Knows no users, records or scopes.

mod import;
mod model;
pub mod routes;
pub mod service;
mod store;

pub use model::{Area, ImportQuery, ImportReport};
