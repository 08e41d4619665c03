//! Personal data in files: none in clear, none after a purge by the same key's reader, no file after a wipe.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use common::{ID_NUMBER, KEY, NAME, PHONE, PLACE, files, fill, open, record_id, who};
use doorstep_core::store::{DeviceStore, WriteBatch};
use doorstep_core::sync::edit;
use doorstep_core::time::Timestamp;
use doorstep_sqlite::StoreError;

/// The ways in which a text could lie in a file.
fn writings(text: &str) -> Vec<Vec<u8>> {
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let hex = hex::encode(text);
    vec![
        text.as_bytes().to_vec(),
        utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ]
}

/// The canaries found in any file of a folder.
fn found_in(dir: &Path) -> Vec<&'static str> {
    let mut found = Vec::new();
    for path in files(dir) {
        let bytes = fs::read(&path).unwrap();
        let name = path.to_string_lossy().into_owned();
        for canary in [NAME, ID_NUMBER, PHONE, PLACE] {
            let hit = |writing: &Vec<u8>| bytes.windows(writing.len()).any(|part| part == writing);
            if writings(canary).iter().any(hit) || name.contains(canary) {
                found.push(canary);
            }
        }
    }
    found
}

#[test]
fn the_search_for_canaries_finds_them_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let clear = rusqlite::Connection::open(dir.path().join("clear.db")).unwrap();
    clear.execute_batch("CREATE TABLE t (a TEXT)").unwrap();
    clear
        .execute("INSERT INTO t VALUES (?1)", [format!("{NAME}{PHONE}")])
        .unwrap();
    assert_eq!(found_in(dir.path()), [NAME, PHONE]);
    for (n, writing) in writings(ID_NUMBER).into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(n.to_string()), writing).unwrap();
        assert_eq!(found_in(dir.path()), [ID_NUMBER]);
    }
}

#[test]
fn nothing_personal_is_in_clear_and_a_wipe_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    let photo = store.folder().join("photos").join("1");
    fs::create_dir_all(photo.parent().unwrap()).unwrap();
    fs::write(&photo, NAME).unwrap();
    assert_eq!(
        found_in(dir.path()),
        [NAME],
        "the client's own files lie in the same folder"
    );
    fs::remove_file(&photo).unwrap();
    assert_eq!(
        found_in(dir.path()),
        Vec::<&str>::new(),
        "open, with its log"
    );
    drop(store);
    assert_eq!(found_in(dir.path()), Vec::<&str>::new(), "closed");

    let mut store = open(dir.path(), 1);
    fs::write(&photo, NAME).unwrap();
    store.wipe().unwrap();
    assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    assert_eq!(store.count(None).unwrap(), 0);
    let refused = store.commit(WriteBatch::default());
    assert!(
        matches!(refused, Err(StoreError::Wiped)),
        "no acknowledgement of what is kept nowhere"
    );
    drop(store);
    assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    // Whoever signs in next begins anew, with whatever key.
    let store = doorstep_sqlite::SqliteStore::open(dir.path(), [1; 32], who(1).user).unwrap();
    assert_eq!(store.unsent().unwrap().items, 0);
}

/// A purge takes the bytes out of the files' free pages too: whoever has the key finds nothing of the record.
#[test]
fn a_purged_record_is_not_in_the_decrypted_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    drop(store);
    let before = decrypted(dir.path());
    let mut all = found_in(before.path());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4, "the key opens the files");
    let mut store = open(dir.path(), 1);
    // Words that an edit replaced are forgotten with the rest.
    let other = common::texts(&[("phone", "13900001111")]);
    edit::update(&mut store, &who(1), record_id(1), &other, Timestamp(9))
        .unwrap()
        .unwrap();
    let items = store.outbox().unwrap().iter().map(|item| item.id).collect();
    let gone = WriteBatch {
        purge: [1, 2, 3].map(record_id).to_vec(),
        drop_scopes: vec![
            doorstep_core::ids::ScopeId::Area(common::area()),
            doorstep_core::ids::ScopeId::Common,
        ],
        unqueue: items,
        answered: vec![1],
        ..WriteBatch::default()
    };
    store.commit(gone).unwrap();
    drop(store);
    let clear = decrypted(dir.path());
    // What was refused is kept for the collector until dismissed; the rest is gone.
    let left = found_in(clear.path());
    assert!(!left.contains(&PHONE) && !left.contains(&PLACE), "{left:?}");
}

/// Damaged files that were set aside hold what the store forgets: registers go with it, and everything after a week.
#[test]
fn what_was_set_aside_goes_with_a_purge_and_after_a_week() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let at = |name: &str| common::file(dir.path(), 1, name);
    for name in [
        "register.damaged-1.db",
        "register.damaged-1.db-wal",
        "outbox.damaged-1.db",
        "outbox.reading.db",
    ] {
        std::fs::write(at(name), b"x").unwrap();
    }
    let mut store = open(dir.path(), 1);
    assert!(!at("outbox.reading.db").exists(), "left by a crash");
    assert_eq!(store.set_aside().unwrap().len(), 2);
    let gone = WriteBatch {
        purge: vec![record_id(1)],
        ..WriteBatch::default()
    };
    store.commit(gone).unwrap();
    assert_eq!(store.set_aside().unwrap(), [at("outbox.damaged-1.db")]);
    assert!(!at("register.damaged-1.db-wal").exists());
    drop(store);

    let aside = std::fs::File::options()
        .write(true)
        .open(at("outbox.damaged-1.db"));
    let week = std::time::Duration::from_secs(8 * 24 * 3_600);
    let before = std::time::SystemTime::now() - week;
    aside.unwrap().set_modified(before).unwrap();
    let store = open(dir.path(), 1);
    assert!(store.set_aside().unwrap().is_empty());
}

/// The files without encryption, free pages and all. SQLCipher 4: AES-256-CBC a page of 4,096 bytes, of which the last 80
/// are the initialisation vector and the seal; the first 16 bytes of a file are its salt.
fn decrypted(dir: &Path) -> tempfile::TempDir {
    let cipher = aes::Aes256::new(&KEY.into());
    let clear = tempfile::tempdir().unwrap();
    for path in files(dir) {
        let mut bytes = fs::read(&path).unwrap();
        for (n, page) in bytes.chunks_mut(4096).enumerate() {
            let (data, reserve) = page.split_at_mut(4096 - 80);
            let mut last: [u8; 16] = reserve[..16].try_into().unwrap();
            let salt = if n == 0 { 16 } else { 0 };
            for block in data[salt..].chunks_exact_mut(16) {
                let sealed: [u8; 16] = (&*block).try_into().unwrap();
                let mut opened = sealed.into();
                cipher.decrypt_block(&mut opened);
                for (at, byte) in block.iter_mut().enumerate() {
                    *byte = opened[at] ^ last[at];
                }
                last = sealed;
            }
        }
        fs::write(clear.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    clear
}
