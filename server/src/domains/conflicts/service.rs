//! What other domains may ask of the conflict queue.

pub use super::claims::Claim;
