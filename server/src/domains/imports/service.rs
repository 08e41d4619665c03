//! What jobs and other domains may ask of imports.

pub use super::forget::{forget, read_numbers};
pub use super::work::work;
