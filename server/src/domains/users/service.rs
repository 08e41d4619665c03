//! What other domains and the command line may ask of users.

pub use super::accounts::{
    NewAdministrator, account, create_first_administrator, create_user, find_account, list_users,
    names,
};
pub use super::grants::{grant_role, grants_of, holders, list_grants, revoke_grant};
