//! Doorstep's core: records, codes, validation, merging, conflict rules, sync state machines and sealing.
//!
//! It knows no clock, randomness, socket, file, thread or SQL: time, random bytes and keys are passed in,
//! storage is a trait, and sync takes frames and gives frames back. The same code therefore runs on phones,
//! in the mini-program (wasm32), on the server and under a simulator.

pub mod accept;
pub mod address;
pub mod blob;
pub mod codes;
pub mod crdt;
pub mod crypto;
pub mod envelope;
pub mod identity;
pub mod ids;
pub mod mask;
pub mod names;
pub mod projection;
pub mod protocol;
pub mod records;
pub mod rights;
pub mod search;
pub mod standard_address;
pub mod store;
pub mod sync;
pub mod time;
pub mod value;
