//! Notes when devices were here and how much they still hold, that their sessions were used, and in the audit log that
//! they came: those that come while others are written down are written together, and no device waits for it or for the
//! log's head. What a server that is killed cuts off is known again when the device comes next. Knows no socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorstep_core::ids::DeviceId;
use sqlx::types::Uuid;
use tokio::sync::Notify;

use crate::database::system_tx;
use crate::domains::audit::{self, Entry};
use crate::domains::auth;
use crate::domains::devices::service::{Contact, note_contacts};
use crate::error::ApiResult;
use crate::state::AppState;

/// The most that are written in one statement.
const TOGETHER: usize = 500;

/// What is to be written of a device, and its session.
#[derive(Debug)]
struct Due {
    contact: Contact,
    session: Uuid,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    due: Mutex<HashMap<DeviceId, Due>>,
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

    /// A device is here now, by this session.
    pub(super) fn note(&self, contact: Contact, session: Uuid) {
        let mut due = self.0.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.insert(contact.device, Due { contact, session });
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
    fn take(&self) -> Vec<Due> {
        let mut due = self.0.due.lock().unwrap_or_else(PoisonError::into_inner);
        let some: Vec<DeviceId> = due.keys().take(TOGETHER).copied().collect();
        let mut taken: Vec<Due> = some
            .into_iter()
            .filter_map(|device| due.remove(&device))
            .collect();
        taken.sort_unstable_by_key(|due| due.contact.device);
        taken
    }

    fn take_entries(&self) -> Vec<Entry> {
        let mut waiting = self.entries();
        let some = waiting.len().min(TOGETHER);
        waiting.drain(..some).collect()
    }
}

async fn write(state: &AppState, due: &[Due], entries: &[Entry]) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    if !due.is_empty() {
        let contacts: Vec<Contact> = due.iter().map(|due| due.contact).collect();
        note_contacts(&mut tx, &contacts).await?;
        let used: Vec<_> = due
            .iter()
            .map(|due| (due.session, due.contact.at))
            .collect();
        auth::service::note_used(&mut tx, &used).await?;
    }
    if !entries.is_empty() {
        audit::record_all(&mut tx, entries).await?;
    }
    tx.commit().await?;
    Ok(())
}
