//! What jobs may ask of imports.

pub use super::work::work;
