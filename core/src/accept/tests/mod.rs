//! What is refused, what waits, what is a conflict, and that neither depends on the order of arrival.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod any_order;
mod conflicts;
mod past;
mod refusals;

use std::collections::BTreeMap;

use super::{Author, Hold, Judged, judge};
use crate::crdt::{FlatChange, Registers, chunk};
use crate::crypto::actor;
use crate::crypto::sm2::KeyPair;
use crate::ids::{AreaCode, ChangeHash, RecordId};
use crate::rights::Role;
use crate::value::{Fields, Value};

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn village() -> AreaCode {
    area("310101002001")
}

fn record() -> RecordId {
    RecordId::from_bytes([9; 16])
}

fn puts(values: &[(&str, &str)]) -> Fields {
    let pairs = values.iter();
    pairs
        .map(|(key, value)| {
            let value = match *value {
                "" => Value::Null,
                text => Value::from(text),
            };
            ((*key).to_owned(), value)
        })
        .collect()
}

/// The puts that begin a resident, with further values.
fn beginning(values: &[(&str, &str)]) -> Fields {
    let mut fields = puts(&[
        ("_type", "resident"),
        ("_area", "310101002001"),
        ("name", "王小明"),
    ]);
    fields.extend(puts(values));
    fields
}

/// A device with its own copy of the record.
#[derive(Clone)]
struct Device {
    key: KeyPair,
    grants: Vec<(Role, AreaCode)>,
    held: Registers,
}

impl Device {
    /// A collector's in the village.
    fn collector(n: u8) -> Self {
        Self::of(n, Role::Collector)
    }

    fn of(n: u8, role: Role) -> Self {
        Self {
            key: KeyPair::from_secret(&[n; 32]).unwrap(),
            grants: vec![(role, village())],
            held: Registers::default(),
        }
    }

    /// Another device's with the same copy.
    fn beside(&self, n: u8) -> Self {
        Self {
            held: self.held.clone(),
            ..Self::collector(n)
        }
    }

    fn edit(&mut self, fields: &Fields) -> (FlatChange, ChangeHash) {
        let actor = actor::derive(&self.key.public(), record(), 0);
        let (change, _, hash) = self.held.change(actor, 1, fields);
        self.take(&change, hash);
        (change, hash)
    }

    fn set(&mut self, key: &str, value: &str) -> (FlatChange, ChangeHash) {
        self.edit(&puts(&[(key, value)]))
    }

    fn take(&mut self, change: &FlatChange, hash: ChangeHash) {
        self.held.apply(change, hash).unwrap();
    }
}

/// The server's side: the record and everything it took.
struct Server {
    hold: Hold,
    history: BTreeMap<ChangeHash, FlatChange>,
}

impl Server {
    fn new() -> Self {
        Self {
            hold: Hold {
                id: record(),
                record_type: String::new(),
                epoch: 0,
                areas: Vec::new(),
                registers: Registers::default(),
            },
            history: BTreeMap::new(),
        }
    }

    fn judge(&mut self, device: &Device, (change, hash): &(FlatChange, ChangeHash)) -> Judged {
        self.judge_as(device, "resident", 0, change, *hash)
    }

    fn judge_as(
        &mut self,
        device: &Device,
        record_type: &str,
        epoch: u32,
        change: &FlatChange,
        hash: ChangeHash,
    ) -> Judged {
        let author = Author {
            key: &device.key.public(),
            grants: &device.grants,
        };
        let before = self.hold.clone();
        let judged = judge(
            &mut self.hold,
            record_type,
            epoch,
            change,
            hash,
            &author,
            Some(&self.history),
        );
        if matches!(judged, Judged::Accepted(_)) {
            self.history.insert(hash, change.clone());
        } else {
            assert_eq!(before, self.hold, "only what is accepted leaves a trace");
        }
        judged
    }

    /// Takes a change that must bring no conflict.
    fn plain(&mut self, device: &Device, change: &(FlatChange, ChangeHash)) {
        let judged = self.judge(device, change);
        assert_eq!(judged, accepted());
    }

    fn refusal(&mut self, device: &Device, change: &(FlatChange, ChangeHash)) -> String {
        code(self.judge(device, change))
    }
}

fn accepted() -> Judged {
    Judged::Accepted(vec![])
}

fn code(judged: Judged) -> String {
    match judged {
        Judged::Refused(refusal) => {
            assert!(!refusal.message.is_empty());
            refusal.code
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// A server and a collector's device that both hold a new resident.
fn begun() -> (Server, Device) {
    let (mut server, mut device) = (Server::new(), Device::collector(1));
    let first = device.edit(&beginning(&[("phone", "13800000001")]));
    server.plain(&device, &first);
    (server, device)
}

/// The change with something altered, and the hash of that.
fn altered(
    (change, _): &(FlatChange, ChangeHash),
    alter: impl FnOnce(&mut FlatChange),
) -> (FlatChange, ChangeHash) {
    let mut change = change.clone();
    alter(&mut change);
    let (_, hash) = chunk::encode(&change);
    (change, hash)
}
