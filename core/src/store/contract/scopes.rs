//! Scopes, cursors, states and events.

use super::{area, event_id, new_record, other_scope, record_id, scope, visit, write};
use crate::ids::{ScopeId, UserId};
use crate::protocol::digest::ScopeDigest;
use crate::protocol::frames::{Cursor, StateEntry};
use crate::store::{DeviceStore, RecordWrite, WriteBatch};

pub(super) fn all<S: DeviceStore>(make: &impl Fn() -> S) {
    records_join_and_leave_scopes(make());
    cursors_move(make());
    states_are_replaced_and_withdrawn(make());
    a_dropped_scope_takes_what_is_its_own(make());
    events_are_kept_once_and_found_by_what_they_name(make());
}

fn user_scope() -> ScopeId {
    ScopeId::User(UserId::from_bytes([5; 16]))
}

fn records_join_and_leave_scopes<S: DeviceStore>(mut store: S) {
    let mut first = new_record(1, &[("name", "甲")]);
    first.join = vec![
        ScopeId::Common,
        user_scope(),
        other_scope(),
        scope(),
        scope(),
    ];
    first.record.confirmed = vec![first.add[0].hash];
    write(
        &mut store,
        vec![first.clone(), new_record(2, &[("name", "乙")])],
    );
    assert_eq!(
        store.scopes_of(record_id(1)).unwrap(),
        [scope(), other_scope(), user_scope(), ScopeId::Common],
    );
    assert_eq!(
        store.members(&scope()).unwrap(),
        [
            (record_id(1), first.record.confirmed.clone()),
            (record_id(2), vec![]),
        ],
    );
    let moves = RecordWrite {
        add: Vec::new(),
        join: vec![scope()],
        leave: vec![other_scope(), user_scope()],
        ..first
    };
    write(&mut store, vec![moves]);
    assert_eq!(
        store.scopes_of(record_id(1)).unwrap(),
        [scope(), ScopeId::Common]
    );
    assert_eq!(store.members(&other_scope()).unwrap(), []);
}

fn cursors_move<S: DeviceStore>(mut store: S) {
    let at = |seq, byte| Cursor {
        seq,
        digest: ScopeDigest([byte; 16]),
    };
    let far = u64::MAX;
    for cursors in [
        vec![(ScopeId::Common, at(1, 1)), (scope(), at(4, 2))],
        vec![(ScopeId::Common, at(far, 255))],
    ] {
        let batch = WriteBatch {
            cursors,
            ..WriteBatch::default()
        };
        store.commit(batch).unwrap();
    }
    assert_eq!(
        store.scopes().unwrap(),
        [(scope(), at(4, 2)), (ScopeId::Common, at(far, 255))]
    );
}

fn put_states<S: DeviceStore>(store: &mut S, states: &[(ScopeId, &str, &str)]) {
    let states = states.iter().map(|(scope, key, json)| {
        let entry = StateEntry {
            key: (*key).to_owned(),
            json: (*json).to_owned(),
        };
        (*scope, entry)
    });
    store
        .commit(WriteBatch {
            states: states.collect(),
            ..WriteBatch::default()
        })
        .unwrap();
}

fn keys<S: DeviceStore>(store: &S, prefix: &str) -> Vec<String> {
    let found = store.states(prefix).unwrap();
    found.into_iter().map(|entry| entry.key).collect()
}

fn states_are_replaced_and_withdrawn<S: DeviceStore>(mut store: S) {
    let common = ScopeId::Common;
    put_states(
        &mut store,
        &[
            (common, "message/2", "2"),
            (common, "message/1", "1"),
            (common, "messages", "0"),
            (common, "rights", "{}"),
            (common, "message/1", "{\"新\":1}"),
        ],
    );
    assert_eq!(
        store.state("message/1").unwrap().as_deref(),
        Some("{\"新\":1}")
    );
    assert_eq!(keys(&store, "message/"), ["message/1", "message/2"]);
    assert_eq!(keys(&store, "").len(), 4);
    assert_eq!(keys(&store, "message/9"), Vec::<String>::new());
    put_states(
        &mut store,
        &[(common, "message/1", ""), (common, "never", "")],
    );
    assert_eq!(store.state("message/1").unwrap(), None);
    assert_eq!(keys(&store, "message/"), ["message/2"]);
}

fn a_dropped_scope_takes_what_is_its_own<S: DeviceStore>(mut store: S) {
    let (mine, other) = (area(), "310101002002".parse().unwrap());
    put_states(
        &mut store,
        &[(scope(), "a", "1"), (other_scope(), "b", "1")],
    );
    let cursors = [scope(), other_scope()].map(|scope| (scope, Cursor::default()));
    let mut record = new_record(1, &[("name", "甲")]);
    record.join.push(other_scope());
    store
        .commit(WriteBatch {
            records: vec![record],
            events: vec![visit(1, record_id(1), mine), visit(2, record_id(1), other)],
            cursors: cursors.to_vec(),
            ..WriteBatch::default()
        })
        .unwrap();
    store
        .commit(WriteBatch {
            drop_scopes: vec![scope()],
            ..WriteBatch::default()
        })
        .unwrap();
    assert_eq!(
        store.scopes().unwrap(),
        [(other_scope(), Cursor::default())]
    );
    assert_eq!(keys(&store, ""), ["b"]);
    assert_eq!(store.scopes_of(record_id(1)).unwrap(), [other_scope()]);
    assert_eq!(store.members(&scope()).unwrap(), []);
    assert_eq!(store.event(event_id(1)).unwrap(), None);
    let left = store.events_about(record_id(1)).unwrap();
    assert_eq!(left, [visit(2, record_id(1), other)]);
}

fn events_are_kept_once_and_found_by_what_they_name<S: DeviceStore>(mut store: S) {
    let (one, two) = (record_id(1), record_id(2));
    let mut moved = visit(3, one, area());
    // A text that happens to hold an id ties an event to nothing.
    let mut noted = visit(4, two, area());
    let text = one.to_string().into();
    noted.fields.insert("note".to_owned(), text);
    let events = vec![
        visit(2, one, area()),
        visit(1, one, area()),
        noted.clone(),
        moved.clone(),
    ];
    for _ in 0..2 {
        let events = events.clone();
        store
            .commit(WriteBatch {
                events,
                ..WriteBatch::default()
            })
            .unwrap();
    }
    let ids = |store: &S, record| -> Vec<_> {
        let found = store.events_about(record).unwrap();
        found.into_iter().map(|event| event.id).collect()
    };
    assert_eq!(ids(&store, one), [3, 2, 1].map(event_id));
    assert_eq!(ids(&store, two), [event_id(4)]);
    let all = store.events().unwrap().into_iter().map(|event| event.id);
    assert!(all.eq([1, 2, 3, 4].map(event_id)));
    assert_eq!(ids(&store, record_id(3)), []);
    assert_eq!(store.event(event_id(4)).unwrap(), Some(noted));
    assert_eq!(store.event(event_id(9)).unwrap(), None);

    // The same event with other values: the last stands, and is no longer found by what it no longer names.
    moved
        .fields
        .insert("house".to_owned(), two.to_string().into());
    let batch = WriteBatch {
        events: vec![moved.clone()],
        ..WriteBatch::default()
    };
    store.commit(batch).unwrap();
    assert_eq!(ids(&store, one), [2, 1].map(event_id));
    assert_eq!(ids(&store, two), [4, 3].map(event_id));
    assert_eq!(store.event(event_id(3)).unwrap(), Some(moved));

    // A batch that brings an event and takes it away again leaves nothing of it.
    store
        .commit(WriteBatch {
            events: vec![visit(5, two, area())],
            purge_events: vec![event_id(5), event_id(4), event_id(9)],
            ..WriteBatch::default()
        })
        .unwrap();
    assert_eq!(store.event(event_id(4)).unwrap(), None);
    assert_eq!(ids(&store, two), [event_id(3)]);
}
