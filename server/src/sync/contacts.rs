//! Notes when devices were here and how much they still hold, and in the audit log that they came: those that come while
//! others are written down are written together, and no device waits for it or for the log's head. What a server that is
//! killed cuts off is known again when the device comes next. Knows no socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use doorstep_core::ids::DeviceId;
use tokio::sync::Notify;

use crate::database::system_tx;
use crate::domains::audit::{self, Entry};
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
    entries: Mutex<VecDeque<Entry>>,
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

    /// What the audit log is to say of a device that came.
    pub(super) fn log(&self, entry: Entry) {
        self.entries().push_back(entry);
        self.0.wake.notify_one();
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        let entries = &self.0.entries;
        entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self, state: AppState) {
        loop {
            let ends = tokio::select! {
                () = self.0.wake.notified() => false,
                () = state.stopped() => true,
            };
            loop {
                let (some, entries) = (self.take(), self.take_entries());
                if some.is_empty() && entries.is_empty() {
                    break;
                }
                if let Err(error) = write(&state, &some, &entries).await {
                    let lost = some.len();
                    tracing::warn!(code = error.code, lost, "contacts can't be noted");
                    // The log's entries are not lost: with the next device they are tried again.
                    let mut waiting = self.entries();
                    entries
                        .into_iter()
                        .rev()
                        .for_each(|entry| waiting.push_front(entry));
                    break;
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

    fn take_entries(&self) -> Vec<Entry> {
        let mut waiting = self.entries();
        let some = waiting.len().min(TOGETHER);
        waiting.drain(..some).collect()
    }
}

async fn write(state: &AppState, contacts: &[Contact], entries: &[Entry]) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    if !contacts.is_empty() {
        note_contacts(&mut tx, contacts).await?;
    }
    if !entries.is_empty() {
        audit::record_all(&mut tx, entries).await?;
    }
    tx.commit().await?;
    Ok(())
}
