//! Notes when devices were here and how much they still hold, that their sessions were used, and in the audit log that
//! they came: those that come while others are written down are written together, and no device waits for it or for the
//! log's head. However often a device says how much it holds, the last of a second is written. What a server that is
//! killed cuts off is known again when the device comes next. Knows no socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorstep_core::ids::DeviceId;
use sqlx::types::Uuid;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::database::system_tx;
use crate::domains::audit::{self, Entry};
use crate::domains::auth;
use crate::domains::devices::service::{Contact, note_contacts};
use crate::error::ApiResult;
use crate::state::AppState;

/// The most that are written in one statement.
const TOGETHER: usize = 500;
/// From one time that contacts are written to the next.
const EVERY: Duration = Duration::from_secs(1);

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
        let mut due = self.due();
        let first = due.is_empty();
        due.insert(contact.device, Due { contact, session });
        drop(due);
        if first {
            self.0.wake.notify_one();
        }
    }

    /// What the audit log is to say of a device that came.
    pub(super) fn log(&self, entry: Entry) {
        self.entries().push_back(entry);
        self.0.wake.notify_one();
    }

    fn due(&self) -> MutexGuard<'_, HashMap<DeviceId, Due>> {
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        let entries = &self.0.entries;
        entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self, state: AppState) {
        let mut next = Instant::now();
        loop {
            let waiting = !self.due().is_empty();
            let ends = tokio::select! {
                () = self.0.wake.notified() => false,
                () = tokio::time::sleep_until(next), if waiting => false,
                () = state.stopped() => true,
            };
            let now = Instant::now();
            let due = if ends || now >= next {
                next = now + EVERY;
                self.take()
            } else {
                Vec::new()
            };
            self.write(&state, due).await;
            if ends {
                return;
            }
        }
    }

    /// Writes these contacts, and what the log is to say by now.
    async fn write(&self, state: &AppState, mut due: Vec<Due>) {
        loop {
            let some: Vec<Due> = due.drain(..due.len().min(TOGETHER)).collect();
            let entries = self.take_entries();
            if some.is_empty() && entries.is_empty() {
                return;
            }
            if let Err(error) = write(state, &some, &entries).await {
                let lost = some.len();
                tracing::warn!(code = error.code, lost, "contacts can't be noted");
                // The log's entries are not lost: with the next device they are tried again.
                let mut waiting = self.entries();
                entries
                    .into_iter()
                    .rev()
                    .for_each(|entry| waiting.push_front(entry));
                drop(waiting);
                self.put_back(due);
                return;
            }
        }
    }

    /// All that is due, in an order that nodes have in common: two that write the same devices don't block each other.
    fn take(&self) -> Vec<Due> {
        let mut taken: Vec<Due> = std::mem::take(&mut *self.due()).into_values().collect();
        taken.sort_unstable_by_key(|due| due.contact.device);
        taken
    }

    /// What was not written is due again, but for those that said more since.
    fn put_back(&self, taken: Vec<Due>) {
        let mut waiting = self.due();
        for due in taken {
            waiting.entry(due.contact.device).or_insert(due);
        }
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
