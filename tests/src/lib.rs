//! What the repository's tests share. Nothing that ships knows this crate.

pub mod repository;
pub mod sim;
