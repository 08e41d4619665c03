//! The business of the server, one folder a domain: routes, use cases, store, model and sql; `service` is what others
//! may call. A domain calls another's service, never its store.

pub mod addresses;
pub mod alarms;
pub mod areas;
pub mod audit;
pub mod auth;
pub mod checks;
pub mod conflicts;
pub mod declarations;
pub mod devices;
pub mod imports;
pub mod messages;
pub mod photos;
pub mod police_photos;
pub mod registry;
pub mod users;
pub mod visits;
