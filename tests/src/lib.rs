//! What the repository's tests share. Nothing that ships knows this crate.

pub mod bench;
pub mod demo;
pub mod faults;
pub mod repository;
pub mod sim;
pub mod town;
