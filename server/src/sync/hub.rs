//! Who is online and follows which scope: a commit's log slices go straight to them.
//! A slow follower is marked and reads the log itself. What other nodes write is brought by `super::follow`; they
//! hear of ours over the bus. Knows no socket and no database.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use doorstep_core::ids::{DeviceId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::MAX_FRAME_DOWN;
use doorstep_core::protocol::frames::{Batch, Down, Entry};
use sqlx::types::Uuid;
use tokio::sync::Notify;

use crate::bus::Bus;
use crate::register::LogSlice;

/// How many slices may wait for one follower.
const QUEUE: usize = 64;

/// A slice on its way: packed once for all but the devices whose own changes are in it.
#[derive(Debug)]
pub struct Parcel {
    /// The slice.
    pub slice: LogSlice,
    frame: OnceLock<Option<Bytes>>,
}

impl Parcel {
    fn new(slice: LogSlice) -> Self {
        Self {
            slice,
            frame: OnceLock::new(),
        }
    }

    /// The batch frame for a device; `None` when it must be read from the log.
    #[must_use]
    pub fn frame_for(&self, device: DeviceId) -> Option<Bytes> {
        let entries = self.slice.entries.as_ref()?;
        if entries.iter().any(|(_, maker)| *maker == Some(device)) {
            return self.pack(
                entries
                    .iter()
                    .map(|(entry, maker)| own(entry, *maker == Some(device))),
            );
        }
        self.frame
            .get_or_init(|| self.pack(entries.iter().map(|(entry, _)| entry.clone())))
            .clone()
    }

    fn pack(&self, entries: impl Iterator<Item = Entry>) -> Option<Bytes> {
        let entries: Vec<Entry> = entries.collect();
        let batch = Batch::pack(
            self.slice.scope,
            self.slice.from,
            self.slice.end.seq,
            &entries,
        )
        .ok()?;
        let frame = Down::Batch(batch).encode();
        (frame.len() <= MAX_FRAME_DOWN).then(|| frame.into())
    }
}

/// What a device is told of its own change: its hash.
fn own(entry: &Entry, is_own: bool) -> Entry {
    match entry {
        Entry::Put(put) if is_own => match doorstep_core::crdt::chunk::decode(&put.bytes) {
            Ok((_, hash)) => Entry::Own(put.record, hash),
            Err(_) => entry.clone(),
        },
        _ => entry.clone(),
    }
}

/// What comes to a follower.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// New entries of a scope.
    Slice(Arc<Parcel>),
    /// Who has a record open changed in this scope.
    Presence(ScopeId),
    /// A newer connection of the same device has taken this one's place.
    Replaced,
}

/// What waits for one follower. Nearly always nothing, and there are tens of thousands: a channel would hold room for
/// what never comes.
#[derive(Debug, Default)]
struct Mailbox {
    waiting: Mutex<VecDeque<Delivery>>,
    /// Something was lost because too much waited.
    behind: AtomicBool,
    /// A newer connection of the same device has taken its place.
    replaced: AtomicBool,
    came: Notify,
}

impl Mailbox {
    fn put(&self, delivery: &Delivery) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < QUEUE {
            waiting.push_back(delivery.clone());
        } else {
            self.behind.store(true, Ordering::Release);
        }
        drop(waiting);
        self.came.notify_one();
    }

    fn replace(&self) {
        self.replaced.store(true, Ordering::Release);
        self.came.notify_one();
    }

    fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    fn take(&self) -> Option<Delivery> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.pop_front();
        if waiting.is_empty() {
            *waiting = VecDeque::new();
        }
        next
    }
}

#[derive(Debug)]
struct Follower {
    id: u64,
    to: Arc<Mailbox>,
}

/// By node and user: the record, and the user's name.
type Open = HashMap<(Uuid, UserId), (RecordId, String)>;

#[derive(Debug, Default)]
struct Inner {
    followers: HashMap<ScopeId, Vec<Follower>>,
    /// The one connection of each device here.
    devices: HashMap<DeviceId, Follower>,
    /// Where the logs of followed scopes end, as far as it was published here.
    ends: HashMap<ScopeId, u64>,
    /// Who has which record open, at which node.
    open: HashMap<ScopeId, Open>,
}

/// This node, among those where someone has a record open.
const HERE: Uuid = Uuid::nil();

/// See the module. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    inner: Arc<Mutex<Inner>>,
    next: Arc<AtomicU64>,
    bus: Bus,
}

/// One connection's place in the hub. Dropping it ends all that it follows.
#[derive(Debug)]
pub struct Seat {
    hub: Hub,
    id: u64,
    inbox: Arc<Mailbox>,
    scopes: Vec<ScopeId>,
    /// Whose one place it has taken.
    device: Option<DeviceId>,
}

impl Hub {
    /// A hub whose doings other nodes hear of over `bus`.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            ..Self::default()
        }
    }

    /// Takes a place.
    #[must_use]
    pub fn seat(&self) -> Seat {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Seat {
            hub: self.clone(),
            id,
            inbox: Arc::default(),
            scopes: Vec::new(),
            device: None,
        }
    }

    /// Sends what was committed here to all who follow its scope.
    pub fn publish(&self, slice: LogSlice) {
        self.bus.moved(slice.scope, slice.end.seq);
        self.bring(slice);
    }

    /// Sends a slice that another process committed to all who follow its scope here.
    pub fn bring(&self, slice: LogSlice) {
        let (scope, end) = (slice.scope, slice.end.seq);
        let delivery = Delivery::Slice(Arc::new(Parcel::new(slice)));
        let mut inner = self.lock();
        if inner.followers.contains_key(&scope) {
            let held = inner.ends.entry(scope).or_default();
            *held = end.max(*held);
        }
        inner.send(scope, &delivery);
    }

    /// The end of a scope's log as far as it was published here; `None` when nothing was since someone follows it.
    #[must_use]
    pub fn end(&self, scope: ScopeId) -> Option<u64> {
        self.lock().ends.get(&scope).copied()
    }

    /// All scopes that are followed, with [`Self::end`].
    #[must_use]
    pub fn ends(&self) -> HashMap<ScopeId, Option<u64>> {
        let inner = self.lock();
        let followed = inner.followers.keys();
        followed
            .map(|scope| (*scope, inner.ends.get(scope).copied()))
            .collect()
    }

    /// How many places are taken.
    #[must_use]
    pub fn followers(&self, scope: ScopeId) -> usize {
        self.lock().followers.get(&scope).map_or(0, Vec::len)
    }

    /// Notes which record a user has open in a scope, and tells the others when that changed.
    pub fn set_open(&self, scope: ScopeId, user: UserId, open: Option<(RecordId, String)>) {
        let record = open.as_ref().map(|(record, _)| *record);
        if self.set_open_at(HERE, scope, user, open) {
            self.bus.opened(scope, user, record);
        }
    }

    /// As [`Self::set_open`], at another node. Whether it changed anything.
    pub fn set_open_at(
        &self,
        node: Uuid,
        scope: ScopeId,
        user: UserId,
        open: Option<(RecordId, String)>,
    ) -> bool {
        let mut inner = self.lock();
        let users = inner.open.entry(scope).or_default();
        let changed = match open {
            Some(open) => users
                .insert((node, user), open.clone())
                .is_none_or(|before| before != open),
            None => users.remove(&(node, user)).is_some(),
        };
        if users.is_empty() {
            inner.open.remove(&scope);
        }
        if changed {
            inner.send(scope, &Delivery::Presence(scope));
        }
        changed
    }

    /// Forgets what was open at a node that is gone.
    pub fn forget_node(&self, node: Uuid) {
        let mut inner = self.lock();
        let mut changed = Vec::new();
        inner.open.retain(|scope, users| {
            let before = users.len();
            users.retain(|(at, _), _| *at != node);
            if users.len() < before {
                changed.push(*scope);
            }
            !users.is_empty()
        });
        for scope in changed {
            inner.send(scope, &Delivery::Presence(scope));
        }
    }

    /// All that is open at this node.
    #[must_use]
    pub fn open_here(&self) -> Vec<(ScopeId, UserId, RecordId)> {
        let inner = self.lock();
        let all = inner.open.iter().flat_map(|(scope, users)| {
            let here = users.iter().filter(|((node, _), _)| *node == HERE);
            here.map(|((_, user), (record, _))| (*scope, *user, *record))
        });
        all.collect()
    }

    /// Who has which record open in a scope.
    #[must_use]
    pub fn open_in(&self, scope: ScopeId) -> Vec<(UserId, RecordId, String)> {
        let inner = self.lock();
        let users = inner.open.get(&scope).into_iter().flatten();
        users
            .map(|((_, user), (record, name))| (*user, *record, name.clone()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Takes the one place of a device: the connection that had it hears that it was replaced. Where that one came later,
    /// and was faster, this one is the older and hears it.
    pub fn claim(&mut self, device: DeviceId) {
        let mut inner = self.hub.lock();
        let newer = |holder: &&Follower| holder.id > self.id;
        if inner.devices.get(&device).filter(newer).is_some() {
            self.inbox.replace();
            return;
        }
        self.device = Some(device);
        let holder = Follower {
            id: self.id,
            to: self.inbox.clone(),
        };
        if let Some(before) = inner.devices.insert(device, holder) {
            before.to.replace();
        }
    }

    /// Whether a newer connection has this one's place.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.inbox.is_replaced()
    }

    /// Waits until a newer connection takes this one's place. Giving up waiting loses nothing.
    pub async fn replaced(&self) {
        while !self.is_replaced() {
            self.inbox.came.notified().await;
        }
    }

    /// Follows a scope from now on.
    pub fn follow(&mut self, scope: ScopeId) {
        if self.scopes.contains(&scope) {
            return;
        }
        self.scopes.push(scope);
        let follower = Follower {
            id: self.id,
            to: self.inbox.clone(),
        };
        self.hub
            .lock()
            .followers
            .entry(scope)
            .or_default()
            .push(follower);
    }

    /// Follows a scope no longer.
    pub fn unfollow(&mut self, scope: ScopeId) {
        self.scopes.retain(|held| *held != scope);
        self.hub.lock().leave(scope, self.id);
    }

    /// The next that comes. Giving up waiting loses nothing.
    pub async fn next(&self) -> Delivery {
        loop {
            if self.inbox.is_replaced() {
                return Delivery::Replaced;
            }
            if let Some(delivery) = self.inbox.take() {
                return delivery;
            }
            self.inbox.came.notified().await;
        }
    }

    /// Whether something was lost because too much waited; asking clears it.
    #[must_use]
    pub fn fell_behind(&self) -> bool {
        self.inbox.behind.swap(false, Ordering::AcqRel)
    }
}

impl Inner {
    fn send(&self, scope: ScopeId, delivery: &Delivery) {
        for follower in self.followers.get(&scope).into_iter().flatten() {
            follower.to.put(delivery);
        }
    }

    fn leave(&mut self, scope: ScopeId, id: u64) {
        if let Some(followers) = self.followers.get_mut(&scope) {
            followers.retain(|follower| follower.id != id);
            if followers.is_empty() {
                self.followers.remove(&scope);
                self.ends.remove(&scope);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        for scope in &self.scopes {
            inner.leave(*scope, self.id);
        }
        if let Some(device) = self.device
            && inner
                .devices
                .get(&device)
                .is_some_and(|holder| holder.id == self.id)
        {
            inner.devices.remove(&device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_connection_of_a_device_gives_way_whichever_signs_in_first() {
        let device = DeviceId::from_bytes([7; 16]);
        for older_first in [true, false] {
            let hub = Hub::default();
            let (mut older, mut newer) = (hub.seat(), hub.seat());
            for claims_older in [older_first, !older_first] {
                let seat = if claims_older { &mut older } else { &mut newer };
                seat.claim(device);
            }
            assert!(older.inbox.is_replaced() && !newer.inbox.is_replaced());
            drop(older);
            let mut newest = hub.seat();
            newest.claim(device);
            assert!(newer.inbox.is_replaced(), "it still has the place");
        }
    }
}
