//! The register and the visits over HTTP: search, files, histories, edits, main residences, the ledger, buildings,
//! absences, erasure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod edits;
mod erasure;
mod erasure_traces;
mod files;
mod find;
mod guesses;
mod kit;
mod ledger;
mod lists;
mod masks;
mod police_photos;
mod queries;
mod relations;
mod residences;
mod restoring;
mod search;
mod visits;
