//! Visits (走访): finding them, what they came to, and who is due. A visit is recorded on a phone and reaches the
//! server as an event; here it is read.
//!
//! A visit that met its people moves the date of the last verification: that date is derived (`event_subjects`, in the
//! visit's own transaction), not put into the record, for nine million visits a year would otherwise be nine million
//! more changes of records, each concurrent with whatever a phone holds unsent.

mod list;
mod model;
mod place;
pub mod routes;
mod statistics;
mod store;
