//! Checks (核查): what those responsible for an address are asked to find out at the door. A claim to a main residence
//! opens one for each address concerned; they confirm, deny or return it, offline too, as an event. Where all confirm,
//! nobody disputes the claim and the main residence moves; what is not answered in time goes to the supervisors.
//!
//! An open check is a state of its area (`check/ID`), so it is on every phone there; a reminder is a message to those
//! who are asked. Neither names a person. Knows no rule of claims: those are the conflict queue's.

mod act;
mod answer;
mod escalate;
mod list;
mod model;
mod open;
mod relations;
pub mod routes;
pub mod service;
mod store;
mod tell;
