//! Devices: enrolment, sign-in by challenge, revocation, wipe, and who sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod enrolling;
mod kit;
mod listing;
mod nonces;
mod signing_in;
mod stopping;
