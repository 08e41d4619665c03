//! A whole device: store, websocket, retries, photos, sign-in. Under the apps and the command line.
//!
//! [`Home`] is a device's folder: who the device is, and its users. Signed in, it gives a [`Device`], whose edits are
//! on disk when their calls return; [`Device::sync_once`] and [`Device::run`] take them to the server and bring what
//! others did. Knows no screen, and no rule of records: those are `doorstep_core`'s.

mod backoff;
mod bundles;
mod counters;
mod device;
mod error;
mod events;
mod files;
mod home;
mod host;
mod http;
mod link;
mod login;
mod photos;
mod refused;
mod routes;
mod run;
mod sealed;
mod socket;

pub use doorstep_sqlite::SqliteStore;

pub use backoff::{Backoff, told};
pub use bundles::Progress;
pub use counters::{Counters, Totals};
pub use device::{Device, Options, Parts, SyncReport};
pub use error::{ClientError, ClientResult, Kind, Problem};
pub use events::Event;
pub use files::FileReport;
pub use home::{AccountView, Home};
pub use http::{Http, ServerAddress};
pub use login::{KeepNothing, Keeper, Login, Me, Secrets, Session};
pub use photos::{Photo, PhotoState};
pub use refused::{Refused, RefusedValue};
