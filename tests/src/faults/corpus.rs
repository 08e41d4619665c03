//! Sound bytes of every kind that travels, to be mutated: a record's changes with what is concurrent among them, frames
//! in both directions, entries, registers, documents. Knows no mutation.

use doorstep_core::accept::Hold;
use doorstep_core::crdt::{FlatChange, Registers};
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{ChangeItem, Envelope, Item, VERSION};
use doorstep_core::ids::{AreaCode, ChangeHash, DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{
    Batch, Bye, Cursor, Down, Entry, EventEntry, Heads, Hello, Outcome, Purged, Pushed, PutEntry,
    ScopeState, StateEntry, Unsent, Up, Welcome, WholeEntry,
};
use doorstep_core::sync::Identity;
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use serde_bytes::ByteBuf;

use crate::sim::oracle::Document;

/// A change: its chunk, what it says, its hash.
pub(super) type Sample = (Vec<u8>, FlatChange, ChangeHash);

/// Sound bytes of each kind.
pub(super) struct Corpus {
    pub(super) key: KeyPair,
    pub(super) device: DeviceId,
    pub(super) area: AreaCode,
    pub(super) record: RecordId,
    /// A record's changes, the later ones concurrent, each after those it builds on.
    pub(super) changes: Vec<Sample>,
    /// The same record as Automerge saves it after each of its changes, and once with columns long enough to be packed.
    pub(super) documents: Vec<Vec<u8>>,
    pub(super) frames_up: Vec<Vec<u8>>,
    pub(super) frames_down: Vec<Vec<u8>>,
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) registers: Vec<u8>,
}

fn texts(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect()
}

impl Corpus {
    pub(super) fn new() -> anyhow::Result<Self> {
        Self::of(&Identity {
            device: DeviceId::from_bytes([4; 16]),
            user: UserId::from_bytes([5; 16]),
            key: KeyPair::from_secret(&[7; 32])?,
        })
    }

    /// Made by this device: what it did not sign is not even opened.
    pub(super) fn of(who: &Identity) -> anyhow::Result<Self> {
        let (device, user, key) = (who.device, who.user, who.key.clone());
        let record = RecordId::from_bytes([3; 16]);
        let area: AreaCode = "310101002001".parse()?;
        let (changes, registers) = history(&key, record)?;
        let bytes: Vec<Vec<u8>> = changes.iter().map(|(bytes, ..)| bytes.clone()).collect();
        let item = |bytes: &Vec<u8>| item(record, bytes.clone());
        let event = EventEntry {
            id: EventId::from_bytes([9; 16]),
            event_type: "visit".to_owned(),
            area,
            user,
            fields: texts(&[("mode", "01"), ("result", "01")]),
        };
        let envelope = Envelope {
            version: VERSION,
            device,
            user,
            seq: 1,
            time: Timestamp(1_790_000_000_000),
            items: bytes.iter().map(item).collect(),
        };
        let entries = vec![
            Entry::Put(PutEntry {
                record,
                record_type: "resident".to_owned(),
                epoch: 0,
                bytes: bytes[0].clone(),
            }),
            Entry::Whole(WholeEntry {
                record,
                record_type: "resident".to_owned(),
                epoch: 0,
                changes: bytes.iter().cloned().map(ByteBuf::from).collect(),
            }),
            Entry::Own(record, changes[0].2),
            Entry::State(StateEntry {
                key: "rights".to_owned(),
                json: r#"{"grants":[]}"#.to_owned(),
            }),
            Entry::Event(event),
            Entry::Leave(record),
            Entry::Erase(record),
        ];
        let scope = ScopeId::Area(area);
        let cursor = Cursor {
            seq: 70_000,
            digest: ScopeDigest([9; 16]),
        };
        let up = [
            Up::Hello(Hello {
                version: 1,
                token: vec![b'a'; 43],
                device,
                scopes: vec![(scope, cursor), (ScopeId::Common, cursor)],
            }),
            Up::Push(envelope.seal(&key)),
            Up::Purged(Purged {
                scope,
                records: vec![record; 3],
            }),
            Up::Heads(Heads {
                scope,
                seq: 70_000,
                records: vec![(record, ScopeDigest([1; 16])); 4],
            }),
            Up::Presence(Some(record)),
            Up::Unsent(Unsent {
                items: 5,
                blobs: 1,
                oldest: Some(Timestamp(1_790_000_000_000)),
            }),
            Up::Stored(scope, 70_000),
        ];
        let down = [
            Down::Welcome(Welcome {
                time: Timestamp(1_790_000_000_000),
                next_envelope: 3,
                scopes: vec![ScopeState {
                    scope,
                    end: cursor,
                    bundle: None,
                }],
                dropped: vec![ScopeId::User(user)],
            }),
            Down::Batch(Batch::pack(scope, 1, 8, &entries)?),
            Down::Checkpoint(scope, cursor),
            Down::Pushed(Pushed {
                seq: 1,
                outcomes: vec![Outcome::Accepted, Outcome::Waiting, Outcome::Duplicate],
                refused: None,
            }),
            Down::Bye(Bye {
                code: "too_slow".to_owned(),
                message: "请稍候".to_owned(),
                retry_after_ms: Some(5),
            }),
        ];
        Ok(Self {
            key: key.clone(),
            device,
            area,
            record,
            frames_up: up.iter().map(Up::encode).collect(),
            frames_down: down.iter().map(Down::encode).collect(),
            entries: entries
                .iter()
                .map(|entry| codec::to_bytes(&vec![entry]))
                .collect(),
            registers: codec::to_bytes(&registers),
            documents: documents(&changes, registers, &key)?,
            changes,
        })
    }

    /// Where the record stands before its last change, so that mutations of it have something to build on.
    pub(super) fn hold(&self) -> anyhow::Result<Hold> {
        let mut registers = Registers::default();
        for (_, change, hash) in &self.changes[..self.changes.len() - 1] {
            registers.apply(change, *hash)?;
        }
        Ok(Hold {
            id: self.record,
            record_type: "resident".to_owned(),
            epoch: 0,
            areas: vec![self.area],
            registers,
        })
    }
}

/// A resident's change as it is sent.
pub(super) fn item(record: RecordId, bytes: Vec<u8>) -> Item {
    Item::Change(ChangeItem {
        record,
        record_type: "resident".to_owned(),
        epoch: 0,
        bytes,
    })
}

/// What Automerge saves of a record after each of its changes.
pub(super) fn saved(changes: &[Sample]) -> anyhow::Result<Vec<Vec<u8>>> {
    (1..=changes.len())
        .map(|upto| {
            let chunks = changes[..upto].iter().map(|(bytes, ..)| bytes.as_slice());
            Ok(Document::from_changes(chunks)?.save())
        })
        .collect()
}

fn documents(
    changes: &[Sample],
    registers: Registers,
    key: &KeyPair,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let record = RecordId::from_bytes([3; 16]);
    let text: String = (0..300).map(|number| format!("第{number}户，")).collect();
    let actor = actor::derive(&key.public(), record, 0);
    let (change, bytes, hash) =
        registers.change(actor, 1_790_000_180_000, &texts(&[("remark", &text)]));
    let mut long = changes.to_vec();
    long.push((bytes, change, hash));
    let mut all = saved(&long)?;
    all.rotate_right(1);
    Ok(all)
}

/// A resident's changes by one device, two of them concurrent with another's.
pub(super) fn history(key: &KeyPair, record: RecordId) -> anyhow::Result<(Vec<Sample>, Registers)> {
    let mine = actor::derive(&key.public(), record, 0);
    let other = actor::derive(&KeyPair::from_secret(&[8; 32])?.public(), record, 0);
    let mut registers = Registers::default();
    let mut changes = Vec::new();
    let mut beginning = texts(&[
        ("_type", "resident"),
        ("_area", "310101002001"),
        ("name", "叶海思"),
        ("sex", "1"),
        ("population_kind", "01"),
        ("remark", "二楼东侧，常住"),
    ]);
    beginning.insert("_v".to_owned(), Value::Int(1));
    let mut make = |registers: &mut Registers, actor, time, fields: &Fields| {
        let (change, bytes, hash) = registers.change(actor, time, fields);
        registers.apply(&change, hash)?;
        changes.push((bytes, change, hash));
        anyhow::Ok(())
    };
    make(&mut registers, mine, 1_790_000_000_000, &beginning)?;
    let mut tagged = texts(&[("remark", "已核对")]);
    tagged.insert("tags/elderly".to_owned(), Value::Bool(true));
    make(&mut registers, mine, 1_790_000_060_000, &tagged)?;
    let before = registers.clone();
    make(
        &mut registers,
        mine,
        1_790_000_120_000,
        &texts(&[("name", "叶海诗")]),
    )?;
    let (change, bytes, hash) =
        before.change(other, 5, &texts(&[("name", "叶海斯"), ("remark", "三楼")]));
    registers.apply(&change, hash)?;
    changes.push((bytes, change, hash));
    // Builds on both sides, and replaces values of both.
    let (change, bytes, hash) =
        registers.change(mine, -1, &texts(&[("name", "叶海思"), ("remark", "")]));
    changes.push((bytes, change.clone(), hash));
    let mut all = registers;
    all.apply(&change, hash)?;
    Ok((changes, all))
}
