//! Stores that older versions of the app have written: each version's files are kept, and must open in this one.
//!
//! When the tables change: add a step, raise nothing by hand, and write the new version's fixture with
//! `cargo test -p doorstep-sqlite --test upgrade -- --ignored`; the older fixtures stay as they are.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{NAME, PHONE, contents, fill, open, record_id, texts, who};
use doorstep_core::ids::ScopeId;
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::sync::edit;
use doorstep_core::time::Timestamp;

/// The versions of the files; a fixture of each is kept.
const VERSIONS: &[i64] = &[1, 2];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A copy of a version's fixture, to open.
fn copy_of(version: i64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = common::file(dir.path(), 1, "x")
        .parent()
        .unwrap()
        .to_owned();
    fs::create_dir_all(&folder).unwrap();
    for name in ["register.db", "outbox.db"] {
        let from = fixtures().join(format!("version-{version}")).join(name);
        fs::copy(from, folder.join(name)).unwrap();
    }
    dir
}

fn version_of(path: &Path) -> i64 {
    let raw = rusqlite::Connection::open(path).unwrap();
    let key = format!("x'{}'", hex::encode(common::KEY));
    raw.pragma_update(None, "key", key).unwrap();
    raw.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn every_version_opens_with_everything_in_it() {
    let newest = *VERSIONS.last().unwrap();
    for version in VERSIONS {
        let dir = copy_of(*version);
        let files = ["register.db", "outbox.db"].map(|name| common::file(dir.path(), 1, name));
        assert_eq!(version_of(&files[0]), *version);
        let mut store = open(dir.path(), 1);

        let changes = |n| store.changes(record_id(n)).unwrap().len();
        assert_eq!([1, 2, 3].map(changes), [2, 1, 1], "version {version}");
        let first = store.record(record_id(1)).unwrap().unwrap();
        assert_eq!(first.registers.get("name"), Some(&NAME.into()));
        assert_eq!(first.registers.get("phone"), Some(&PHONE.into()));
        assert_eq!(
            store.scopes_of(record_id(1)).unwrap(),
            [ScopeId::Area(common::area())]
        );
        assert_eq!(store.scopes().unwrap()[0].1.seq, 7);
        assert!(store.state("message/1").unwrap().unwrap().contains(NAME));
        assert_eq!(store.events_about(record_id(3)).unwrap().len(), 1);
        assert_eq!(store.outbox().unwrap().len(), 5);
        assert_eq!(store.queued(10).unwrap().len(), 1);
        let envelopes = store.envelopes().unwrap();
        let signed = envelopes[0]
            .signed
            .open(who(1).device, &who(1).key.public());
        assert_eq!(signed.unwrap().items.len(), 4);
        assert_eq!(store.last_envelope().unwrap(), 1);
        assert_eq!(store.refused().unwrap()[0].refusal.code, "out_of_scope");

        // It goes on: found, edited, queued, sealed, kept.
        let found = |text: &str| {
            let query = ListQuery {
                text: text.to_owned(),
                limit: 10,
                ..ListQuery::default()
            };
            store.list(&query).unwrap().len()
        };
        assert_eq!(found(NAME), 2);
        assert_eq!(found(PHONE), 1);
        let fields = texts(&[("occupation", "教师")]);
        edit::update(&mut store, &who(1), record_id(1), &fields, Timestamp(9))
            .unwrap()
            .unwrap();
        common::seal(&mut store, &who(1));
        let before = contents(&store);
        drop(store);
        assert_eq!(contents(&open(dir.path(), 1)), before);
        assert_eq!(version_of(&files[0]), newest);
    }
}

#[test]
#[ignore = "writes the fixture of the present version; older ones are never written again"]
fn write_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let register = common::file(dir.path(), 1, "register.db");
    let version = version_of(&register);
    assert_eq!(Some(&version), VERSIONS.last());
    let to = fixtures().join(format!("version-{version}"));
    assert!(!to.exists(), "version {version} has its fixture");
    fs::create_dir_all(&to).unwrap();
    for name in ["register.db", "outbox.db"] {
        fs::copy(common::file(dir.path(), 1, name), to.join(name)).unwrap();
    }
}
