//! What other domains and jobs may ask of photos.

pub use super::carry::{copy_in, copy_out, put_object};
pub use super::open::DAILY_MEGABYTES;
pub use super::tidy::{forget, remove_soon, remove_strays, remove_strays_at_night, tidy};
