//! The supervisors' web console: its files, carried in the program, and the stream that tells it what changed.
//! Knows no domain's rules.

mod files;
mod live;
pub mod routes;
