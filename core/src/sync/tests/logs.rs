//! Entries of a scope's log: they come in order, twice, in pieces, and the record and the digest stay right.

use std::collections::BTreeSet;

use super::{Phone, at, everything, identity, other_scope, record_id, scope, sends};
use crate::crdt::chunk;
use crate::envelope::Item;
use crate::ids::{AreaCode, EventId, RecordId};
use crate::protocol::frames::{
    Cursor, Down, Entry, EventEntry, Heads, Purged, ScopeState, StateEntry, Up,
};
use crate::store::DeviceStore;
use crate::sync::{Action, DeviceError, edit};

fn changed(actions: &[Action]) -> usize {
    let lists = actions.iter().filter_map(|action| match action {
        Action::Changed(records) => Some(records.len()),
        _ => None,
    });
    lists.sum()
}

/// Another's record with two edits.
fn others() -> Phone {
    let mut other = Phone::new(2);
    other.create(1, "王小明");
    other.update(1, &[("occupation", "教师")]);
    other.update(1, &[("name", "王晓明")]);
    other
}

#[test]
fn puts_build_a_record_and_move_cursor_and_digest() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    let puts = other.puts(1);
    let actions = phone.batch(scope(), 0, 2, &puts[..2]);
    assert_eq!(changed(&actions), 1);
    assert_eq!(sends(actions), [Up::Stored(scope(), 2)]);
    let between = phone.cursor(scope());
    assert_eq!(between.seq, 2);
    phone.batch(scope(), 2, 3, &puts[2..]);
    assert_eq!(phone.value(1, "name").as_deref(), Some("王晓明"));
    assert_eq!(phone.record(1).registers, other.record(1).registers);
    assert_eq!(phone.record(1).confirmed, other.record(1).registers.heads());
    assert!(!phone.store.list(&everything()).unwrap()[0].pending);
    assert_ne!(phone.cursor(scope()).digest, between.digest);
    assert_eq!(phone.store.scopes_of(record_id(1)).unwrap(), [scope()]);
}

#[test]
fn a_batch_delivered_twice_changes_nothing() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    let puts = other.puts(1);
    phone.batch(scope(), 0, 2, &puts[..2]);
    phone.batch(scope(), 2, 3, &puts[2..]);
    let (record, cursor) = (phone.record(1), phone.cursor(scope()));
    for (from, to, entries) in [(0, 2, &puts[..2]), (2, 3, &puts[2..]), (0, 3, &puts[..])] {
        assert_eq!(phone.batch(scope(), from, to, entries), []);
    }
    // After a reconnect a longer piece may overlap what is here.
    phone.batch(scope(), 0, 4, &puts);
    assert_eq!(phone.record(1), record);
    assert_eq!(phone.cursor(scope()), Cursor { seq: 4, ..cursor });
    assert_eq!(phone.store.changes(record_id(1)).unwrap().len(), 3);
}

#[test]
fn a_gap_in_the_log_ends_the_connection() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    let batch = crate::protocol::frames::Batch::pack(scope(), 1, 3, &other.puts(1)).unwrap();
    let result = phone
        .session
        .receive(&mut phone.store, Down::Batch(batch), super::at(1));
    assert!(matches!(result, Err(DeviceError::Protocol(_))));
    assert_eq!(phone.store.count(None).unwrap(), 0);
}

#[test]
fn own_changes_are_confirmed_by_their_hash() {
    let mut phone = Phone::welcomed(1);
    let hashes = [
        phone.create(1, "王小明"),
        phone.update(1, &[("occupation", "教师")]).unwrap(),
    ];
    phone.batch(scope(), 0, 1, &[Entry::Own(record_id(1), hashes[0])]);
    assert_eq!(phone.record(1).confirmed, [hashes[0]]);
    assert!(phone.store.list(&everything()).unwrap()[0].pending);
    phone.batch(scope(), 1, 2, &[Entry::Own(record_id(1), hashes[1])]);
    assert_eq!(phone.record(1).confirmed, [hashes[1]]);
    assert!(!phone.store.list(&everything()).unwrap()[0].pending);
    // Its own change as a put, as it comes after a record was fetched anew.
    phone.batch(scope(), 2, 4, &phone.puts(1));
    assert_eq!(phone.store.changes(record_id(1)).unwrap().len(), 2);
    // A change that is not here is no reason to fail: the checkpoint finds it.
    phone.batch(scope(), 4, 5, &[Entry::Own(record_id(9), hashes[1])]);
}

#[test]
fn anothers_change_meets_an_unsent_edit() {
    let (mut phone, mut other) = (Phone::welcomed(1), others());
    phone.batch(scope(), 0, 3, &other.puts(1));
    let mine = phone.update(1, &[("occupation", "医生")]).unwrap();
    let theirs = other.update(1, &[("phone", "13800000001")]).unwrap();
    phone.batch(scope(), 3, 4, &other.puts(1)[3..]);
    assert_eq!(phone.value(1, "occupation").as_deref(), Some("医生"));
    assert_eq!(phone.value(1, "phone").as_deref(), Some("13800000001"));
    assert_eq!(phone.record(1).confirmed, [theirs]);
    phone.batch(scope(), 4, 5, &[Entry::Own(record_id(1), mine)]);
    let mut both = [mine, theirs];
    both.sort_unstable();
    assert_eq!(phone.record(1).confirmed, both);
}

#[test]
fn what_does_not_apply_is_not_taken_for_held() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    let puts = other.puts(1);
    // The middle change got lost on the server's side of the log: what builds on it can't be shown.
    phone.batch(scope(), 0, 2, &[puts[0].clone(), puts[2].clone()]);
    assert_eq!(phone.store.changes(record_id(1)).unwrap().len(), 1);
    assert_eq!(phone.value(1, "name").as_deref(), Some("王小明"));
    // So the digests differ, and the record is asked for.
    let end = Cursor {
        seq: 2,
        digest: crate::protocol::digest::ScopeDigest::of_record(
            record_id(1),
            other.record(1).registers.heads(),
        ),
    };
    let actions = phone.receive(Down::Checkpoint(scope(), end));
    let frames = sends(actions);
    let [
        Up::Heads(Heads {
            scope: of,
            seq: 2,
            records,
        }),
    ] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    assert_eq!((*of, records.len()), (scope(), 1));
    assert!(!phone.session.settled(&phone.store).unwrap());
    phone.batch(scope(), 2, 2, &[other.whole(1)]);
    assert_eq!(phone.record(1).registers, other.record(1).registers);
    assert_eq!(phone.cursor(scope()), end);
    assert_eq!(phone.receive(Down::Checkpoint(scope(), end)), []);
    assert!(phone.session.settled(&phone.store).unwrap());
}

#[test]
fn a_whole_record_repairs_a_hole_under_an_unsent_edit() {
    let (mut one, mut two) = (Phone::welcomed(1), others());
    // Two branches; the phone has only one of them, and an edit of its own on top.
    let mut three = Phone::welcomed(3);
    three.batch(scope(), 0, 3, &two.puts(1));
    two.update(1, &[("workplace", "甲校")]);
    three.update(1, &[("phone", "13800000003")]);
    one.batch(scope(), 0, 4, &three.puts(1));
    one.update(1, &[("occupation", "医生")]);
    // The other branch goes on, and the phone hears only of the end of it.
    two.update(1, &[("workplace", "乙校")]);
    let puts = two.puts(1);
    one.batch(scope(), 4, 5, &puts[4..]);
    three.batch(scope(), 3, 5, &puts[3..]);
    assert_eq!(one.value(1, "workplace"), None);
    one.batch(scope(), 5, 5, &[three.whole(1)]);
    assert_eq!(one.record(1).registers.all("workplace").len(), 1);
    assert_eq!(one.value(1, "workplace").as_deref(), Some("乙校"));
    assert_eq!(one.value(1, "phone").as_deref(), Some("13800000003"));
    assert_eq!(one.value(1, "occupation").as_deref(), Some("医生"));
    assert_eq!(one.record(1).confirmed, three.record(1).registers.heads());
    // The edit still goes up, and everyone ends up with the same.
    assert_eq!(one.store.outbox().unwrap().len(), 1);
    let mine = one.store.outbox().unwrap()[0].hash.unwrap();
    one.batch(scope(), 5, 6, &[Entry::Own(record_id(1), mine)]);
    three.batch(scope(), 5, 7, &[one.whole(1)]);
    assert_eq!(one.record(1).registers, three.record(1).registers);
}

#[test]
fn a_record_that_leaves_and_comes_back_has_its_unsent_edits_on_top() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    phone.batch(scope(), 0, 1, &[other.whole(1)]);
    let unsent = phone.update(1, &[("occupation", "医生")]).unwrap();
    phone.batch(scope(), 1, 2, &[Entry::Leave(record_id(1))]);
    assert!(phone.store.record(record_id(1)).unwrap().is_none());
    phone.batch(other_scope(), 0, 1, &[other.whole(1)]);
    assert_eq!(phone.value(1, "occupation").as_deref(), Some("医生"));
    // The next edit builds on it: else both would have the same number, as only a forger's do.
    phone.update(1, &[("workplace", "甲校")]).unwrap();
    let last = phone.store.outbox().unwrap().pop().unwrap();
    let Item::Change(change) = last.item else {
        panic!()
    };
    let (change, _) = chunk::decode(&change.bytes).unwrap();
    assert_eq!((change.deps, change.seq), (vec![unsent], 2));
}

#[test]
fn a_record_is_not_edited_while_its_scope_still_comes_from_the_beginning() {
    let other = others();
    let mut phone = Phone::new(1);
    let end = Cursor {
        seq: 3,
        digest: other.cursor(scope()).digest,
    };
    let state = ScopeState {
        scope: scope(),
        end,
        bundle: None,
    };
    phone.welcome(vec![state], vec![]);
    phone.batch(scope(), 0, 1, &other.puts(1)[..1]);
    let fields = [("occupation".to_owned(), "医生".into())].into();
    let edit = |phone: &mut Phone| {
        edit::update(&mut phone.store, &phone.who, record_id(1), &fields, at(1))
    };
    // What comes may hold edits of this very phone, from before its register was lost or its area taken.
    assert!(matches!(edit(&mut phone), Err(DeviceError::Loading)));
    phone.batch(scope(), 1, 3, &other.puts(1)[1..]);
    assert!(matches!(edit(&mut phone), Ok(Some(_))));
    assert_eq!(phone.store.states("").unwrap(), []);
}

#[test]
fn a_record_that_misses_an_edit_of_this_phone_is_mended_before_it_is_edited() {
    let other = others();
    let mut phone = Phone::welcomed(1);
    phone.batch(scope(), 0, 3, &other.puts(1));
    // An edit that this phone made before its register was lost: it is told the name only, and asks for the record.
    let mut before = Phone::welcomed(1);
    before.batch(scope(), 0, 3, &other.puts(1));
    let lost = before.update(1, &[("occupation", "医生")]).unwrap();
    let actions = phone.batch(scope(), 3, 4, &[Entry::Own(record_id(1), lost)]);
    assert!(
        sends(actions)
            .iter()
            .any(|frame| matches!(frame, Up::Heads(_)))
    );
    let fields = [("workplace".to_owned(), "甲校".into())].into();
    let edit = |phone: &mut Phone| {
        edit::update(&mut phone.store, &phone.who, record_id(1), &fields, at(1))
    };
    assert!(matches!(edit(&mut phone), Err(DeviceError::Loading)));
    phone.batch(scope(), 4, 4, &[before.whole(1)]);
    assert!(matches!(edit(&mut phone), Ok(Some(_))));
    assert_eq!(phone.store.states("").unwrap(), []);
}

#[test]
fn an_older_whole_record_takes_nothing_back() {
    let (mut phone, mut other) = (Phone::welcomed(1), others());
    let older = other.whole(1);
    other.update(1, &[("workplace", "甲校")]);
    // One scope brings the record as it is now; then comes the bundle of another, made before.
    phone.batch(scope(), 0, 1, &[other.whole(1)]);
    phone.update(1, &[("occupation", "医生")]);
    let street = other_scope();
    phone.batch(street, 0, 1, std::slice::from_ref(&older));
    assert_eq!(phone.value(1, "workplace").as_deref(), Some("甲校"));
    assert_eq!(phone.value(1, "occupation").as_deref(), Some("医生"));
    let heads = other.record(1).registers.heads().to_vec();
    assert_eq!(phone.record(1).confirmed, heads);
    assert_eq!(phone.cursor(street).digest, phone.cursor(scope()).digest);
    // Nor does it as a repair that nobody waits for: one that came twice.
    phone.batch(street, 1, 1, &[older]);
    assert_eq!(phone.value(1, "workplace").as_deref(), Some("甲校"));
    assert_eq!(phone.record(1).confirmed, heads);
}

#[test]
fn a_repair_never_moves_the_cursor_back() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    phone.batch(scope(), 0, 3, &other.puts(1));
    phone.batch(scope(), 3, 9, &[]);
    let end = Cursor {
        seq: 9,
        ..Cursor::default()
    };
    assert_eq!(
        sends(phone.receive(Down::Checkpoint(scope(), end))).len(),
        1
    );
    // Answered from what the device said before the last batch came.
    let actions = phone.batch(scope(), 3, 3, &[other.whole(1)]);
    assert_eq!(sends(actions), [Up::Stored(scope(), 9)]);
    assert_eq!(phone.cursor(scope()).seq, 9);
}

#[test]
fn a_record_leaves_a_scope_and_stays_for_another() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    for of in [scope(), other_scope()] {
        phone.batch(of, 0, 1, &[other.whole(1)]);
    }
    assert_eq!(phone.store.scopes_of(record_id(1)).unwrap().len(), 2);
    let actions = phone.batch(scope(), 1, 2, &[Entry::Leave(record_id(1))]);
    let purged = Purged {
        scope: scope(),
        records: vec![record_id(1)],
    };
    assert_eq!(sends(actions), [Up::Purged(purged), Up::Stored(scope(), 2)]);
    assert_eq!(
        phone.store.scopes_of(record_id(1)).unwrap(),
        [other_scope()]
    );
    assert_eq!(phone.cursor(scope()).digest, Default::default());
    phone.batch(other_scope(), 1, 2, &[Entry::Leave(record_id(1))]);
    assert_eq!(phone.store.record(record_id(1)).unwrap(), None);
    // A record it never had leaves as well: the server hears that it is gone.
    let actions = phone.batch(scope(), 2, 3, &[Entry::Leave(record_id(5))]);
    assert_eq!(sends(actions).len(), 2);
}

#[test]
fn leaving_and_coming_back_within_a_batch() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    phone.batch(scope(), 0, 1, &[other.whole(1)]);
    let back = [Entry::Leave(record_id(1)), other.whole(1)];
    phone.batch(scope(), 1, 3, &back);
    assert_eq!(phone.record(1).registers, other.record(1).registers);
    let away = [other.whole(1), Entry::Leave(record_id(1))];
    phone.batch(scope(), 3, 5, &away);
    assert_eq!(phone.store.count(None).unwrap(), 0);
}

#[test]
fn an_erased_record_goes_from_every_scope() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    for of in [scope(), other_scope()] {
        phone.batch(of, 0, 1, &[other.whole(1)]);
    }
    phone.batch(scope(), 1, 2, &[Entry::Erase(record_id(1))]);
    assert_eq!(phone.store.record(record_id(1)).unwrap(), None);
    assert_eq!(phone.cursor(other_scope()).digest, Default::default());
    // Its epoch is over; a new one begins without a trace of it.
    phone.batch(other_scope(), 1, 2, &[Entry::Erase(record_id(1))]);
    let mut again = others().whole(1);
    if let Entry::Whole(whole) = &mut again {
        whole.epoch = 1;
    }
    phone.batch(scope(), 2, 3, &[again]);
    assert_eq!(phone.record(1).epoch, 1);
}

/// Visits tell of the person; so does what was refused. A visit in the same batch is not kept either. A text that happens
/// to hold the person's id tells of nobody.
#[test]
fn an_erased_record_takes_every_trace_with_it() {
    let mut phone = Phone::welcomed(1);
    let values = |about: u8| {
        let (about, noted) = (record_id(about).to_string(), record_id(1).to_string());
        super::values(&[("resident", &about), ("note", &noted)])
    };
    let visit = |n: u8, about: u8| EventEntry {
        id: EventId::from_bytes([n; 16]),
        event_type: "visit".to_owned(),
        area: super::area(),
        user: identity(2).user,
        fields: values(about),
    };
    phone.batch(
        scope(),
        0,
        4,
        &[
            others().whole(1),
            Entry::Event(visit(41, 1)),
            Entry::Event(visit(42, 2)),
            Entry::Event(visit(43, 3)),
        ],
    );
    let refuse = |of: u8| {
        let item = crate::envelope::Item::Event(crate::envelope::EventItem {
            id: EventId::from_bytes([of + 50; 16]),
            event_type: "visit".to_owned(),
            area: super::area(),
            fields: values(of),
        });
        let refusal = crate::protocol::frames::Refusal {
            code: "out_of_scope".to_owned(),
            field: None,
            message: "已转给主管处理。".to_owned(),
        };
        (item, refusal, super::at(1))
    };
    let batch = crate::store::WriteBatch {
        refused: vec![refuse(1), refuse(2)],
        ..Default::default()
    };
    phone.store.commit(batch).unwrap();

    // The record, a visit that was erased by its own name, and a visit that comes in the same batch.
    let erased_visit = RecordId::from_bytes([43; 16]);
    let actions = phone.batch(
        scope(),
        4,
        7,
        &[
            Entry::Event(visit(44, 1)),
            Entry::Erase(record_id(1)),
            Entry::Erase(erased_visit),
        ],
    );
    let of_erased = actions.iter().find_map(|action| match action {
        Action::Erased(records) => Some(records.iter().copied().collect::<BTreeSet<_>>()),
        _ => None,
    });
    let visits = [41, 43].map(|n| RecordId::from_bytes([n; 16]));
    assert_eq!(
        of_erased.expect("photos go, too"),
        BTreeSet::from([record_id(1), visits[0], visits[1]])
    );
    let held = |n: u8| {
        let event = phone.store.event(EventId::from_bytes([n; 16])).unwrap();
        event.is_some()
    };
    assert_eq!([41, 42, 43, 44].map(held), [false, true, false, false]);
    assert_eq!(phone.store.events_about(record_id(1)).unwrap(), []);
    let left = phone.store.refused().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].item, refuse(2).0);
}

#[test]
fn states_and_events_come_and_go() {
    let mut phone = Phone::welcomed(1);
    let state = |key: &str, json: &str| {
        Entry::State(StateEntry {
            key: key.to_owned(),
            json: json.to_owned(),
        })
    };
    let area: AreaCode = super::area();
    let event = EventEntry {
        id: EventId::from_bytes([4; 16]),
        event_type: "visit".to_owned(),
        area,
        user: identity(2).user,
        fields: super::values(&[("house", &record_id(7).to_string())]),
    };
    let entries = [
        state("rights", "{}"),
        state("task/1", "1"),
        Entry::Event(event.clone()),
    ];
    let actions = phone.batch(scope(), 0, 3, &entries);
    let keys = actions.iter().find_map(|action| match action {
        Action::States(keys) => Some(keys.clone()),
        _ => None,
    });
    assert_eq!(keys.unwrap(), ["rights", "task/1"]);
    phone.batch(scope(), 3, 4, &[state("task/1", "")]);
    assert_eq!(phone.store.states("").unwrap().len(), 1);
    assert_eq!(phone.store.events_about(record_id(7)).unwrap(), [event]);
}

#[test]
fn damaged_entries_end_the_connection_and_leave_no_trace() {
    let (mut phone, other) = (Phone::welcomed(1), others());
    let mut puts = other.puts(1);
    if let Entry::Put(put) = &mut puts[2] {
        let last = put.bytes.len() - 1;
        put.bytes[last] ^= 1;
    }
    let packed = crate::protocol::frames::Batch::pack(scope(), 0, 3, &puts).unwrap();
    let mut garbled = packed.clone();
    garbled.packed.truncate(20);
    for batch in [packed, garbled] {
        let result = phone
            .session
            .receive(&mut phone.store, Down::Batch(batch), super::at(1));
        assert!(
            matches!(result, Err(DeviceError::Protocol(_))),
            "{result:?}"
        );
        assert_eq!(phone.store.count(None).unwrap(), 0);
        assert_eq!(phone.store.scopes().unwrap(), []);
    }
}
