//! What the fake server knows: one area's log, its records' heads, its devices.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::crdt::chunk;
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::crypto::sm3;
use doorstep_core::envelope::{Item, SignedEnvelope};
use doorstep_core::ids::{ChangeHash, DeviceId, RecordId, ScopeId};
use doorstep_core::protocol::digest::{ScopeDigest, heads_after};
use doorstep_core::protocol::frames::{
    Batch, BundleOffer, Cursor, Down, Entry, EventEntry, Heads, Outcome, Purged, PutEntry, Refusal,
    StateEntry, Unsent, WholeEntry,
};
use doorstep_core::sync::server::{Allowed, ServerSession};

use super::area;

/// Entries in one batch: few, so that there are many frames to lose.
const BATCH: usize = 3;

struct Logged {
    entry: Entry,
    origin: Option<DeviceId>,
    hash: Option<ChangeHash>,
    digest: ScopeDigest,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) devices: BTreeMap<DeviceId, PublicKey>,
    pub(crate) bundles: BTreeMap<String, Vec<u8>>,
    pub(crate) offer: Option<BundleOffer>,
    pub(crate) unsent: Vec<Unsent>,
    pub(crate) purged: Vec<Purged>,
    pub(crate) presence: Vec<Option<RecordId>>,
    /// The area is no longer one that anybody may hold.
    pub(crate) withdrawn: bool,
    /// The records of which every change is refused, and with which code.
    pub(crate) refuse: BTreeMap<RecordId, &'static str>,
    /// Items accepted more than once: must stay empty.
    pub(crate) doubled: Vec<ChangeHash>,
    log: Vec<Logged>,
    heads: BTreeMap<RecordId, Vec<ChangeHash>>,
    digest: ScopeDigest,
    known: BTreeSet<ChangeHash>,
    envelopes: BTreeMap<DeviceId, u64>,
}

impl World {
    fn end(&self) -> Cursor {
        Cursor {
            seq: self.log.len() as u64,
            digest: self.digest,
        }
    }

    pub(crate) fn changes(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn digest(&self) -> ScopeDigest {
        self.digest
    }

    pub(crate) fn next_envelope(&self, device: DeviceId) -> u64 {
        self.envelopes.get(&device).copied().unwrap_or(0) + 1
    }

    pub(crate) fn allowed(&self) -> Vec<Allowed> {
        if self.withdrawn {
            return Vec::new();
        }
        vec![Allowed {
            scope: ScopeId::Area(area()),
            end: self.end(),
            bundle: self.offer.clone(),
        }]
    }

    pub(crate) fn accept(
        &mut self,
        device: DeviceId,
        signed: &SignedEnvelope,
    ) -> (u64, Vec<Outcome>) {
        let key = self.devices[&device].clone();
        let envelope = signed.open(device, &key).unwrap();
        let last = self.envelopes.entry(device).or_default();
        assert!(envelope.seq <= *last + 1, "an envelope was skipped");
        *last = envelope.seq.max(*last);
        let outcomes = envelope
            .items
            .into_iter()
            .map(|item| self.take(device, envelope.user, item))
            .collect();
        (envelope.seq, outcomes)
    }

    fn take(&mut self, device: DeviceId, user: doorstep_core::ids::UserId, item: Item) -> Outcome {
        let item = match item {
            Item::Change(item) => item,
            Item::Event(event) => {
                self.push(
                    Entry::Event(EventEntry {
                        id: event.id,
                        event_type: event.event_type,
                        area: event.area,
                        user,
                        fields: event.fields,
                    }),
                    None,
                    None,
                );
                return Outcome::Accepted;
            }
        };
        if let Some(code) = self.refuse.get(&item.record) {
            return Outcome::Refused(Refusal::new(code, "不收"));
        }
        let (change, hash) = chunk::decode(&item.bytes).unwrap();
        if self.known.contains(&hash) {
            return Outcome::Duplicate;
        }
        if !change.deps.iter().all(|dep| self.known.contains(dep)) {
            return Outcome::Waiting;
        }
        if !self.known.insert(hash) {
            self.doubled.push(hash);
        }
        let heads = self.heads.entry(item.record).or_default();
        if !heads.is_empty() {
            self.digest = self
                .digest
                .minus(ScopeDigest::of_record(item.record, heads));
        }
        *heads = heads_after(heads, &change.deps, hash);
        self.digest = self.digest.plus(ScopeDigest::of_record(item.record, heads));
        let put = Entry::Put(PutEntry {
            record: item.record,
            record_type: item.record_type,
            epoch: item.epoch,
            bytes: item.bytes,
        });
        self.push(put, Some(device), Some(hash));
        Outcome::Accepted
    }

    fn push(&mut self, entry: Entry, origin: Option<DeviceId>, hash: Option<ChangeHash>) {
        let digest = self.digest;
        self.log.push(Logged {
            entry,
            origin,
            hash,
            digest,
        });
    }

    pub(crate) fn put_state(&mut self, key: &str, json: &str) {
        let state = StateEntry {
            key: key.to_owned(),
            json: json.to_owned(),
        };
        self.push(Entry::State(state), None, None);
    }

    /// A record leaves the area, or is erased.
    pub(crate) fn take_away(&mut self, record: RecordId, erased: bool) {
        let heads = self.heads.remove(&record).unwrap();
        self.digest = self.digest.minus(ScopeDigest::of_record(record, &heads));
        let entry = if erased { Entry::Erase } else { Entry::Leave };
        self.push(entry(record), None, None);
    }

    /// What this connection has not been sent yet, with a checkpoint at the end.
    pub(crate) fn batches(&self, session: &mut ServerSession, device: DeviceId) -> Vec<Down> {
        let scope = ScopeId::Area(area());
        let mut frames = Vec::new();
        while let Some(from) = session.next_after(scope)
            && (from as usize) < self.log.len()
        {
            let to = (from as usize + BATCH).min(self.log.len());
            let entries: Vec<Entry> = self.log[from as usize..to]
                .iter()
                .map(|logged| match (&logged.entry, logged.hash) {
                    (Entry::Put(put), Some(hash)) if logged.origin == Some(device) => {
                        Entry::Own(put.record, hash)
                    }
                    (entry, _) => entry.clone(),
                })
                .collect();
            let to = to as u64;
            frames.push(Down::Batch(Batch::pack(scope, from, to, &entries).unwrap()));
            session.sent(scope, to);
            if to == self.log.len() as u64 {
                frames.push(Down::Checkpoint(scope, self.end()));
            }
        }
        frames
    }

    /// Sends whole whatever differs.
    pub(crate) fn repair(&self, heads: &Heads) -> Option<Down> {
        let held: BTreeMap<_, _> = heads.records.iter().copied().collect();
        let differs = |record: &RecordId| {
            held.get(record) != Some(&ScopeDigest::of_record(*record, &self.heads[record]))
        };
        let entries: Vec<Entry> = self
            .whole()
            .into_iter()
            .filter(|whole| differs(&whole.record))
            .map(Entry::Whole)
            .collect();
        let batch = Batch::pack(heads.scope, heads.seq, heads.seq, &entries).unwrap();
        Some(Down::Batch(batch))
    }

    fn whole(&self) -> Vec<WholeEntry> {
        let mut records: BTreeMap<RecordId, WholeEntry> = BTreeMap::new();
        for logged in &self.log {
            if let Entry::Put(put) = &logged.entry
                && self.heads.contains_key(&put.record)
            {
                let whole = records.entry(put.record).or_insert_with(|| WholeEntry {
                    record: put.record,
                    record_type: put.record_type.clone(),
                    epoch: put.epoch,
                    changes: Vec::new(),
                });
                whole.changes.push(put.bytes.clone().into());
            }
        }
        records.into_values().collect()
    }

    /// Makes a bundle of everything, in batches of `per_batch` records, and offers it.
    pub(crate) fn make_bundle(&mut self, per_batch: usize) {
        let mut file = Vec::new();
        for records in self.whole().chunks(per_batch) {
            let entries: Vec<Entry> = records.iter().cloned().map(Entry::Whole).collect();
            let frame =
                Down::Batch(Batch::pack(ScopeId::Area(area()), 0, 0, &entries).unwrap()).encode();
            file.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
            file.extend(frame);
        }
        let digest = sm3::digest(&[&file]);
        self.offer = Some(BundleOffer {
            digest: digest.to_vec(),
            bytes: file.len() as u64,
            records: self.heads.len() as u64,
            cursor: self.end(),
        });
        self.bundles.insert(
            digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            file,
        );
    }
}
