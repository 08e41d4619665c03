//! The address base (标准地址库): brought in from the police's files, handed to the phones of its areas as state, and
//! listed. Houses name an entry by `standard_address_code`; one without names a place that is proposed.
//! Knows no record.

mod control;
mod model;
mod read;
pub mod routes;
pub mod service;
mod store;

pub use model::{AddressReport, AddressView};
