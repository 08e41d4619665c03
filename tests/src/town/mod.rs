//! A town that works, for the demo and the bench: the real server in a process of its own, accounts made over HTTP,
//! real devices with real stores. Knows no story and no figure.

pub mod api;
pub mod camera;
pub mod cutter;
pub mod imports;
pub mod office;
pub mod people;
pub mod phone;
pub mod routes;
pub mod server;
pub mod tap;
pub mod wire;

pub use api::Api;
pub use office::Office;
pub use people::{Administrators, Person};
pub use phone::Phone;
pub use server::Server;
pub use wire::Wire;
