//! The device store on SQLite (SQLCipher), encrypted at rest: `doorstep_core::store::DeviceStore` for phones and the
//! command line. Knows no network, no rule of records and not who signed in; the key comes from the host.
//!
//! Each user has a folder of their own with two files:
//!
//! - `outbox.db`: what was made here and not answered yet, the envelopes under way, and what was refused.
//! - `register.db`: records, changes, states, events, cursors. All of it can be fetched again.
//!
//! A batch that writes both is committed in the outbox first, together with its other half, the register's; that commit
//! waits for the disk and decides. The register need not wait: halves that it has not kept, in a crash or a power cut, are
//! taken from the outbox when the store is opened again. So a batch is in both files or in neither, an edit waits for the
//! disk once, and a register that is damaged or lost takes nothing unsent with it. An outbox that is damaged or lost is made
//! again from what can be read of it and from what the register shows and the server has not confirmed.

mod error;
mod file;
mod list;
mod outbox;
mod register;
mod rescue;
mod store;
mod token;

pub use error::{OpenError, StoreError};
pub use store::{Salvaged, SqliteStore};
