//! Chinese national cryptography (GM/T) over the RustCrypto crates, and what Doorstep derives with it.
//! Knows no key store and no randomness: keys, nonces and seeds are passed in.

pub mod actor;
pub mod blind;
pub mod password;
pub mod seal;
pub mod sm2;
pub mod sm3;
