//! Devices: enrolment with password and SM2 key, sign-in by challenge, list, revocation, wipe.
//! Knows no sync: the sync engine tells it what a device reported.

mod administration;
mod confirm_wipe;
mod enrolment;
mod model;
pub mod routes;
pub mod service;
mod store;

pub use model::{Device, DeviceStatus};
