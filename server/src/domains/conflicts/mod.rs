//! The conflict queue: what only a person can decide, one item at a time or by one rule for many. A decision is an
//! ordinary change that goes through the register and flows to every phone; the makers of all values are told.
//! Knows no merging: items are opened by the register when it merges.

mod assign;
mod bulk;
mod case;
mod claims;
mod comes_to;
mod decide;
mod deciders;
mod decisions;
mod list;
mod model;
mod persons;
mod plan;
mod reach;
mod residence;
pub mod routes;
mod rows;
mod rules;
pub mod service;
mod show;
mod store;
mod undo;
mod values;
