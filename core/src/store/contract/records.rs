//! Records and their changes.

use super::{change_item, edited, hash_of, new_record, queue, record_id, scope, write};
use crate::store::{DeviceStore, RecordWrite, WriteBatch};
use crate::time::Timestamp;

pub(super) fn all<S: DeviceStore>(make: &impl Fn() -> S) {
    an_empty_store_has_nothing(make());
    a_record_reads_back_as_written(make());
    changes_keep_their_order_and_bytes(make());
    a_change_is_confirmed_or_taken_out(make());
    a_purged_record_leaves_nothing(make());
    a_purged_record_can_come_again(make());
    a_wiped_store_has_nothing(make());
}

fn an_empty_store_has_nothing<S: DeviceStore>(store: S) {
    assert_eq!(store.record(record_id(1)).unwrap(), None);
    assert_eq!(store.changes(record_id(1)).unwrap(), []);
    assert_eq!(store.scopes_of(record_id(1)).unwrap(), []);
    assert_eq!(store.scopes().unwrap(), []);
    assert_eq!(store.members(&scope()).unwrap(), []);
    assert_eq!(store.count(None).unwrap(), 0);
    assert_eq!(store.outbox().unwrap(), []);
    assert_eq!(store.last_envelope().unwrap(), 0);
}

fn a_record_reads_back_as_written<S: DeviceStore>(mut store: S) {
    let mut new = new_record(1, &[("name", "王小明"), ("note", "·𠮷\u{0}'")]);
    new.record.epoch = 7;
    write(
        &mut store,
        vec![new.clone(), new_record(2, &[("name", "李四")])],
    );
    assert_eq!(
        store.record(record_id(1)).unwrap(),
        Some(new.record.clone())
    );

    let mut later = edited(new.record.clone(), &[("name", "王明")]);
    later.record.confirmed = vec![hash_of(&new)];
    write(&mut store, vec![later.clone()]);
    assert_eq!(store.record(record_id(1)).unwrap(), Some(later.record));
    assert_eq!(store.count(None).unwrap(), 2);
    assert_eq!(store.count(Some("resident")).unwrap(), 2);
    assert_eq!(store.count(Some("house")).unwrap(), 0);
}

fn changes_keep_their_order_and_bytes<S: DeviceStore>(mut store: S) {
    let mut last = new_record(1, &[("name", "一")]);
    let mut expected = last.add.clone();
    write(&mut store, vec![last.clone()]);
    for name in ["二", "三", "四", "五"] {
        last = edited(last.record, &[("name", name)]);
        expected.extend(last.add.clone());
        // Another record's changes in between are no matter.
        write(
            &mut store,
            vec![last.clone(), new_record(2, &[("name", name)])],
        );
    }
    assert_eq!(store.changes(record_id(1)).unwrap(), expected);
}

fn a_change_is_confirmed_or_taken_out<S: DeviceStore>(mut store: S) {
    let first = new_record(1, &[("name", "一")]);
    let second = edited(first.record.clone(), &[("name", "二")]);
    write(&mut store, vec![first.clone(), second.clone()]);
    let confirm = RecordWrite {
        add: Vec::new(),
        confirm: vec![hash_of(&first)],
        ..second.clone()
    };
    write(&mut store, vec![confirm]);
    let confirmed = |store: &S| -> Vec<bool> {
        let changes = store.changes(record_id(1)).unwrap();
        changes.iter().map(|change| change.confirmed).collect()
    };
    assert_eq!(confirmed(&store), [true, false]);

    // In one write: the refused change goes, its replay comes and is confirmed at once.
    let again = edited(first.record.clone(), &[("name", "三")]);
    let replay = RecordWrite {
        remove: vec![hash_of(&second)],
        confirm: vec![hash_of(&again)],
        ..again.clone()
    };
    write(&mut store, vec![replay]);
    let hashes = |store: &S| -> Vec<_> {
        let changes = store.changes(record_id(1)).unwrap();
        changes.iter().map(|change| change.hash).collect()
    };
    assert_eq!(hashes(&store), [hash_of(&first), hash_of(&again)]);
    assert_eq!(confirmed(&store), [true, true]);

    // A record put in place whole: out go all, in come all, in the order given.
    let whole = RecordWrite {
        remove: hashes(&store),
        add: [again.add.clone(), second.add.clone(), first.add].concat(),
        ..again.clone()
    };
    write(&mut store, vec![whole]);
    let expected = [hash_of(&again), hash_of(&second)];
    assert_eq!(hashes(&store)[..2], expected);
    assert_eq!(confirmed(&store), [false; 3]);
}

fn a_purged_record_leaves_nothing<S: DeviceStore>(mut store: S) {
    let (gone, stays) = (
        new_record(1, &[("name", "甲")]),
        new_record(2, &[("name", "乙")]),
    );
    let batch = WriteBatch {
        records: vec![gone.clone(), stays.clone()],
        queue: vec![(change_item(&gone), Some(hash_of(&gone)), Timestamp(1))],
        ..WriteBatch::default()
    };
    store.commit(batch).unwrap();
    store
        .commit(WriteBatch {
            purge: vec![record_id(1), record_id(9)],
            ..WriteBatch::default()
        })
        .unwrap();
    assert_eq!(store.record(record_id(1)).unwrap(), None);
    assert_eq!(store.changes(record_id(1)).unwrap(), []);
    assert_eq!(store.scopes_of(record_id(1)).unwrap(), []);
    assert_eq!(store.members(&scope()).unwrap().len(), 1);
    assert_eq!(store.count(None).unwrap(), 1);
    assert_eq!(store.record(record_id(2)).unwrap(), Some(stays.record));
    // What was not sent still goes up: the server keeps it for the supervisor.
    assert_eq!(store.outbox().unwrap().len(), 1);
}

fn a_purged_record_can_come_again<S: DeviceStore>(mut store: S) {
    let record = new_record(1, &[("name", "甲")]);
    write(&mut store, vec![record.clone()]);
    let batch = WriteBatch {
        purge: vec![record_id(1)],
        ..WriteBatch::default()
    };
    store.commit(batch).unwrap();
    write(&mut store, vec![record.clone()]);
    assert_eq!(store.changes(record_id(1)).unwrap(), record.add);
    assert_eq!(store.members(&scope()).unwrap().len(), 1);
}

fn a_wiped_store_has_nothing<S: DeviceStore>(mut store: S) {
    write(&mut store, vec![new_record(1, &[("name", "甲")])]);
    queue(&mut store, &[1, 2]);
    store.wipe().unwrap();
    assert_eq!(store.unsent().unwrap().items, 0);
    an_empty_store_has_nothing(store);
}
