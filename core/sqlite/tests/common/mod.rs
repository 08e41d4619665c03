//! A store with a little of everything in it, for the tests of its files.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, DeviceId, EventId, RecordId, UserId};
use doorstep_core::protocol::frames::{Cursor, Refusal, StateEntry};
use doorstep_core::store::{DeviceStore, ListQuery, WriteBatch};
use doorstep_core::sync::{Action, DeviceSession, Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use doorstep_sqlite::SqliteStore;

/// The key of every store here.
pub(crate) const KEY: [u8; 32] = [0x5a; 32];
/// Invented: nobody's name, passport, phone or home.
pub(crate) const NAME: &str = "欧阳测试";
pub(crate) const ID_NUMBER: &str = "E11019001010010";
pub(crate) const PHONE: &str = "13900001234";
pub(crate) const PLACE: &str = "虚构路77弄8号909室";

pub(crate) fn who(n: u8) -> Identity {
    Identity {
        device: DeviceId::from_bytes([n; 16]),
        user: UserId::from_bytes([n; 16]),
        key: KeyPair::from_secret(&[n; 32]).unwrap(),
    }
}

pub(crate) fn record_id(n: u8) -> RecordId {
    RecordId::from_bytes([n; 16])
}

pub(crate) fn area() -> AreaCode {
    "310101002001".parse().unwrap()
}

pub(crate) fn open(dir: &Path, n: u8) -> SqliteStore {
    SqliteStore::open(dir, KEY, who(n).user).unwrap()
}

pub(crate) fn texts(pairs: &[(&str, &str)]) -> Fields {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect()
}

/// Two residents (one edited), a house, a visit, an envelope under way, a refusal, a state, a cursor.
pub(crate) fn fill(store: &mut SqliteStore, who: &Identity) {
    make_records(store, who);
    seal(store, who);
    make_the_rest(store, who);
}

/// The same with no envelope yet.
pub(crate) fn fill_unsent(store: &mut SqliteStore, who: &Identity) {
    make_records(store, who);
    make_the_rest(store, who);
}

fn make_records(store: &mut SqliteStore, who: &Identity) {
    let resident = texts(&[
        ("name", NAME),
        ("certificate_kind", "414"),
        ("id_number", ID_NUMBER),
        ("sex", "1"),
        ("population_kind", "01"),
    ]);
    for n in [1, 2] {
        let fields = resident.clone();
        edit::create(
            store,
            who,
            record_id(n),
            "resident",
            area(),
            fields,
            Timestamp(1),
        )
        .unwrap();
    }
    let more = texts(&[("phone", PHONE), ("register_address", PLACE)]);
    edit::update(store, who, record_id(1), &more, Timestamp(2)).unwrap();
    let house = texts(&[("address", PLACE), ("house_use", "1")]);
    edit::create(
        store,
        who,
        record_id(3),
        "house",
        area(),
        house,
        Timestamp(3),
    )
    .unwrap();
}

fn make_the_rest(store: &mut SqliteStore, who: &Identity) {
    let mut visit = texts(&[
        ("resident", &record_id(1).to_string()),
        ("house", &record_id(3).to_string()),
        ("mode", "01"),
        ("purpose", &code("visit_purpose")),
        ("result", &code("visit_result")),
        ("note", NAME),
    ]);
    visit.insert("at".to_owned(), Value::Int(1_700_000_000_000));
    let id = EventId::from_bytes([4; 16]);
    edit::record_event(store, who, id, "visit", area(), visit, Timestamp(4)).unwrap();
    let item = store.outbox().unwrap().remove(0).item;
    store
        .commit(WriteBatch {
            states: vec![(
                doorstep_core::ids::ScopeId::Common,
                StateEntry {
                    key: "message/1".to_owned(),
                    json: format!("{{\"text\":\"{NAME} {PHONE}\"}}"),
                },
            )],
            cursors: vec![(
                doorstep_core::ids::ScopeId::Common,
                Cursor {
                    seq: 7,
                    ..Cursor::default()
                },
            )],
            refused: vec![(
                item,
                Refusal {
                    code: "out_of_scope".to_owned(),
                    field: None,
                    message: "已转给主管处理。".to_owned(),
                },
                Timestamp(9),
            )],
            ..WriteBatch::default()
        })
        .unwrap();
}

fn code(table: &str) -> String {
    doorstep_core::codes::table(table).unwrap().entries[0]
        .code
        .to_string()
}

/// Seals what is queued into an envelope.
pub(crate) fn seal(store: &mut SqliteStore, who: &Identity) -> Vec<Action> {
    let mut session = DeviceSession::new(who.clone(), vec![0; 32]);
    let welcome = doorstep_core::protocol::frames::Welcome {
        time: Timestamp(0),
        next_envelope: 1,
        scopes: vec![],
        dropped: vec![],
    };
    let frame = doorstep_core::protocol::frames::Down::Welcome(welcome);
    let actions = session.receive(store, frame, Timestamp(0)).unwrap();
    session.push(store, Timestamp(0)).unwrap().unwrap();
    actions
}

/// Everything that can be read from a store, as text, so that two can be compared.
pub(crate) fn contents(store: &SqliteStore) -> String {
    let everything = ListQuery {
        cancelled: true,
        limit: 10_000,
        ..ListQuery::default()
    };
    let listed = store.list(&everything).unwrap();
    let mut text = format!("{listed:#?}");
    for listed in &listed {
        text += &format!(
            "{:#?}{:#?}{:#?}{:#?}",
            store.record(listed.id).unwrap(),
            store.changes(listed.id).unwrap(),
            store.scopes_of(listed.id).unwrap(),
            store.events_about(listed.id).unwrap(),
        );
    }
    text + &format!(
        "{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}",
        store.scopes().unwrap(),
        store.states("").unwrap(),
        store.outbox().unwrap(),
        store.envelopes().unwrap(),
        store.last_envelope().unwrap(),
        store.refused().unwrap(),
    )
}

/// Every file below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The register's or the outbox's file of user `n`.
pub(crate) fn file(dir: &Path, n: u8, name: &str) -> PathBuf {
    dir.join("users").join(who(n).user.to_string()).join(name)
}
