//! What other domains and jobs may ask of the registry.

pub use super::away::remind_returns;
pub use super::erase::erase_again;
pub use super::main_residence::move_main_residence;
pub use super::mains::{MainResidence, main_residence_changes, main_residences};
pub use super::notify::{Concerned, concerned};
pub use super::relations::{Household, household, named_by, relinked, wards};
pub use super::reveal::{Purpose, police_photo_file};
pub use super::standing::{STANDING, cancelled, has_own_operation, reason, restored};

/// A key of a caller's as an answer may repeat it: it is not ours, so not at any length.
pub(super) fn short(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(64).collect()
}
