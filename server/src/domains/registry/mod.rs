//! The register of people and houses as the console sees it: search, files with their histories, the view of a
//! building, edits, main residences, away people, former residents, erasure, the ledger of changes.
//!
//! What writes values goes through `register::apply`, an erasure through `register::erase`; everything that reads opens
//! sealed rows within the areas of the caller's right and masks them. Knows no socket, and of the conflict queue only
//! which items a file has.

mod away;
mod buildings;
mod cancel;
mod checks;
mod create;
mod document;
mod edit;
mod erase;
mod file;
mod find;
mod former;
mod history;
mod household;
mod ledger;
mod long_lists;
mod main_residence;
mod mains;
mod managed;
mod model;
mod notify;
mod people;
mod relations;
mod reminders;
mod reveal;
pub mod routes;
mod search;
pub mod service;
mod standing;
mod store;
mod view;

pub use long_lists::LongLists;
