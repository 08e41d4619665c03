//! Alarms (安全告警): what a device did that an honest one never does. Whoever notices says so (`raise`): it is kept by
//! device and kind, an hour's repeats as one; the security administrators of the device's area are told once, and the
//! audit log names device, user and record. Here it is also read. Knows no rule that a device broke.

mod list;
mod model;
mod raise;
pub mod routes;
mod store;

pub use model::{Kind, Noticed};
pub use raise::{Raised, raise, raise_alone};
