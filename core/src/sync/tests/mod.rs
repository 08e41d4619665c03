//! One device against frames made by hand: what it keeps, what it answers, what it puts right.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod answers;
mod any_order;
mod disorder;
mod double;
mod edits;
mod logs;
mod numbers;
mod restored;
mod sessions;
mod taken;

use serde_bytes::ByteBuf;

use super::{DeviceSession, Identity, edit};
use crate::crypto::sm2::KeyPair;
use crate::ids::{AreaCode, ChangeHash, DeviceId, RecordId, ScopeId, UserId};
use crate::protocol::digest::ScopeDigest;
use crate::protocol::frames::{
    Batch, Cursor, Down, Entry, PutEntry, ScopeState, Up, Welcome, WholeEntry,
};
use crate::store::memory::MemoryStore;
use crate::store::{DeviceStore, StoredRecord};
use crate::sync::Action;
use crate::time::Timestamp;
use crate::value::{Fields, Value};

fn area() -> AreaCode {
    "310101002001".parse().unwrap()
}

fn scope() -> ScopeId {
    ScopeId::Area(area())
}

fn other_scope() -> ScopeId {
    ScopeId::Area("310101002002".parse().unwrap())
}

fn record_id(n: u8) -> RecordId {
    RecordId::from_bytes([n; 16])
}

fn at(ms: i64) -> Timestamp {
    Timestamp(ms)
}

fn identity(n: u8) -> Identity {
    Identity {
        device: DeviceId::from_bytes([n; 16]),
        user: UserId::from_bytes([n; 16]),
        key: KeyPair::from_secret(&[n; 32]).unwrap(),
    }
}

fn values(pairs: &[(&str, &str)]) -> Fields {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect()
}

/// A resident with everything a new one must have.
fn resident(name: &str) -> Fields {
    values(&[("name", name), ("sex", "1"), ("population_kind", "01")])
}

/// A phone: who, its store and its connection.
struct Phone {
    who: Identity,
    store: MemoryStore,
    session: DeviceSession,
}

impl Phone {
    fn new(n: u8) -> Self {
        let who = identity(n);
        let session = DeviceSession::new(who.clone(), vec![n; 32]);
        Self {
            who,
            store: MemoryStore::default(),
            session,
        }
    }

    /// A phone whose connection is past its `Welcome` and holds a scope from its log's beginning.
    fn welcomed(n: u8) -> Self {
        let mut phone = Self::new(n);
        phone.welcome(vec![], vec![]);
        phone
    }

    fn welcome(&mut self, scopes: Vec<ScopeState>, dropped: Vec<ScopeId>) -> Vec<Action> {
        self.receive(Down::Welcome(Welcome {
            time: at(0),
            next_envelope: self.next_envelope(),
            scopes,
            dropped,
        }))
    }

    /// What a server says that has answered everything but what is under way.
    fn next_envelope(&self) -> u64 {
        let under_way = self.store.envelopes().unwrap();
        let last = self.store.last_envelope().unwrap();
        under_way.first().map_or(last + 1, |first| first.seq)
    }

    /// The connection breaks and comes back.
    fn reconnect(&mut self) {
        self.session = DeviceSession::new(self.who.clone(), vec![1; 32]);
        self.welcome(vec![], vec![]);
    }

    fn receive(&mut self, frame: Down) -> Vec<Action> {
        let actions = self.session.receive(&mut self.store, frame, at(1_000));
        self.check();
        actions.unwrap()
    }

    fn batch(&mut self, of: ScopeId, from: u64, to: u64, entries: &[Entry]) -> Vec<Action> {
        let batch = Batch::pack(of, from, to, entries).unwrap();
        self.receive(Down::Batch(batch))
    }

    /// Every cursor's digest is the sum over what the scope's members are confirmed to hold, and no record's confirmed
    /// heads name a change that the device has not.
    fn check(&self) {
        for (scope, cursor) in self.store.scopes().unwrap() {
            let mut sum = ScopeDigest::default();
            for (id, heads) in self.store.members(&scope).unwrap() {
                if !heads.is_empty() {
                    sum = sum.plus(ScopeDigest::of_record(id, &heads));
                }
                let known = self.store.changes(id).unwrap();
                for head in &heads {
                    let found = known.iter().find(|change| change.hash == *head);
                    assert!(found.is_some_and(|change| change.confirmed));
                }
            }
            assert_eq!(sum, cursor.digest, "digest of {scope}");
        }
    }

    fn create(&mut self, n: u8, name: &str) -> ChangeHash {
        let (store, who) = (&mut self.store, &self.who);
        let fields = resident(name);
        edit::create(store, who, record_id(n), "resident", area(), fields, at(1)).unwrap()
    }

    fn update(&mut self, n: u8, pairs: &[(&str, &str)]) -> Option<ChangeHash> {
        let fields = values(pairs);
        edit::update(&mut self.store, &self.who, record_id(n), &fields, at(2)).unwrap()
    }

    fn record(&self, n: u8) -> StoredRecord {
        self.store
            .record(record_id(n))
            .unwrap()
            .expect("the record")
    }

    fn value(&self, n: u8, key: &str) -> Option<String> {
        let record = self.record(n);
        let value = record.registers.get(key)?.as_text()?.to_owned();
        let listed = self.store.list(&everything()).unwrap();
        let shown = listed.iter().find(|listed| listed.id == record_id(n));
        let shown = shown.and_then(|shown| shown.fields.get(key)?.as_text().map(str::to_owned));
        assert_eq!(shown.as_deref(), Some(&*value), "lists show the same");
        Some(value)
    }

    /// The next envelope's frame, with the items in it.
    fn push(&mut self) -> Option<(u64, usize)> {
        match self.session.push(&mut self.store, at(3)).unwrap()? {
            Up::Push(signed) => {
                let key = self.who.key.public();
                let envelope = signed.open(self.who.device, &key).unwrap();
                Some((envelope.seq, envelope.items.len()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// A record's changes as log entries.
    fn puts(&self, n: u8) -> Vec<Entry> {
        let record = self.record(n);
        let changes = self.store.changes(record_id(n)).unwrap();
        let entry = |bytes| {
            Entry::Put(PutEntry {
                record: record_id(n),
                record_type: record.record_type.clone(),
                epoch: record.epoch,
                bytes,
            })
        };
        changes
            .into_iter()
            .map(|change| entry(change.bytes))
            .collect()
    }

    /// A record as one log entry.
    fn whole(&self, n: u8) -> Entry {
        let record = self.record(n);
        let changes = self.store.changes(record_id(n)).unwrap();
        Entry::Whole(WholeEntry {
            record: record_id(n),
            record_type: record.record_type,
            epoch: record.epoch,
            changes: changes
                .into_iter()
                .map(|change| ByteBuf::from(change.bytes))
                .collect(),
        })
    }

    fn cursor(&self, of: ScopeId) -> Cursor {
        let scopes = self.store.scopes().unwrap();
        let found = scopes.into_iter().find(|(scope, _)| *scope == of);
        found.map(|(_, cursor)| cursor).unwrap_or_default()
    }
}

fn everything() -> crate::store::ListQuery {
    crate::store::ListQuery {
        cancelled: true,
        limit: 1_000,
        ..Default::default()
    }
}

/// The frames to send among actions.
fn sends(actions: Vec<Action>) -> Vec<Up> {
    let frames = actions.into_iter().filter_map(|action| match action {
        Action::Send(frame) => Some(frame),
        _ => None,
    });
    frames.collect()
}
