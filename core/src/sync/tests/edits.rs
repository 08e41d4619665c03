//! What a collector does, offline or not, and putting it back after a loss.

use super::{Phone, area, at, everything, other_scope, record_id, resident, scope, values};
use crate::envelope::Item;
use crate::ids::EventId;
use crate::protocol::frames::Down;
use crate::store::memory::MemoryStore;
use crate::store::{DeviceStore, OutboxItem, WriteBatch};
use crate::sync::{Action, DeviceError, edit};
use crate::value::Value;

#[test]
fn a_new_record_is_shown_and_queued() {
    let mut phone = Phone::new(1);
    let hash = phone.create(1, "王小明");
    assert_eq!(phone.value(1, "name").as_deref(), Some("王小明"));
    assert!(phone.store.list(&everything()).unwrap()[0].pending);
    assert_eq!(phone.store.scopes_of(record_id(1)).unwrap(), [scope()]);
    assert_eq!(phone.record(1).confirmed, []);
    let outbox = phone.store.outbox().unwrap();
    assert_eq!(outbox.len(), 1);
    assert_eq!((outbox[0].hash, outbox[0].made_at), (Some(hash), at(1)));
}

#[test]
fn an_id_is_given_once() {
    let mut phone = Phone::new(1);
    phone.create(1, "王小明");
    let before = phone.record(1);
    let (store, who) = (&mut phone.store, &phone.who);
    let again = edit::create(
        store,
        who,
        record_id(1),
        "resident",
        area(),
        resident("李四"),
        at(1),
    );
    assert!(matches!(again, Err(DeviceError::Exists)), "{again:?}");
    assert_eq!(phone.record(1), before);
    assert_eq!(phone.store.outbox().unwrap().len(), 1);
}

#[test]
fn every_wrong_field_is_named_and_nothing_is_kept() {
    let mut phone = Phone::new(1);
    let wrong = values(&[
        ("sex", "7x"),
        ("birth_date", "1970-13-01"),
        ("nickname", "x"),
    ]);
    let (store, who) = (&mut phone.store, &phone.who);
    let created = edit::create(
        store,
        who,
        record_id(1),
        "resident",
        area(),
        wrong.clone(),
        at(1),
    );
    let Err(DeviceError::Invalid(problems)) = created else {
        panic!("{created:?}")
    };
    let paths: Vec<&str> = problems.iter().map(|problem| &*problem.path).collect();
    for path in ["name", "birth_date", "nickname"] {
        assert!(paths.contains(&path), "{paths:?}");
    }
    let unknown = |name| {
        edit::create(
            &mut MemoryStore::default(),
            who,
            record_id(1),
            name,
            area(),
            resident("王小明"),
            at(1),
        )
    };
    assert!(matches!(unknown("ghost"), Err(DeviceError::NoSuchType)));
    assert!(matches!(unknown("visit"), Err(DeviceError::NoSuchType)));
    assert_eq!(phone.store.count(None).unwrap(), 0);

    phone.create(1, "王小明");
    let (store, who) = (&mut phone.store, &phone.who);
    let updated = edit::update(store, who, record_id(1), &wrong, at(2));
    assert!(matches!(updated, Err(DeviceError::Invalid(_))));
    let missing = edit::update(store, who, record_id(2), &resident("李四"), at(2));
    assert!(matches!(missing, Err(DeviceError::NoSuchRecord)));
    for key in ["_type", "_area", "_v"] {
        let fields = values(&[(key, "310101002002")]);
        let updated = edit::update(store, who, record_id(1), &fields, at(2));
        assert!(matches!(updated, Err(DeviceError::Invalid(_))), "{key}");
    }
    assert_eq!(phone.store.outbox().unwrap().len(), 1);
}

#[test]
fn an_edit_carries_only_what_it_changes() {
    let mut phone = Phone::new(1);
    phone.create(1, "王小明");
    assert_eq!(phone.update(1, &[("name", "王小明"), ("sex", "1")]), None);
    let mut cleared = values(&[("name", "王小明")]);
    cleared.insert("phone".to_owned(), Value::Null);
    let nothing = edit::update(&mut phone.store, &phone.who, record_id(1), &cleared, at(2));
    assert_eq!(nothing.unwrap(), None, "clearing what was never there");
    assert_eq!(phone.store.outbox().unwrap().len(), 1);

    phone
        .update(1, &[("name", "王小明"), ("occupation", "教师")])
        .unwrap();
    let outbox = phone.store.outbox().unwrap();
    let Item::Change(item) = &outbox[1].item else {
        panic!()
    };
    let (change, _) = crate::crdt::chunk::decode(&item.bytes).unwrap();
    let keys: Vec<&str> = change.ops.iter().map(|op| &*op.key).collect();
    assert_eq!(keys, ["occupation"]);
    assert_eq!(phone.value(1, "occupation").as_deref(), Some("教师"));
}

#[test]
fn an_edit_of_a_disputed_value_settles_it_even_with_the_winner() {
    let mut phone = Phone::welcomed(1);
    let mut other = Phone::welcomed(2);
    phone.create(1, "王小明");
    other.batch(scope(), 0, 1, &phone.puts(1));
    other.update(1, &[("name", "王晓明")]).unwrap();
    phone.update(1, &[("name", "王小鸣")]).unwrap();
    phone.batch(scope(), 0, 2, &other.puts(1));
    assert_eq!(phone.record(1).registers.all("name").len(), 2);
    let shown = phone.value(1, "name").unwrap();
    assert!(phone.update(1, &[("name", &shown)]).is_some());
    assert_eq!(phone.record(1).registers.all("name").len(), 1);
}

fn visit(about: u8) -> crate::value::Fields {
    let mut fields = values(&[
        ("house", &record_id(about).to_string()),
        ("purpose", "01"),
        ("mode", "01"),
        (
            "result",
            &crate::codes::table("visit_result").unwrap().entries[0].code,
        ),
    ]);
    fields.insert("at".to_owned(), Value::Int(1_700_000_000_000));
    fields
}

pub(super) fn record_visit(phone: &mut Phone, n: u8) -> EventId {
    let id = EventId::from_bytes([n; 16]);
    let declared = crate::records::record_type("visit").unwrap();
    let problems = crate::records::validate(declared, &visit(7), crate::records::Mode::Whole);
    assert_eq!(problems, []);
    let (store, who) = (&mut phone.store, &phone.who);
    edit::record_event(store, who, id, "visit", area(), visit(7), at(5)).unwrap();
    id
}

#[test]
fn an_event_is_shown_and_queued() {
    let mut phone = Phone::new(1);
    let id = record_visit(&mut phone, 3);
    let found = phone.store.events_about(record_id(7)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].user), (id, phone.who.user));
    assert!(matches!(&phone.store.outbox().unwrap()[0].item, Item::Event(item) if item.id == id));
    let (store, who) = (&mut phone.store, &phone.who);
    let wrong = edit::record_event(store, who, id, "resident", area(), visit(7), at(5));
    assert!(matches!(wrong, Err(DeviceError::NoSuchType)));
}

/// A store that has lost its records and kept its outbox.
fn only_the_outbox(phone: &Phone) -> MemoryStore {
    let mut store = MemoryStore::default();
    let items = phone.store.outbox().unwrap().into_iter();
    let queue = items.map(
        |OutboxItem {
             item,
             hash,
             made_at,
             ..
         }| (item, hash, made_at),
    );
    store
        .commit(WriteBatch {
            queue: queue.collect(),
            ..WriteBatch::default()
        })
        .unwrap();
    store
}

#[test]
fn what_was_not_sent_comes_back_from_the_outbox_alone() {
    let mut phone = Phone::new(1);
    phone.create(1, "王小明");
    phone.update(1, &[("occupation", "教师")]);
    phone.create(2, "李四");
    let event = record_visit(&mut phone, 3);
    let mut store = only_the_outbox(&phone);
    let mut mended = edit::recover(&mut store, &phone.who).unwrap();
    mended.dedup();
    assert_eq!(mended, [record_id(1), record_id(2)]);
    for n in [1, 2] {
        assert_eq!(store.record(record_id(n)).unwrap(), Some(phone.record(n)));
        assert_eq!(
            store.changes(record_id(n)).unwrap(),
            phone.store.changes(record_id(n)).unwrap()
        );
        assert_eq!(store.scopes_of(record_id(n)).unwrap(), [scope()]);
    }
    let found = store.event(event).unwrap();
    assert_eq!(found, phone.store.event(event).unwrap());
    assert_eq!(
        store.list(&everything()).unwrap(),
        phone.store.list(&everything()).unwrap()
    );
    // Once more changes nothing.
    assert_eq!(edit::recover(&mut store, &phone.who).unwrap(), []);
    assert_eq!(
        store.outbox().unwrap(),
        only_the_outbox(&phone).outbox().unwrap()
    );
}

#[test]
fn unsent_edits_show_again_when_their_record_is_back() {
    let mut other = Phone::new(2);
    other.create(1, "王小明");
    other.update(1, &[("latin_name", "Wang")]).unwrap();
    let mut phone = Phone::welcomed(1);
    phone.batch(scope(), 0, 2, &other.puts(1));
    phone.update(1, &[("occupation", "教师")]).unwrap();
    phone.update(1, &[("workplace", "甲校")]).unwrap();
    let (before, cursor) = (phone.record(1), phone.cursor(scope()));
    // At once, when it comes whole.
    phone.store = only_the_outbox(&phone);
    assert_eq!(edit::recover(&mut phone.store, &phone.who).unwrap(), []);
    phone.batch(scope(), 0, 2, &[other.whole(1)]);
    assert_eq!(phone.record(1), before);
    assert_eq!(phone.receive(Down::Checkpoint(scope(), cursor)), []);
    // When the scope is complete, where it comes in pieces.
    phone.store = only_the_outbox(&phone);
    for (at, put) in other.puts(1).into_iter().enumerate() {
        phone.batch(scope(), at as u64, at as u64 + 1, &[put]);
    }
    assert_eq!(phone.value(1, "occupation"), None);
    let actions = phone.receive(Down::Checkpoint(scope(), cursor));
    assert!(matches!(&actions[..], [Action::Changed(_)]));
    let changed = |phone: &Phone| (phone.record(1).registers, phone.record(1).confirmed);
    assert_eq!(changed(&phone), (before.registers, before.confirmed));
    assert_eq!(phone.receive(Down::Checkpoint(scope(), cursor)), []);
}

#[test]
fn an_event_that_is_there_keeps_its_author() {
    let mut phone = Phone::new(1);
    let id = record_visit(&mut phone, 3);
    let before = phone.store.event(id).unwrap();
    edit::recover(&mut phone.store, &phone.who).unwrap();
    assert_eq!(phone.store.event(id).unwrap(), before);
}

#[test]
fn a_record_that_was_taken_away_does_not_come_back_with_the_outbox() {
    let mut phone = Phone::welcomed(1);
    phone.batch(other_scope(), 0, 1, &[]);
    phone.batch(scope(), 0, 1, &[]);
    phone.create(1, "王小明");
    // The area was taken from the user before this could be sent: the server keeps it for the supervisor.
    phone.welcome(vec![], vec![scope()]);
    assert_eq!(phone.store.count(None).unwrap(), 0);
    assert_eq!(edit::recover(&mut phone.store, &phone.who).unwrap(), []);
    assert_eq!(phone.store.count(None).unwrap(), 0);
    assert_eq!(phone.store.outbox().unwrap().len(), 1);
}
