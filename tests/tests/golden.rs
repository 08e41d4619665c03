//! Golden documents: what core writes, kept as Automerge documents that Rust and JavaScript read with the same values.
//!
//! For each NAME.automerge stand NAME.json (the winning values by key) and, where keys hold several values,
//! NAME.conflicts.json. `DOORSTEP_WRITE_GOLDEN=1` writes the files of documents that are new; a file that is there
//! is never written again, for it stands for documents that are out in the field.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use doorstep_core::crdt::{FlatChange, Registers};
use doorstep_core::crypto::{actor, sm2::KeyPair};
use doorstep_core::ids::{Actor, ChangeHash, RecordId};
use doorstep_core::value::{Fields, Value};
use doorstep_tests::repository;
use doorstep_tests::sim::oracle::{self, Document};

/// A phone that holds one record.
#[derive(Clone)]
struct Phone {
    actor: Actor,
    registers: Registers,
    changes: Vec<(FlatChange, ChangeHash, Vec<u8>)>,
}

impl Phone {
    fn new(record: u8, phone: u8) -> Self {
        let key = KeyPair::from_secret(&[phone; 32]).unwrap();
        Self {
            actor: actor::derive(&key.public(), RecordId::from_bytes([record; 16]), 0),
            registers: Registers::default(),
            changes: Vec::new(),
        }
    }

    fn put(&mut self, fields: &[(&str, Value)]) {
        let fields: Fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let time = 1_795_000_000_000 + self.changes.len() as i64 * 60_000;
        let (change, bytes, hash) = self.registers.change(self.actor, time, &fields);
        self.take(change, hash, bytes);
    }

    fn take(&mut self, change: FlatChange, hash: ChangeHash, bytes: Vec<u8>) {
        self.registers.apply(&change, hash).unwrap();
        self.changes.push((change, hash, bytes));
    }

    /// Takes what the other has and this one has not.
    fn merge(&mut self, other: &Self) {
        for (change, hash, bytes) in &other.changes {
            if self.changes.iter().all(|(_, known, _)| known != hash) {
                self.take(change.clone(), *hash, bytes.clone());
            }
        }
    }

    /// The same record on another phone.
    fn copy_to(&self, record: u8, phone: u8) -> Self {
        Self {
            actor: Self::new(record, phone).actor,
            ..self.clone()
        }
    }
}

fn beginning(kind: &str) -> [(&'static str, Value); 3] {
    [
        ("_type", kind.into()),
        ("_v", 1.into()),
        ("_area", "310101002001".into()),
    ]
}

fn resident(record: u8) -> Phone {
    let mut phone = Phone::new(record, 1);
    let mut fields = beginning("resident").to_vec();
    fields.extend([
        ("name", "欧阳娜".into()),
        ("sex", "2".into()),
        ("certificate_kind", "111".into()),
        ("id_number", "11010519491231002X".into()),
        ("birth_date", "1949-12-31".into()),
        ("population_kind", "01".into()),
        ("phone", "13812345678".into()),
        ("away", false.into()),
        ("tags/elderly", true.into()),
        ("tags/alone", true.into()),
        (
            "guardians/018f7e3a",
            r#"{"name":"欧阳明","relation":"20"}"#.into(),
        ),
    ]);
    phone.put(&fields);
    phone
}

/// A record as its first phone made it.
fn created() -> Phone {
    resident(1)
}

/// Several people, one after the other; a set grows and shrinks; a field is cleared and filled again.
fn edited() -> Phone {
    let mut first = resident(2);
    first.put(&[
        ("phone", Value::Null),
        ("tags/alone", Value::Null),
        ("away", true.into()),
        ("away_place", "江苏省南通市".into()),
    ]);
    let mut second = first.copy_to(2, 2);
    second.put(&[
        ("phone", "13900001111".into()),
        ("tags/disabled", true.into()),
    ]);
    let mut third = second.copy_to(2, 3);
    third.put(&[
        ("status", "cancelled".into()),
        ("cancel_reason", "1".into()),
    ]);
    third.put(&[("status", "active".into()), ("cancel_reason", Value::Null)]);
    third
}

/// Three phones that did not know of each other: different values, equal values, a value against a tombstone.
fn concurrent() -> Phone {
    let mut first = resident(3);
    let mut second = first.copy_to(3, 2);
    let mut third = first.copy_to(3, 3);
    first.put(&[
        ("name", "欧阳娜娜".into()),
        ("phone", Value::Null),
        ("sex", "1".into()),
    ]);
    second.put(&[
        ("name", "歐陽娜".into()),
        ("phone", "13900002222".into()),
        ("sex", "1".into()),
        ("tags/elderly", Value::Null),
    ]);
    second.put(&[("name", "欧阳·娜".into())]);
    third.put(&[
        ("name", "欧阳𬎆".into()),
        ("tags/elderly", true.into()),
        ("remark", "晚上在家".into()),
    ]);
    first.merge(&third);
    first.merge(&second);
    first
}

/// The same, and a supervisor decided the name; another edit came late.
fn decided() -> Phone {
    let mut phone = concurrent();
    let mut late = phone.copy_to(3, 4);
    phone.put(&[("name", "欧阳娜".into())]);
    late.put(&[("name", "欧阳那".into()), ("remark", Value::Null)]);
    phone.merge(&late);
    phone
}

/// The scalars at their edges. JavaScript's Automerge gives numbers up to 2⁵³ - 2 as numbers, greater ones as bigint.
fn scalars() -> Phone {
    let mut phone = Phone::new(5, 1);
    let mut fields = beginning("house").to_vec();
    let safe = (1_i64 << 53) - 2;
    let long = "申城里弄，石库门前。".repeat(300);
    fields.extend([
        ("zero", 0.into()),
        ("one_byte", 63.into()),
        ("two_bytes", 64.into()),
        ("minus", (-65).into()),
        ("greatest", safe.into()),
        ("least", (-safe).into()),
        ("yes", true.into()),
        ("no", false.into()),
        ("nothing", Value::Null),
        ("empty", "".into()),
        ("rare", "𠮷野·㐂 ᠮᠣᠩᠭᠣᠯ 👩‍👩‍👧".into()),
        ("quotes", "\"\\\u{1}\n".into()),
        ("长键/中文元素", true.into()),
        ("long", long.into()),
    ]);
    phone.put(&fields);
    phone
}

fn documents() -> [(&'static str, Phone); 5] {
    [
        ("created", created()),
        ("edited", edited()),
        ("concurrent", concurrent()),
        ("decided", decided()),
        ("scalars", scalars()),
    ]
}

fn path(name: &str) -> PathBuf {
    repository::root().join("tests/fixtures/golden").join(name)
}

/// A fixture's bytes; written first when it is asked for and not there.
fn fixture(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    if std::env::var_os("DOORSTEP_WRITE_GOLDEN").is_some() && !path(name).exists() {
        fs::write(path(name), make()).unwrap();
    }
    fs::read(path(name)).unwrap_or_else(|error| {
        panic!("tests/fixtures/golden/{name}: {error}; DOORSTEP_WRITE_GOLDEN=1 writes new ones")
    })
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap();
    text.push(b'\n');
    text
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn documents_of_every_age_read_the_same() {
    for (name, phone) in documents() {
        let chunks = phone.changes.iter().map(|(_, _, bytes)| bytes.as_slice());
        let mut built = Document::from_changes(chunks).unwrap();
        let seen = oracle::seen(&phone.registers);
        assert_eq!(
            built.seen().unwrap(),
            seen,
            "{name}: registers and Automerge"
        );

        let mut kept = Document::load(&fixture(&format!("{name}.automerge"), || built.save()));
        let kept = kept.as_mut().unwrap();
        assert_eq!(
            kept.changes(),
            phone
                .changes
                .iter()
                .map(|(_, hash, bytes)| (*hash, bytes.clone()))
                .collect(),
            "{name}: core no longer writes the bytes it wrote"
        );
        assert_eq!(kept.seen().unwrap(), seen, "{name}: the kept document");

        let values: Fields = read(&fixture(&format!("{name}.json"), || json(&seen.winners)));
        assert_eq!(values, seen.winners, "{name}.json");
        let conflicts = seen.conflicts();
        let file = format!("{name}.conflicts.json");
        if conflicts.is_empty() {
            assert!(!path(&file).exists(), "{file}: no key holds several values");
        } else {
            let wanted: BTreeMap<String, Vec<Value>> = read(&fixture(&file, || json(&conflicts)));
            assert_eq!(wanted, conflicts, "{file}");
        }
    }
}

#[test]
fn every_golden_document_is_made_here() {
    let names: Vec<&str> = documents().iter().map(|(name, _)| *name).collect();
    for entry in fs::read_dir(path("")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let stem = file.split('.').next().unwrap();
        assert!(names.contains(&stem), "{file}: nothing makes it");
    }
}
