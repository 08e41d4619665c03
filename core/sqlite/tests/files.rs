//! The two files: reopened, with another key, in use, damaged, of another version, torn apart by a crash.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{KEY, contents, file, fill, fill_unsent, open, record_id, texts, who};
use doorstep_core::envelope::Item;
use doorstep_core::store::DeviceStore;
use doorstep_core::sync::edit;
use doorstep_core::time::Timestamp;
use doorstep_sqlite::{OpenError, Salvaged, SqliteStore};

#[test]
fn what_was_kept_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    let before = contents(&store);
    drop(store);
    let mut store = open(dir.path(), 1);
    assert_eq!(contents(&store), before);
    assert!(edit::recover(&mut store, &who(1)).unwrap().is_empty());
    assert!(store.check().unwrap());
}

#[test]
fn numbers_go_on_after_reopening_an_emptied_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    let items: Vec<u64> = store.outbox().unwrap().iter().map(|item| item.id).collect();
    let last = *items.last().unwrap();
    let batch = doorstep_core::store::WriteBatch {
        unqueue: items,
        answered: vec![1],
        ..Default::default()
    };
    store.commit(batch).unwrap();
    drop(store);
    let mut store = open(dir.path(), 1);
    assert_eq!(store.last_envelope().unwrap(), 1);
    edit_one(&mut store);
    assert!(store.outbox().unwrap()[0].id > last);
}

fn edit_one(store: &mut SqliteStore) {
    let fields = texts(&[("occupation", "教师")]);
    edit::update(store, &who(1), record_id(1), &fields, Timestamp(9))
        .unwrap()
        .unwrap();
}

#[test]
fn another_key_says_so_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let before = contents(&open(dir.path(), 1));
    let other = SqliteStore::open(dir.path(), [0; 32], who(1).user);
    assert!(matches!(other, Err(OpenError::WrongKey)), "{other:?}");
    let other = SqliteStore::salvage(dir.path(), [0; 32], who(1).user);
    assert!(
        matches!(other, Err(OpenError::WrongKey)),
        "nothing is set aside for a wrong key"
    );
    assert_eq!(contents(&open(dir.path(), 1)), before);
    // Even when one file is missing: no new one is made with the wrong key.
    fs::remove_file(file(dir.path(), 1, "register.db")).unwrap();
    let other = SqliteStore::open(dir.path(), [0; 32], who(1).user);
    assert!(matches!(other, Err(OpenError::WrongKey)), "{other:?}");
    let store = open(dir.path(), 1);
    assert_eq!(store.outbox().unwrap().len(), 5);
}

#[test]
fn users_of_one_phone_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path(), 1);
    fill(&mut first, &who(1));
    let second = SqliteStore::open(dir.path(), [1; 32], who(2).user).unwrap();
    assert_eq!(second.count(None).unwrap(), 0);
    assert_eq!(second.unsent().unwrap().items, 0);
    assert_ne!(first.folder(), second.folder());
}

#[test]
fn a_store_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1);
    let again = SqliteStore::open(dir.path(), KEY, who(1).user);
    assert!(matches!(again, Err(OpenError::InUse)), "{again:?}");
    drop(store);
    open(dir.path(), 1);
}

#[test]
fn a_newer_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 1));
    let path = file(dir.path(), 1, "register.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "key", format!("x'{}'", hex::encode(KEY)))
        .unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let opened = SqliteStore::open(dir.path(), KEY, who(1).user);
    let Err(error) = opened else { panic!("opened") };
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error:?}"
    );
    assert_eq!(error.code(), "store_newer");
    let salvaged = SqliteStore::salvage(dir.path(), KEY, who(1).user);
    assert!(matches!(salvaged, Err(OpenError::Newer { .. })));
}

/// What a crash leaves that comes after the outbox's commit and before the register's.
#[test]
fn a_batch_torn_between_the_files_is_made_whole() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let register = file(dir.path(), 1, "register.db");
    let before = fs::read(&register).unwrap();
    let mut store = open(dir.path(), 1);
    edit_one(&mut store);
    let whole = contents(&store);
    drop(store);
    fs::write(&register, &before).unwrap();
    let mut store = open(dir.path(), 1);
    assert_eq!(contents(&store), whole);
    assert!(edit::recover(&mut store, &who(1)).unwrap().is_empty());
    // And goes on from there.
    let fields = texts(&[("occupation", "医生")]);
    edit::update(&mut store, &who(1), record_id(1), &fields, Timestamp(9))
        .unwrap()
        .unwrap();
    drop(store);
    assert_eq!(open(dir.path(), 1).outbox().unwrap().len(), 7);
}

#[test]
fn a_lost_register_is_made_again_from_the_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill_unsent(&mut store, &who(1));
    edit_one(&mut store);
    let records = [1, 2, 3].map(|n| store.record(record_id(n)).unwrap());
    drop(store);
    fs::remove_file(file(dir.path(), 1, "register.db")).unwrap();
    let mut store = open(dir.path(), 1);
    assert_eq!(store.count(None).unwrap(), 0);
    edit::recover(&mut store, &who(1)).unwrap();
    assert_eq!(
        [1, 2, 3].map(|n| store.record(record_id(n)).unwrap()),
        records
    );
    assert_eq!(store.events_about(record_id(1)).unwrap().len(), 1);
    assert_eq!(store.outbox().unwrap().len(), 6);
}

/// A file with a bit of one page turned.
fn with_damage(sound: &[u8], page: usize) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    bytes[page * 4096 + 1_000] ^= 1;
    bytes
}

/// Every page in turn: damage is found, set aside, and nothing unsent is lost.
#[test]
fn a_damaged_page_is_found_and_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    fill_unsent(&mut open(dir.path(), 1), &who(1));
    let path = file(dir.path(), 1, "register.db");
    let sound = fs::read(&path).unwrap();
    let pages = sound.len() / 4096;
    assert!(pages > 10);
    for page in 0..pages {
        let bytes = with_damage(&sound, page);
        fs::write(&path, &bytes).unwrap();
        let found = match SqliteStore::open(dir.path(), KEY, who(1).user) {
            Ok(store) => {
                let found = !store.check().unwrap();
                drop(store);
                // Who looked and found something leaves word.
                let again = SqliteStore::open(dir.path(), KEY, who(1).user);
                found && matches!(again, Err(OpenError::RegisterDamaged))
            }
            Err(OpenError::RegisterDamaged) => true,
            Err(error) => panic!("page {page}: {error}"),
        };
        assert!(found, "page {page}");
        let (mut store, salvaged) = SqliteStore::salvage(dir.path(), KEY, who(1).user).unwrap();
        let aside = salvaged.register.unwrap();
        assert_eq!(fs::read(&aside).unwrap(), bytes);
        edit::recover(&mut store, &who(1)).unwrap();
        assert_eq!(store.count(None).unwrap(), 3, "page {page}");
        assert_eq!(store.outbox().unwrap().len(), 5);
        drop(store);
        for name in ["register.db", "register.db-wal"] {
            let _ = fs::remove_file(file(dir.path(), 1, name));
        }
        fs::remove_file(aside).unwrap();
    }
    fs::write(&path, &sound).unwrap();
    let (store, salvaged) = SqliteStore::salvage(dir.path(), KEY, who(1).user).unwrap();
    assert_eq!(salvaged.register, None, "a sound file stays");
    assert_eq!(store.count(None).unwrap(), 3);
}

/// A page that opening writes to, when it takes over what the outbox has and the register has not.
#[test]
fn damage_under_a_torn_batch_is_found_and_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    fill_unsent(&mut open(dir.path(), 1), &who(1));
    let [register, outbox] = ["register.db", "outbox.db"].map(|name| file(dir.path(), 1, name));
    let before = fs::read(&register).unwrap();
    edit_one(&mut open(dir.path(), 1));
    let unsent = fs::read(&outbox).unwrap();
    for page in 0..before.len() / 4096 {
        for name in ["register.db-wal", "outbox.db-wal"] {
            let _ = fs::remove_file(file(dir.path(), 1, name));
        }
        fs::write(&register, with_damage(&before, page)).unwrap();
        fs::write(&outbox, &unsent).unwrap();
        match SqliteStore::open(dir.path(), KEY, who(1).user) {
            Ok(_) | Err(OpenError::RegisterDamaged) => {}
            Err(error) => panic!("page {page}: {error}"),
        }
        let (mut store, salvaged) = SqliteStore::salvage(dir.path(), KEY, who(1).user).unwrap();
        edit::recover(&mut store, &who(1)).unwrap();
        assert_eq!(store.count(None).unwrap(), 3, "page {page}");
        assert_eq!(store.outbox().unwrap().len(), 6, "page {page}");
        drop(store);
        fs::remove_file(salvaged.register.unwrap()).unwrap();
    }
}

#[test]
fn reading_a_damaged_page_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let path = file(dir.path(), 1, "register.db");
    let sound = fs::read(&path).unwrap();
    let mut seen = 0;
    for page in 1..sound.len() / 4096 {
        let bytes = with_damage(&sound, page);
        fs::write(&path, &bytes).unwrap();
        let Ok(store) = SqliteStore::open(dir.path(), KEY, who(1).user) else {
            continue;
        };
        for n in [1, 2, 3] {
            if let Err(error) = store.record(record_id(n)) {
                assert!(error.is_damage(), "{error:?}");
                assert_eq!(error.code(), "store_damaged");
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}

/// A page that opening does not read: whoever meets the damage later need only open the store again.
#[test]
fn damage_that_was_met_is_salvaged_at_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    fill_unsent(&mut open(dir.path(), 1), &who(1));
    let path = file(dir.path(), 1, "register.db");
    let sound = fs::read(&path).unwrap();
    let mut met = 0;
    for page in 1..sound.len() / 4096 {
        let bytes = with_damage(&sound, page);
        fs::write(&path, &bytes).unwrap();
        let Ok(store) = SqliteStore::open(dir.path(), KEY, who(1).user) else {
            continue;
        };
        let said = [1, 2, 3].map(|n| store.record(record_id(n)).is_err());
        drop(store);
        if !said.contains(&true) {
            continue;
        }
        met += 1;
        let again = SqliteStore::open(dir.path(), KEY, who(1).user);
        assert!(
            matches!(again, Err(OpenError::RegisterDamaged)),
            "{again:?}"
        );
        let (mut store, salvaged) = SqliteStore::salvage(dir.path(), KEY, who(1).user).unwrap();
        edit::recover(&mut store, &who(1)).unwrap();
        assert_eq!(store.count(None).unwrap(), 3, "page {page}");
        drop(store);
        drop(open(dir.path(), 1));
        fs::remove_file(salvaged.register.unwrap()).unwrap();
        for name in ["register.db", "register.db-wal"] {
            let _ = fs::remove_file(file(dir.path(), 1, name));
        }
    }
    assert!(met > 0);
}

#[test]
fn a_damaged_outbox_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let path = file(dir.path(), 1, "outbox.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let opened = SqliteStore::open(dir.path(), KEY, who(1).user);
    assert!(
        matches!(opened, Err(OpenError::OutboxDamaged)),
        "{opened:?}"
    );
    assert_eq!(
        fs::read(&path).unwrap(),
        bytes,
        "left for someone to look at"
    );
}

/// Every page in turn: what the others hold is read, the register makes up for the rest, and nothing comes twice.
#[test]
fn a_damaged_outbox_page_is_found_and_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    occupy(&mut store, 0..60);
    let items = hashes(&store);
    assert_eq!(items.len(), 65);
    let records = contents_of_records(&store);
    drop(store);
    let path = file(dir.path(), 1, "outbox.db");
    let sound = fs::read(&path).unwrap();
    let register = fs::read(file(dir.path(), 1, "register.db")).unwrap();
    let mut kept = Vec::new();
    for page in 0..sound.len() / 4096 {
        let bytes = with_damage(&sound, page);
        let store = salvage_with(dir.path(), &bytes, &mut kept);
        assert_eq!(hashes(&store), items, "page {page}");
        assert_eq!(contents_of_records(&store), records, "page {page}");
        assert_eq!(store.envelopes().unwrap(), [], "they are numbered anew");
        drop(store);
        fs::write(file(dir.path(), 1, "register.db"), &register).unwrap();
    }
    // Most of it was read, and not only made up for from the register.
    assert!(
        kept.iter().filter(|kept| **kept > 30).count() * 2 > kept.len(),
        "{kept:?}"
    );
    fs::write(&path, &sound).unwrap();
    let (store, salvaged) = SqliteStore::salvage(dir.path(), KEY, who(1).user).unwrap();
    assert_eq!(salvaged, Salvaged::default());
    assert_eq!(store.envelopes().unwrap().len(), 1, "a sound file stays");
}

/// A file that was cut off, at every page and within pages.
#[test]
fn an_outbox_file_cut_off_anywhere_is_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    occupy(&mut store, 0..20);
    let items = hashes(&store);
    drop(store);
    let sound = fs::read(file(dir.path(), 1, "outbox.db")).unwrap();
    let register = fs::read(file(dir.path(), 1, "register.db")).unwrap();
    for length in (0..sound.len()).step_by(7_000) {
        let store = salvage_with(dir.path(), &sound[..length], &mut Vec::new());
        assert_eq!(hashes(&store), items, "cut at {length}");
        // And goes on from there, through a crash between the two files as well.
        drop(store);
        let before = fs::read(file(dir.path(), 1, "register.db")).unwrap();
        edit_one(&mut open(dir.path(), 1));
        fs::write(file(dir.path(), 1, "register.db"), before).unwrap();
        let store = open(dir.path(), 1);
        let shown = store.record(record_id(1)).unwrap().unwrap();
        assert_eq!(shown.registers.get("occupation"), Some(&"教师".into()));
        drop(store);
        fs::write(file(dir.path(), 1, "register.db"), &register).unwrap();
    }
}

#[test]
fn a_lost_outbox_is_made_again_from_the_register() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1);
    fill(&mut store, &who(1));
    let items = hashes(&store);
    drop(store);
    fs::remove_file(file(dir.path(), 1, "outbox.db")).unwrap();
    let store = open(dir.path(), 1);
    assert_eq!((store.requeued(), hashes(&store)), (5, items.clone()));
    assert_eq!(store.set_aside().unwrap(), Vec::<std::path::PathBuf>::new());
    drop(store);
    let store = open(dir.path(), 1);
    assert_eq!((store.requeued(), hashes(&store)), (0, items), "once");
}

/// A crash between setting the damaged file aside and putting the new one in its place.
#[test]
fn a_salvaged_outbox_gets_its_place_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let items = hashes(&open(dir.path(), 1));
    let path = file(dir.path(), 1, "outbox.db");
    fs::rename(&path, file(dir.path(), 1, "outbox.new.db")).unwrap();
    let store = open(dir.path(), 1);
    assert_eq!((store.requeued(), hashes(&store)), (0, items));
    assert!(path.exists());
}

/// Puts these bytes in the outbox's place and salvages; notes how many items were read.
fn salvage_with(dir: &Path, bytes: &[u8], kept: &mut Vec<usize>) -> SqliteStore {
    let path = file(dir, 1, "outbox.db");
    let _ = fs::remove_file(file(dir, 1, "outbox.db-wal"));
    let _ = fs::remove_file(file(dir, 1, "register.db-wal"));
    fs::write(&path, bytes).unwrap();
    let (store, salvaged) = SqliteStore::salvage(dir, KEY, who(1).user).unwrap();
    assert_eq!(
        store.set_aside().unwrap(),
        Vec::from_iter(salvaged.outbox.clone())
    );
    if let Some(aside) = salvaged.outbox {
        assert!(aside.ends_with("outbox.damaged-1.db"), "{aside:?}");
        assert_eq!(fs::read(&aside).unwrap(), bytes, "left as it was found");
        fs::remove_file(aside).unwrap();
        kept.push(salvaged.kept);
    } else {
        assert!(bytes.is_empty(), "damage is seen");
    }
    store
}

/// The changes and events that wait, in no order: what was queued again comes after what was read.
fn hashes(store: &SqliteStore) -> Vec<String> {
    let items = store.outbox().unwrap().into_iter();
    let mut names: Vec<String> = items
        .map(|item| match (item.hash, item.item) {
            (Some(hash), _) => format!("{hash:?}"),
            (None, Item::Event(event)) => event.id.to_string(),
            (None, Item::Change(_)) => panic!("a change has a hash"),
        })
        .collect();
    names.sort();
    names
}

fn contents_of_records(store: &SqliteStore) -> String {
    let records = [1, 2, 3].map(|n| store.record(record_id(n)).unwrap());
    format!("{records:?}")
}

/// The four files of user 1 in another folder, as a power cut finds them: copied while the store is open.
struct Copied {
    dir: tempfile::TempDir,
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Copied {
    fn from(dir: &Path) -> Self {
        let names = [
            "register.db",
            "register.db-wal",
            "outbox.db",
            "outbox.db-wal",
        ];
        let read = |name| (name, fs::read(file(dir, 1, name)).unwrap());
        Self {
            dir: tempfile::tempdir().unwrap(),
            files: names.map(read).into(),
        }
    }

    fn length(&self, name: &str) -> usize {
        let found = self.files.iter().find(|(of, _)| *of == name);
        found.unwrap().1.len()
    }

    /// Opens the copy with one file cut to a length.
    fn open_cut(&self, cut: &str, length: usize) -> SqliteStore {
        let folder = file(self.dir.path(), 1, "x").parent().unwrap().to_owned();
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &self.files {
            let length = if *name == cut { length } else { bytes.len() };
            fs::write(folder.join(name), &bytes[..length]).unwrap();
        }
        open(self.dir.path(), 1)
    }
}

fn occupy(store: &mut SqliteStore, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let fields = texts(&[("occupation", &format!("职业{n}"))]);
        edit::update(store, &who(1), record_id(1), &fields, Timestamp(9)).unwrap();
    }
}

/// A power cut takes from the register's log what it had not waited for; the outbox has all of that.
#[test]
fn a_register_cut_short_by_a_power_cut_is_made_whole() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let mut store = open(dir.path(), 1);
    occupy(&mut store, 0..3);
    let copied = Copied::from(dir.path());
    let full = copied.length("register.db-wal");
    for length in (0..full).step_by(full / 40 + 1) {
        let cut = copied.open_cut("register.db-wal", length);
        assert_eq!(contents(&cut), contents(&store), "cut at {length}");
        assert!(cut.check().unwrap());
    }
    // What came from the server waited for the disk: a cut can only come after it.
    store
        .commit(doorstep_core::store::WriteBatch {
            cursors: vec![(doorstep_core::ids::ScopeId::Common, Default::default())],
            ..Default::default()
        })
        .unwrap();
    let on_disk = Copied::from(dir.path()).length("register.db-wal");
    occupy(&mut store, 3..6);
    let copied = Copied::from(dir.path());
    for length in (on_disk..copied.length("register.db-wal")).step_by(3_000) {
        let cut = copied.open_cut("register.db-wal", length);
        assert_eq!(contents(&cut), contents(&store), "cut at {length}");
    }
}

/// The outbox waits for the disk each time; were its log cut all the same, it opens to a clean beginning.
#[test]
fn an_outbox_cut_short_opens_to_a_clean_prefix() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 1), &who(1));
    let mut store = open(dir.path(), 1);
    occupy(&mut store, 0..3);
    let copied = Copied::from(dir.path());
    let full = copied.length("outbox.db-wal");
    let mut before = 0;
    for length in (0..full).step_by(full / 40).chain([full]) {
        let mut cut = copied.open_cut("outbox.db-wal", length);
        edit::recover(&mut cut, &who(1)).unwrap();
        let items = cut.outbox().unwrap().len();
        assert!(
            (5..=8).contains(&items) && items >= before,
            "cut at {length}: {items}"
        );
        before = items;
    }
    assert_eq!(before, 8);
}
