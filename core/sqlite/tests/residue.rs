//! Personal data in files: none in clear; none of a record that was purged or erased for whoever has the key, in the logs
//! neither; no file after a wipe.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use common::{ID_NUMBER, KEY, NAME, PHONE, PLACE, files, fill, open, record_id, who};
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::{
    Batch, Down, Entry, Outcome, Pushed, Refusal, StateEntry, Welcome,
};
use doorstep_core::store::{DeviceStore, WriteBatch};
use doorstep_core::sync::{DeviceSession, edit};
use doorstep_core::time::Timestamp;
use doorstep_sqlite::{SqliteStore, StoreError};

/// Invented, too.
const REMARK: &str = "备注里的虚构往事";

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

/// The canaries that whoever has the key finds in a folder's files and logs.
fn found_with_key(dir: &Path) -> Vec<&'static str> {
    let mut found = found_in(decrypted(dir).path());
    found.sort_unstable();
    found.dedup();
    found
}

/// The canaries found in any file of a folder.
fn found_in(dir: &Path) -> Vec<&'static str> {
    let mut found = Vec::new();
    for path in files(dir) {
        let bytes = fs::read(&path).unwrap();
        let name = path.to_string_lossy().into_owned();
        for canary in [NAME, ID_NUMBER, PHONE, PLACE, REMARK] {
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
    assert_eq!(
        found_with_key(dir.path()).len(),
        4,
        "the key opens the files"
    );
    let mut store = open(dir.path(), 1);
    // Words that an edit replaced are forgotten with the rest.
    let other = common::texts(&[("phone", "13900001111")]);
    edit::update(&mut store, &who(1), record_id(1), &other, Timestamp(9))
        .unwrap()
        .unwrap();
    let items = store.outbox().unwrap().iter().map(|item| item.id).collect();
    let gone = WriteBatch {
        purge: [1, 2, 3].map(record_id).to_vec(),
        drop_scopes: vec![ScopeId::Area(common::area()), ScopeId::Common],
        unqueue: items,
        answered: vec![1],
        ..WriteBatch::default()
    };
    store.commit(gone).unwrap();
    // What was refused is kept for the collector until dismissed; the rest is gone, from the logs too.
    assert_eq!(found_with_key(dir.path()), [ID_NUMBER, NAME]);
    let seen = store
        .refused()
        .unwrap()
        .iter()
        .map(|item| item.id)
        .collect();
    let dismissed = WriteBatch {
        dismiss: seen,
        ..WriteBatch::default()
    };
    store.commit(dismissed).unwrap();
    assert_eq!(found_with_key(dir.path()), Vec::<&str>::new());
    drop(store);
    assert_eq!(found_with_key(dir.path()), Vec::<&str>::new(), "closed");
}

/// The server tells that people were erased, and answers so what of them was on its way. An app is killed, not closed: the
/// logs are as they lie.
#[test]
fn of_someone_erased_nothing_is_in_the_decrypted_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    let remark = common::texts(&[("remark", REMARK)]);
    edit::update(&mut store, &who(1), record_id(1), &remark, Timestamp(9))
        .unwrap()
        .unwrap();
    assert_eq!(found_with_key(dir.path()).len(), 5, "the logs open, too");

    let mut session = DeviceSession::new(who(1), vec![0; 32]);
    let receive = |store: &mut SqliteStore, session: &mut DeviceSession, frame| {
        session.receive(store, frame, Timestamp(10)).unwrap();
    };
    let welcome = Welcome {
        time: Timestamp(10),
        next_envelope: 1,
        scopes: vec![],
        dropped: vec![],
    };
    receive(&mut store, &mut session, Down::Welcome(welcome));
    let withdrawn = Entry::State(StateEntry {
        key: "message/1".to_owned(),
        json: String::new(),
    });
    let erased = [1, 2, 3].map(|n| Entry::Erase(record_id(n)));
    let area = ScopeId::Area(common::area());
    for batch in [
        Batch::pack(ScopeId::Common, 7, 8, &[withdrawn]),
        Batch::pack(area, 0, 1, &erased),
    ] {
        receive(&mut store, &mut session, Down::Batch(batch.unwrap()));
    }
    assert_eq!(store.count(None).unwrap(), 0);
    while session.push(&mut store, Timestamp(10)).unwrap().is_some() {
        let sent = store.envelopes().unwrap().remove(0);
        let refusal = Refusal::new(Refusal::ERASED, "这份档案已彻底删除。");
        let answer = Pushed {
            seq: sent.seq,
            outcomes: vec![Outcome::Refused(refusal); sent.items.len()],
            refused: None,
        };
        receive(&mut store, &mut session, Down::Pushed(answer));
    }
    assert_eq!(store.unsent().unwrap().items, 0);
    assert_eq!(found_with_key(dir.path()), Vec::<&str>::new(), "open");
    assert_eq!(found_in(dir.path()), Vec::<&str>::new());
    drop(store);
    assert_eq!(found_with_key(dir.path()), Vec::<&str>::new(), "closed");
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

/// The files and their logs without encryption, free pages and all. SQLCipher 4: AES-256-CBC a page of 4,096 bytes, of
/// which the last 80 are the initialisation vector and the seal; the first 16 bytes of a file are its salt. SQLite's log
/// (https://sqlite.org/fileformat2.html#walformat): a head of 32 bytes, then pages, each after 24 bytes that begin with
/// its number.
fn decrypted(dir: &Path) -> tempfile::TempDir {
    let cipher = aes::Aes256::new(&KEY.into());
    let clear = tempfile::tempdir().unwrap();
    for path in files(dir) {
        let mut bytes = fs::read(&path).unwrap();
        let is_log = path.to_string_lossy().ends_with("-wal");
        let (head, before) = if is_log { (32, 24) } else { (0, 0) };
        let head = head.min(bytes.len());
        for (n, part) in bytes[head..].chunks_exact_mut(before + 4096).enumerate() {
            let (note, page) = part.split_at_mut(before);
            let is_first = if is_log {
                note[..4] == [0, 0, 0, 1]
            } else {
                n == 0
            };
            let (data, reserve) = page.split_at_mut(4096 - 80);
            let mut last: [u8; 16] = reserve[..16].try_into().unwrap();
            let salt = if is_first { 16 } else { 0 };
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
