//! What every `DeviceStore` must do, as tests that a store's own tests call with a way to make an empty store.
//! Knows no store: whatever passes is fit for a device.

#![expect(
    clippy::unwrap_used,
    reason = "compiled for tests alone; a failure must panic"
)]

mod lists;
mod outbox;
mod records;
mod scopes;

use crate::crdt::Registers;
use crate::envelope::{ChangeItem, EventItem, Item};
use crate::ids::{Actor, AreaCode, ChangeHash, EventId, RecordId, ScopeId, UserId};
use crate::projection::{Projection, project};
use crate::protocol::frames::EventEntry;
use crate::store::{DeviceStore, RecordWrite, StoredChange, StoredRecord, WriteBatch};
use crate::time::Timestamp;
use crate::value::{Fields, Value};

/// Runs the whole contract; `make` gives an empty store each time.
///
/// # Panics
/// Where the store does otherwise.
pub fn all<S: DeviceStore>(make: impl Fn() -> S) {
    records::all(&make);
    scopes::all(&make);
    outbox::all(&make);
    lists::all(&make);
}

/// The area and the scope of everything here that needs one.
fn area() -> AreaCode {
    "310101002001".parse().unwrap()
}

fn scope() -> ScopeId {
    ScopeId::Area(area())
}

fn other_scope() -> ScopeId {
    ScopeId::Area("310101002002".parse().unwrap())
}

/// Ids ascend with `n`, as those of real records do with time.
fn record_id(n: u8) -> RecordId {
    let mut bytes = [0; 16];
    bytes[5] = n;
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    RecordId::from_bytes(bytes)
}

fn event_id(n: u8) -> EventId {
    EventId(record_id(n).0)
}

fn fields(values: &[(&str, &str)]) -> Fields {
    let pairs = values.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect()
}

/// A record made by one change, unconfirmed, in `scope()`.
fn new_record(n: u8, values: &[(&str, &str)]) -> RecordWrite {
    let record = StoredRecord {
        id: record_id(n),
        record_type: "resident".to_owned(),
        area: area(),
        epoch: 0,
        registers: Registers::default(),
        confirmed: Vec::new(),
    };
    RecordWrite {
        join: vec![scope()],
        ..edited(record, values)
    }
}

/// A further change of a record.
fn edited(mut record: StoredRecord, values: &[(&str, &str)]) -> RecordWrite {
    let actor = Actor([record.id.as_bytes()[5]; 16]);
    let (change, bytes, hash) = record.registers.change(actor, 1, &fields(values));
    record.registers.apply(&change, hash).unwrap();
    let projection = project("resident", &record.registers);
    RecordWrite {
        projection: Projection {
            // Found by exactly its own words, however search makes tokens of real fields.
            tokens: values.iter().flat_map(|(_, value)| words(value)).collect(),
            ..projection
        },
        add: vec![StoredChange {
            hash,
            bytes,
            confirmed: false,
        }],
        ..RecordWrite::of(record, false)
    }
}

/// The tokens that any of these words look for.
fn words(text: &str) -> Vec<String> {
    crate::search::query(text)
        .terms
        .into_iter()
        .flatten()
        .collect()
}

fn hash_of(write: &RecordWrite) -> ChangeHash {
    write.add[0].hash
}

fn change_item(write: &RecordWrite) -> Item {
    Item::Change(ChangeItem {
        record: write.record.id,
        record_type: write.record.record_type.clone(),
        epoch: 0,
        bytes: write.add[0].bytes.clone(),
    })
}

/// A visit that names a record.
fn visit(n: u8, about: RecordId, area: AreaCode) -> EventEntry {
    EventEntry {
        id: event_id(n),
        event_type: "visit".to_owned(),
        area,
        user: UserId::from_bytes([3; 16]),
        fields: fields(&[("house", &about.to_string()), ("purpose", "01")]),
    }
}

fn event_item(event: &EventEntry) -> Item {
    Item::Event(EventItem {
        id: event.id,
        event_type: event.event_type.clone(),
        area: event.area,
        fields: event.fields.clone(),
    })
}

/// Queues one item a timestamp.
fn queue<S: DeviceStore>(store: &mut S, times: &[i64]) {
    let event = event_item(&visit(1, record_id(1), area()));
    let queue = times.iter().map(|at| (event.clone(), None, Timestamp(*at)));
    store
        .commit(WriteBatch {
            queue: queue.collect(),
            ..WriteBatch::default()
        })
        .unwrap();
}

fn write<S: DeviceStore>(store: &mut S, records: Vec<RecordWrite>) {
    store
        .commit(WriteBatch {
            records,
            ..WriteBatch::default()
        })
        .unwrap();
}
