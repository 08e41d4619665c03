//! Who is calling: passwords, second factor, sessions, challenges, and the actor that handlers get.
//! Knows no grant rules (see `users`) and no device administration (see `devices`).

mod actor;
mod challenges;
mod credentials;
mod model;
pub mod password;
pub mod routes;
mod second_factor;
pub mod service;
mod sessions;
mod store;
mod totp;
mod tries;
mod turns;

pub use actor::{Actor, scoped_tx};
pub use credentials::{Credential, Proof, Verified};
pub use model::SessionOpened;
#[cfg(feature = "testing")]
pub(crate) use sessions::hash as token_hash;
pub use turns::Caller;
