//! A whole device for one signed-in user: what a screen calls. Every edit is on disk when its call returns, with or
//! without a connection. Knows no screen and no rule of records (`doorstep_core` has those).

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use doorstep_core::ids::{AreaCode, EventId, RecordId};
use doorstep_core::protocol::frames::{EventEntry, StateEntry, Unsent};
use doorstep_core::standard_address::{self, Found, StandardAddress};
use doorstep_core::store::{DeviceStore, ListQuery, Listed, OutboxItem, StoredRecord};
use doorstep_core::sync::alike::{self, Alike};
use doorstep_core::sync::{Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use serde::Serialize;
use tokio::sync::{Notify, broadcast, watch};

use crate::counters::{Counters, Totals};
use crate::error::{ClientError, ClientResult};
use crate::events::Event;
use crate::host;
use crate::login::{Login, Session, WIPE_ORDERED};
use crate::photos::Photos;
use crate::sealed::{SealedFolder, derive_seal};

/// Events kept for a listener that is behind; one further behind reads lists anew.
const EVENTS: usize = 1024;

/// Time limits; the defaults suit a phone.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Longest wait for a websocket to open.
    pub connect_timeout: Duration,
    /// Time between signs of life asked for.
    pub ping_every: Duration,
    /// A connection on which nothing was heard for so long is given up.
    pub idle_timeout: Duration,
    /// First wait between tries.
    pub backoff_least: Duration,
    /// Longest wait between tries.
    pub backoff_most: Duration,
    /// How often `sync_once` tries before it says why not.
    pub tries: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            ping_every: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
            backoff_least: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            tries: 3,
        }
    }
}

/// What a device is made of, once its user has signed in.
pub struct Parts<S> {
    /// The user's store.
    pub store: S,
    /// The user's session, the device's key and the server.
    pub login: Login,
    /// Counts of bytes and frames; those of the login's requests too.
    pub counters: Arc<Counters>,
    /// Key of what lies beside the store: photos, half-fetched bundles.
    pub data_key: [u8; 32],
    /// Time limits.
    pub options: Options,
}

/// What `sync_once` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Items of ours the server took, or had already.
    pub accepted: u64,
    /// Items it refused: `Device::refused` says why; a supervisor sees them too.
    pub refused: u64,
    /// Records that changed here, counted each time.
    pub changed: u64,
    /// Photos sent.
    pub photos_sent: u64,
    /// Photos refused for good.
    pub photos_refused: u64,
    /// Photos that wait for a next time.
    pub photos_waiting: u64,
    /// Items that wait for changes the server does not have yet.
    pub waiting: u64,
}

/// See the module. Cheap to clone; all clones are one device.
pub struct Device<S> {
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S> Clone for Device<S> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<S> std::fmt::Debug for Device<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.shared.login.who().device)
    }
}

/// What every part of a device shares.
pub(crate) struct Shared<S> {
    pub(crate) store: Mutex<S>,
    pub(crate) login: Login,
    pub(crate) counters: Arc<Counters>,
    pub(crate) options: Options,
    pub(crate) events: broadcast::Sender<Event>,
    /// Something is queued.
    pub(crate) edited: Notify,
    pub(crate) open_record: watch::Sender<Option<RecordId>>,
    pub(crate) bundles: SealedFolder,
    pub(crate) photos: Photos,
    /// Everything was sent, answered and received, as the last connection had it: what is not here is not for here.
    pub(crate) level: AtomicBool,
    /// One sync at a time.
    pub(crate) syncing: tokio::sync::Mutex<()>,
}

impl<S> Shared<S> {
    /// The store. A panic elsewhere while it was held leaves it as its last whole batch.
    pub(crate) fn store(&self) -> MutexGuard<'_, S> {
        self.store
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event).ok();
    }
}

impl<S: DeviceStore + Send + 'static> Device<S> {
    /// Puts a device together over an open store, in its user's folder, and puts back what a crash kept out of the
    /// records.
    ///
    /// # Errors
    /// The storage's.
    pub fn new(parts: Parts<S>, folder: &Path) -> ClientResult<Self> {
        let mut store = parts.store;
        edit::recover(&mut store, parts.login.who())?;
        let bundles = SealedFolder::open(
            folder.join("bundles"),
            "bundle",
            derive_seal(&parts.data_key, "bundles"),
        )?;
        let photos = Photos::open(folder, &parts.data_key)?;
        let shared = Shared {
            store: Mutex::new(store),
            login: parts.login,
            counters: parts.counters,
            options: parts.options,
            events: broadcast::channel(EVENTS).0,
            edited: Notify::new(),
            open_record: watch::channel(None).0,
            bundles,
            photos,
            level: AtomicBool::new(false),
            syncing: tokio::sync::Mutex::new(()),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Device, user and key.
    #[must_use]
    pub fn who(&self) -> &Identity {
        self.shared.login.who()
    }

    /// The user's session: to sign in again, or out.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.shared.login
    }

    /// Signs in with the password. A device that is to be wiped is wiped by it, as by any contact.
    ///
    /// # Errors
    /// `wiped`; `offline`; what the server says; the storage's.
    pub async fn sign_in(&self, password: &str, code: Option<&str>) -> ClientResult<Session> {
        match self.shared.login.prove(password, code).await {
            Err(error) if error.code == WIPE_ORDERED => {
                self.shared.store().wipe().map_err(ClientError::storage)?;
                Err(self.shared.wiped().await)
            }
            signed => signed,
        }
    }

    /// Bytes and frames so far.
    #[must_use]
    pub fn counters(&self) -> Totals {
        self.shared.counters.totals()
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Makes a record in an area.
    ///
    /// # Errors
    /// `invalid_fields` with every wrong field; the storage's.
    pub fn create(
        &self,
        record_type: &str,
        area: AreaCode,
        fields: Fields,
    ) -> ClientResult<RecordId> {
        let now = host::now();
        let id = RecordId::new(now, host::random()?);
        edit::create(
            &mut *self.shared.store(),
            self.shared.login.who(),
            id,
            record_type,
            area,
            fields,
            now,
        )?;
        self.edited(vec![id]);
        Ok(id)
    }

    /// Edits a record; `false` when the values were so already.
    ///
    /// # Errors
    /// `no_such_record`; `invalid_fields` with every wrong field; the storage's.
    pub fn update(&self, id: RecordId, fields: &Fields) -> ClientResult<bool> {
        let done = edit::update(
            &mut *self.shared.store(),
            self.shared.login.who(),
            id,
            fields,
            host::now(),
        )?;
        if done.is_some() {
            self.edited(vec![id]);
        }
        Ok(done.is_some())
    }

    /// Notes an event, such as a visit (走访).
    ///
    /// # Errors
    /// `invalid_fields` with every wrong field; the storage's.
    pub fn record_event(
        &self,
        event_type: &str,
        area: AreaCode,
        fields: Fields,
    ) -> ClientResult<EventId> {
        let now = host::now();
        let id = EventId::new(now, host::random()?);
        edit::record_event(
            &mut *self.shared.store(),
            self.shared.login.who(),
            id,
            event_type,
            area,
            fields,
            now,
        )?;
        self.edited(Vec::new());
        Ok(id)
    }

    fn edited(&self, records: Vec<RecordId>) {
        self.shared.edited.notify_one();
        if !records.is_empty() {
            self.shared.tell(Event::Changed(records));
        }
    }

    /// Reads the store, for what the calls below don't give.
    ///
    /// # Errors
    /// The storage's.
    pub fn read<T>(&self, read: impl FnOnce(&S) -> Result<T, S::Error>) -> ClientResult<T> {
        read(&*self.shared.store()).map_err(ClientError::storage)
    }

    /// One record with everything it holds.
    ///
    /// # Errors
    /// `no_such_record`; the storage's.
    pub fn record(&self, id: RecordId) -> ClientResult<StoredRecord> {
        self.read(|store| store.record(id))?
            .ok_or_else(ClientError::no_such_record)
    }

    /// Lists and searches.
    ///
    /// # Errors
    /// The storage's.
    pub fn list(&self, query: &ListQuery) -> ClientResult<Vec<Listed>> {
        self.read(|store| store.list(query))
    }

    /// How many records of a type are here.
    ///
    /// # Errors
    /// The storage's.
    pub fn count(&self, record_type: Option<&str>) -> ClientResult<u64> {
        self.read(|store| store.count(record_type))
    }

    /// Visits and other events about a record, newest first.
    ///
    /// # Errors
    /// The storage's.
    pub fn events_about(&self, record: RecordId) -> ClientResult<Vec<EventEntry>> {
        self.read(|store| store.events_about(record))
    }

    /// Records here that may be the one these fields describe: to be shown before it is made.
    ///
    /// # Errors
    /// The storage's.
    pub fn alike(&self, record_type: &str, fields: &Fields) -> ClientResult<Vec<(Alike, Listed)>> {
        self.read(|store| alike::alike(store, record_type, fields))
    }

    /// Standard addresses that a text may mean, the nearest first.
    ///
    /// # Errors
    /// The storage's.
    pub fn addresses(&self, text: &str, limit: usize) -> ClientResult<Vec<Found>> {
        let states = self.states(standard_address::PREFIX)?;
        Ok(standard_address::find(&states, text, limit))
    }

    /// The standard address of a code; `None` when it is not one of this device's areas.
    ///
    /// # Errors
    /// The storage's.
    pub fn standard_address(&self, code: &str) -> ClientResult<Option<StandardAddress>> {
        let key = standard_address::key(code);
        let json = self.read(|store| store.state(&key))?;
        Ok(json.and_then(|json| StandardAddress::read(&StateEntry { key, json })))
    }

    /// State entries under a prefix: `message/`, `rights`.
    ///
    /// # Errors
    /// The storage's.
    pub fn states(&self, prefix: &str) -> ClientResult<Vec<StateEntry>> {
        self.read(|store| store.states(prefix))
    }

    /// What was not answered yet, oldest first.
    ///
    /// # Errors
    /// The storage's.
    pub fn outbox(&self) -> ClientResult<Vec<OutboxItem>> {
        self.read(DeviceStore::outbox)
    }

    /// What has not been sent yet, photos included.
    ///
    /// # Errors
    /// The storage's.
    pub fn unsent(&self) -> ClientResult<Unsent> {
        self.shared.unsent()
    }

    /// Says which record is open at the door, so that colleagues see it; `None` when none is.
    pub fn set_open_record(&self, record: Option<RecordId>) {
        self.shared.open_record.send_replace(record);
    }

    /// The machine's clock, as edits are stamped.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        host::now()
    }
}

impl<S: DeviceStore> Shared<S> {
    pub(crate) fn unsent(&self) -> ClientResult<Unsent> {
        let unsent = self.store().unsent().map_err(ClientError::storage)?;
        let photos = self.photos.waiting()?;
        Ok(Unsent {
            blobs: photos.len() as u64,
            oldest: photos
                .iter()
                .map(|photo| photo.made_at)
                .chain(unsent.oldest)
                .min(),
            ..unsent
        })
    }
}
