//! Doorstep's server: who may do what, the register, its merging, and what the console and phones call.
//!
//! Downward: `router` and `http` (HTTP, no rules but who is calling) → `domains/*/routes` (extract, authorise, call,
//! map) → use cases (rules and transactions, no HTTP) → `store` (SQL, nothing else) → `database`. What changes records
//! goes through `register`, beside the domains. A domain calls another's service, never its store. It knows no device
//! store and no client.

pub mod app;
pub mod backup;
pub mod bus;
pub mod clock;
pub mod config;
pub mod console;
pub mod database;
pub mod domains;
pub mod error;
pub mod http;
pub mod jobs;
pub mod keys;
pub mod live;
pub mod logging;
pub mod random;
pub mod register;
pub mod rotation;
pub mod router;
pub mod state;
pub mod sync;
#[cfg(feature = "testing")]
pub mod testing;
