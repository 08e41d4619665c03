//! What other domains and the command line may ask of users.

pub use super::accounts::{
    account, called, create_user, find_account, hold_account, list_users, names, names_within,
};
pub use super::authority::require_above;
pub use super::first::{NewAdministrator, create_first_administrator};
pub use super::grants::{
    account_with_grants, grant_role, grants_of, holders, holders_within, list_grants, note_ended,
    revoke_grant,
};
