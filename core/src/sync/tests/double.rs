//! A server in miniature: it judges, keeps one scope's log, answers a repeated envelope as before, and repairs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_bytes::ByteBuf;

use super::{Phone, area, scope};
use crate::accept::{Author, Hold, Judged, judge};
use crate::crdt::{FlatChange, Registers, chunk};
use crate::crypto::sm2::PublicKey;
use crate::envelope::{ChangeItem, Item, SignedEnvelope};
use crate::ids::{ChangeHash, DeviceId, RecordId};
use crate::protocol::digest::ScopeDigest;
use crate::protocol::frames::{
    Batch, Cursor, Down, Entry, Heads, Outcome, Pushed, PutEntry, Refusal, ScopeState, Up, Welcome,
    WholeEntry,
};
use crate::rights::Role;
use crate::time::Timestamp;

/// One record on the server.
pub(super) struct Kept {
    pub(super) hold: Hold,
    pub(super) history: BTreeMap<ChangeHash, FlatChange>,
    /// In the order in which they were taken.
    chunks: Vec<(DeviceId, ChangeHash, Vec<u8>)>,
    refused: BTreeSet<ChangeHash>,
}

#[derive(Default)]
pub(super) struct Server {
    pub(super) records: BTreeMap<RecordId, Kept>,
    log: Vec<(RecordId, usize)>,
    answered: BTreeMap<(DeviceId, u64), Pushed>,
}

/// A phone with its end of the line on the server.
pub(super) struct Line {
    pub(super) phone: Phone,
    /// What the server has sent and the phone has not read.
    pub(super) inbox: VecDeque<Down>,
    /// How far the log was sent.
    sent: u64,
    connected: bool,
}

impl Line {
    pub(super) fn new(n: u8) -> Self {
        Self {
            phone: Phone::new(n),
            inbox: VecDeque::new(),
            sent: 0,
            connected: false,
        }
    }

    /// What was under way in either direction is lost.
    pub(super) fn cut(&mut self) {
        self.inbox.clear();
        self.connected = false;
    }
}

impl Server {
    pub(super) fn connect(&mut self, line: &mut Line) {
        line.cut();
        line.phone.session = super::DeviceSession::new(line.phone.who.clone(), vec![0; 32]);
        let at = line.phone.cursor(scope());
        line.sent = at.seq;
        line.connected = true;
        line.inbox.push_back(Down::Welcome(Welcome {
            time: Timestamp(0),
            next_envelope: line.phone.next_envelope(),
            scopes: vec![ScopeState {
                scope: scope(),
                end: self.end(),
                bundle: None,
            }],
            dropped: vec![],
        }));
    }

    /// The phone sends an envelope, if it has one and the line is up.
    pub(super) fn push(&mut self, line: &mut Line, now: i64) {
        let phone = &mut line.phone;
        if line.connected
            && let Some(Up::Push(signed)) = phone
                .session
                .push(&mut phone.store, Timestamp(now))
                .unwrap()
        {
            let answer = self.accept(phone.who.device, &phone.who.key.public(), &signed);
            line.inbox.push_back(Down::Pushed(answer));
        }
    }

    /// The server sends on from where it stands, at most `most` entries, and the checkpoint when that is the end.
    pub(super) fn send(&mut self, line: &mut Line, most: usize) {
        if !line.connected {
            return;
        }
        let from = usize::try_from(line.sent).unwrap();
        let part = self.log[from..].iter().take(most);
        let entries: Vec<Entry> = part
            .map(|(record, at)| self.entry(*record, *at, line.phone.who.device))
            .collect();
        let to = line.sent + entries.len() as u64;
        if !entries.is_empty() {
            let batch = Batch::pack(scope(), line.sent, to, &entries).unwrap();
            line.inbox.push_back(Down::Batch(batch));
            line.sent = to;
        }
        if to == self.end().seq {
            line.inbox.push_back(Down::Checkpoint(scope(), self.end()));
        }
    }

    /// The phone reads one frame and says what it says.
    pub(super) fn deliver(&mut self, line: &mut Line) {
        let Some(frame) = line.inbox.pop_front() else {
            return;
        };
        let actions = line.phone.receive(frame);
        for frame in super::sends(actions) {
            if let Up::Heads(heads) = frame {
                self.repair(line, &heads);
            }
        }
    }

    /// The log's end.
    pub(super) fn end(&self) -> Cursor {
        let mut digest = ScopeDigest::default();
        for (id, kept) in &self.records {
            if !kept.chunks.is_empty() {
                digest = digest.plus(ScopeDigest::of_record(*id, kept.hold.registers.heads()));
            }
        }
        Cursor {
            seq: self.log.len() as u64,
            digest,
        }
    }

    fn entry(&self, record: RecordId, at: usize, to: DeviceId) -> Entry {
        let kept = &self.records[&record];
        let (device, hash, bytes) = &kept.chunks[at];
        if *device == to {
            return Entry::Own(record, *hash);
        }
        Entry::Put(PutEntry {
            record,
            record_type: kept.hold.record_type.clone(),
            epoch: 0,
            bytes: bytes.clone(),
        })
    }

    /// Sends whole what the phone's heads say it lacks. The log is then sent on from its end.
    fn repair(&mut self, line: &mut Line, heads: &Heads) {
        let theirs: BTreeMap<RecordId, ScopeDigest> = heads.records.iter().copied().collect();
        let mut entries = Vec::new();
        for (id, kept) in self
            .records
            .iter()
            .filter(|(_, kept)| !kept.chunks.is_empty())
        {
            let part = ScopeDigest::of_record(*id, kept.hold.registers.heads());
            if theirs.get(id) != Some(&part) {
                let chunks = kept.chunks.iter();
                entries.push(Entry::Whole(WholeEntry {
                    record: *id,
                    record_type: kept.hold.record_type.clone(),
                    epoch: 0,
                    changes: chunks
                        .map(|(_, _, bytes)| ByteBuf::from(bytes.clone()))
                        .collect(),
                }));
            }
        }
        // As of now: what the log still holds for the phone is in it already.
        let batch = Batch::pack(scope(), heads.seq, heads.seq, &entries).unwrap();
        line.inbox.push_back(Down::Batch(batch));
        self.send(line, 0);
    }

    fn accept(&mut self, device: DeviceId, key: &PublicKey, signed: &SignedEnvelope) -> Pushed {
        let envelope = signed.open(device, key).unwrap();
        if let Some(before) = self.answered.get(&(device, envelope.seq)) {
            return before.clone();
        }
        let items = envelope.items.into_iter();
        let outcomes = items.map(|item| match item {
            Item::Change(change) => self.take(device, key, change),
            Item::Event(_) => Outcome::Accepted,
        });
        let pushed = Pushed {
            seq: envelope.seq,
            outcomes: outcomes.collect(),
            refused: None,
        };
        self.answered.insert((device, envelope.seq), pushed.clone());
        pushed
    }

    fn take(&mut self, device: DeviceId, key: &PublicKey, item: ChangeItem) -> Outcome {
        let (change, hash) = chunk::decode(&item.bytes).unwrap();
        let kept = self.records.entry(item.record).or_insert_with(|| Kept {
            hold: Hold {
                id: item.record,
                record_type: String::new(),
                epoch: 0,
                areas: vec![],
                registers: Registers::default(),
            },
            history: BTreeMap::new(),
            chunks: vec![],
            refused: BTreeSet::new(),
        });
        let refused = |code: &str| {
            Outcome::Refused(Refusal {
                code: code.to_owned(),
                field: None,
                message: "已转给主管处理。".to_owned(),
            })
        };
        if change.deps.iter().any(|dep| kept.refused.contains(dep)) {
            kept.refused.insert(hash);
            return refused("builds_on_refused");
        }
        let author = Author {
            key,
            grants: &[(Role::Collector, area())],
        };
        let judged = judge(
            &mut kept.hold,
            &item.record_type,
            item.epoch,
            &change,
            hash,
            &author,
            Some(&kept.history),
        );
        match judged {
            Judged::Accepted(_) => {
                kept.history.insert(hash, change);
                self.log.push((item.record, kept.chunks.len()));
                kept.chunks.push((device, hash, item.bytes));
                Outcome::Accepted
            }
            Judged::Duplicate => Outcome::Duplicate,
            Judged::Waiting => Outcome::Waiting,
            Judged::Refused(refusal) => {
                kept.refused.insert(hash);
                Outcome::Refused(refusal)
            }
            other => panic!("{other:?}"),
        }
    }
}
