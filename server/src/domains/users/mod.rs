//! Users and what they were granted where: graded administration, and why a user may do something.
//! Knows no passwords, sessions or devices (see `auth`, `devices`).

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
