//! Sync over websockets: how fast devices are let in (`door`), who is online (`hub`), one connection (`session` on
//! `socket`), how much a device may send (`quotas`), how often it may ask (`pace`), how fast it is read when it lies
//! (`doubt`), group commit (`committer`), bundles for first sync, batches no longer than a frame (`packing`), what other
//! nodes committed (`follow`), who was here when (`contacts`). The protocol's order is core's; the register writes and
//! reads.

mod bundles;
mod committer;
mod contacts;
mod door;
mod doubt;
mod follow;
pub mod hub;
mod pace;
mod packing;
mod quotas;
pub mod routes;
mod session;
mod socket;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use bundles::Bundles;
pub use committer::Committer;
pub use follow::Follow;
pub use hub::{Delivery, Hub, Parcel, Seat};
pub use quotas::ITEMS as DEVICE_ITEMS;

/// What all connections share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SyncState {
    /// Takes envelopes.
    pub committer: Committer,
    /// Bundles at hand.
    pub bundles: Bundles,
    door: door::Door,
    quotas: quotas::Quotas,
    contacts: contacts::Contacts,
    online: Arc<AtomicU64>,
}

impl SyncState {
    /// Starts the committer, and what notes contacts.
    #[must_use]
    pub fn start(state: &crate::state::AppState) -> Self {
        Self {
            committer: Committer::start(state),
            bundles: Bundles::default(),
            door: door::Door::new(),
            quotas: quotas::Quotas::of(state.config.device_items),
            contacts: contacts::Contacts::start(state),
            online: Arc::default(),
        }
    }
}
