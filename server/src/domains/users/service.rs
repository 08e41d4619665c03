//! What other domains and the command line may ask of users.

pub use super::accounts::{
    NewAdministrator, account, create_first_administrator, find_account, names,
};
pub use super::grants::{grants_of, holders};
