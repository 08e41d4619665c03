//! What can't be brought about from outside: disks that are full at a chosen point, a commit that fails, tokens of an
//! older app.

#![allow(clippy::unwrap_used, reason = "tests")]

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{DeviceId, RecordId, UserId};
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::sync::{DeviceError, Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use rusqlite::Connection;

use super::SqliteStore;
use crate::error::StoreError;

fn who() -> Identity {
    Identity {
        device: DeviceId::from_bytes([1; 16]),
        user: UserId::from_bytes([1; 16]),
        key: KeyPair::from_secret(&[1; 32]).unwrap(),
    }
}

fn open(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(dir.path(), [1; 32], who().user).unwrap()
}

fn create(store: &mut SqliteStore, n: u16) -> Result<(), DeviceError<StoreError>> {
    let texts = [("name", "王小明"), ("sex", "1"), ("population_kind", "01")];
    let mut fields: Fields = texts
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into();
    fields.insert("cancel_note".to_owned(), "长".repeat(400).into());
    let area = "310101002001".parse().unwrap();
    let id = record_id(n);
    edit::create(store, &who(), id, "resident", area, fields, Timestamp(1)).map(|_| ())
}

fn record_id(n: u16) -> RecordId {
    let mut bytes = [1; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    RecordId::from_bytes(bytes)
}

fn set_limit(connection: &Connection, more: i64) {
    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    let limit = pages + more;
    connection
        .pragma_update_and_check(None, "max_page_count", limit, |row| row.get::<_, i64>(0))
        .unwrap();
}

/// Both files hold the same records, each once.
fn agree(store: &SqliteStore, expected: usize) {
    let items = store.outbox().unwrap();
    assert_eq!(items.len(), expected);
    assert_eq!(store.count(None).unwrap(), expected as u64);
    let everything = ListQuery {
        limit: 1_000,
        ..ListQuery::default()
    };
    for listed in store.list(&everything).unwrap() {
        let changes = store.changes(listed.id).unwrap();
        assert_eq!(changes.len(), 1);
        assert!(items.iter().any(|item| item.hash == Some(changes[0].hash)));
    }
}

#[test]
fn a_full_disk_is_no_acknowledgement_and_nothing_of_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    let mut kept = 0;
    let mut full = 0;
    for n in 0..60 {
        // The limit falls on one file or the other, after none to a few pages more.
        let small = i64::from(n / 2 % 6);
        let (register, outbox) = if n % 2 == 0 {
            (small, 1_000)
        } else {
            (1_000, small)
        };
        set_limit(&store.register, register);
        set_limit(&store.outbox, outbox);
        match create(&mut store, n) {
            Ok(()) => kept += 1,
            Err(DeviceError::Store(error)) => {
                assert_eq!(error.code(), "store_disk_full", "{error}");
                full += 1;
            }
            Err(error) => panic!("{error}"),
        }
        agree(&store, kept);
    }
    assert!(kept > 10 && full > 10, "{kept} kept, {full} refused");
    // Space again: everything goes on, now and after reopening.
    set_limit(&store.register, 1_000);
    set_limit(&store.outbox, 1_000);
    create(&mut store, 999).unwrap();
    agree(&store, kept + 1);
    drop(store);
    let mut store = open(&dir);
    agree(&store, kept + 1);
    assert!(edit::recover(&mut store, &who()).unwrap().is_empty());
}

#[test]
fn a_batch_that_only_the_outbox_could_commit_is_shown_before_anything_else_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    create(&mut store, 1).unwrap();
    store.register.commit_hook(Some(|| true)).unwrap(); // every commit fails
    let failed = create(&mut store, 2);
    assert!(failed.is_err(), "not acknowledged");
    // Reading must not give the state before: an edit built on it would use the same numbers again.
    assert!(store.record(record_id(1)).is_err());
    store.register.commit_hook(None::<fn() -> bool>).unwrap();
    let stale = store.commit(doorstep_core::store::WriteBatch::default());
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    agree(&store, 2);
    create(&mut store, 3).unwrap();
    agree(&store, 3);

    store.register.commit_hook(Some(|| true)).unwrap();
    assert!(create(&mut store, 4).is_err());
    drop(store);
    agree(&open(&dir), 4);
}

#[test]
fn a_commit_of_one_file_that_fails_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    create(&mut store, 1).unwrap();
    store.outbox.commit_hook(Some(|| true)).unwrap();
    assert!(create(&mut store, 2).is_err());
    store.outbox.commit_hook(None::<fn() -> bool>).unwrap();
    agree(&store, 1);
    let batch = || doorstep_core::store::WriteBatch {
        purge: vec![record_id(1)],
        ..Default::default()
    };
    store.register.commit_hook(Some(|| true)).unwrap();
    assert!(store.commit(batch()).is_err());
    store.register.commit_hook(None::<fn() -> bool>).unwrap();
    agree(&store, 1);
    store.commit(batch()).unwrap();
    assert_eq!(store.count(None).unwrap(), 0);
}

fn halves(store: &SqliteStore) -> usize {
    crate::outbox::halves(&store.outbox, 0).unwrap().len()
}

/// The halves that the outbox keeps for a crash hold records; a purge takes them away from there too.
#[test]
fn a_purge_empties_the_halves_in_the_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    create(&mut store, 1).unwrap();
    create(&mut store, 2).unwrap();
    assert_eq!(halves(&store), 2);
    let purge = doorstep_core::store::WriteBatch {
        purge: vec![record_id(1)],
        ..Default::default()
    };
    store.commit(purge).unwrap();
    assert_eq!(halves(&store), 0);
    drop(store);
    let mut store = open(&dir);
    assert_eq!(store.count(None).unwrap(), 1);
    create(&mut store, 3).unwrap();
    assert_eq!(halves(&store), 1);
}

/// A half goes only when the register has waited for the disk since.
#[test]
fn halves_stay_until_the_register_is_on_disk_and_stay_few() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    for n in 0..3 {
        create(&mut store, n).unwrap();
    }
    drop(store);
    let mut store = open(&dir);
    assert_eq!(halves(&store), 3, "opening it says nothing about the disk");
    let from_above = || doorstep_core::store::WriteBatch {
        cursors: vec![(doorstep_core::ids::ScopeId::Common, Default::default())],
        ..Default::default()
    };
    store.commit(from_above()).unwrap(); // waits for the disk
    create(&mut store, 3).unwrap();
    assert_eq!(halves(&store), 1);
    let mut most = 0;
    for n in 4..120 {
        create(&mut store, n).unwrap();
        most = most.max(halves(&store));
    }
    assert!((20..=40).contains(&most), "{most}");
}

#[test]
fn another_way_of_deriving_tokens_is_caught_up_with_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    create(&mut store, 1).unwrap();
    let found = |store: &SqliteStore| {
        let query = ListQuery {
            text: "王小明".to_owned(),
            limit: 10,
            ..ListQuery::default()
        };
        store.list(&query).unwrap().len()
    };
    assert_eq!(found(&store), 1);
    let old = "INSERT INTO token (token, rowid, tokens) SELECT 'delete', row, tokens FROM register;
               UPDATE record SET cancelled = 1, fields = x'80';
               UPDATE register SET tokens = '';";
    store.register.execute_batch(old).unwrap();
    drop(store);
    let store = open(&dir);
    assert_eq!(found(&store), 0, "the same app derives nothing again");
    store
        .register
        .execute_batch("UPDATE stand SET projected = 'older'")
        .unwrap();
    drop(store);
    let store = open(&dir);
    assert_eq!(found(&store), 1);
}
