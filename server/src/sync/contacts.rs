//! Notes when devices were here and how much they still hold: those that come while others are written down are written
//! together, and no device waits for it. What the server's end cuts off is known again when the device comes next. Knows
//! no socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use doorstep_core::ids::DeviceId;
use tokio::sync::Notify;

use crate::database::system_tx;
use crate::domains::devices::service::{Contact, note_contacts};
use crate::error::ApiResult;
use crate::state::AppState;

/// The most that are written in one statement.
const TOGETHER: usize = 500;

/// See the module. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    due: Mutex<HashMap<DeviceId, (DateTime<Utc>, u32)>>,
    wake: Notify,
}

impl Contacts {
    /// Starts to write; it ends with the server, when it has written the rest.
    pub(super) fn start(state: &AppState) -> Self {
        let contacts = Self::default();
        tokio::spawn(contacts.clone().work(state.clone()));
        contacts
    }

    /// A device is here now and has so many changes and photos that it has not sent.
    pub(super) fn note(&self, device: DeviceId, at: DateTime<Utc>, unsent: u32) {
        let mut due = self.0.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.insert(device, (at, unsent));
        drop(due);
        self.0.wake.notify_one();
    }

    async fn work(self, state: AppState) {
        loop {
            let ends = tokio::select! {
                () = self.0.wake.notified() => false,
                () = state.stopped() => true,
            };
            loop {
                let some = self.take();
                if some.is_empty() {
                    break;
                }
                if let Err(error) = write(&state, &some).await {
                    let lost = some.len();
                    tracing::warn!(code = error.code, lost, "contacts can't be noted");
                }
            }
            if ends {
                return;
            }
        }
    }

    /// Some of what is due, in an order that nodes have in common: two that write the same devices don't block each
    /// other.
    fn take(&self) -> Vec<Contact> {
        let mut due = self.0.due.lock().unwrap_or_else(PoisonError::into_inner);
        let some: Vec<DeviceId> = due.keys().take(TOGETHER).copied().collect();
        let mut taken: Vec<Contact> = some
            .into_iter()
            .filter_map(|device| {
                let (at, unsent) = due.remove(&device)?;
                Some(Contact { device, at, unsent })
            })
            .collect();
        taken.sort_unstable_by_key(|contact| contact.device);
        taken
    }
}

async fn write(state: &AppState, contacts: &[Contact]) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    note_contacts(&mut tx, contacts).await?;
    tx.commit().await?;
    Ok(())
}
