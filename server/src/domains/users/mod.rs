//! Users and what they were granted where: graded administration, and why a user may do something.
//! Passwords, sessions and devices are not kept here: what a new account or a lost right means for them is asked of
//! `auth` and `devices`.

mod accounts;
mod authority;
#[cfg(feature = "testing")]
pub(crate) mod crowd;
mod fields;
mod first;
mod grants;
mod model;
mod name;
pub mod routes;
pub mod service;
mod store;
mod tag;

pub use accounts::Called;
pub use model::{
    Account, CreateUser, Grant, GrantRole, GrantView, UserCreated, UserQuery, UserStatus, UserView,
};
