//! What a user was told: messages and reminders, as the user's phone holds them, for the console. They are states of the
//! user's scope, written by whoever has something to say; here they are read. They name no person.

mod list;
mod model;
pub mod routes;
