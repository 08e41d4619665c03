//! What was made in an area that is taken from the device before the server has answered.

use super::{Phone, at, other_scope, record_id, scope, values};
use crate::envelope::Item;
use crate::ids::EventId;
use crate::protocol::frames::{Cursor, Down, Entry, Outcome, Pushed, PutEntry, ScopeState};
use crate::store::DeviceStore;
use crate::sync::{DeviceError, edit};

fn accepted(phone: &mut Phone, seq: u64) {
    phone.receive(Down::Pushed(Pushed {
        seq,
        outcomes: vec![Outcome::Accepted],
        refused: None,
    }));
}

#[test]
fn a_record_that_comes_back_is_not_edited_before_what_was_made_of_it_here() {
    let mut phone = Phone::welcomed(1);
    let mut server = Phone::welcomed(2);
    server.create(1, "王小明");
    phone.batch(scope(), 0, 1, &server.puts(1));
    let own = phone.update(1, &[("phone", "13800000001")]).unwrap();
    let queued = phone.store.outbox().unwrap();
    phone.welcome(vec![], vec![scope()]);
    assert_eq!(phone.push(), Some((1, 1)));
    accepted(&mut phone, 1);

    phone.batch(scope(), 0, 1, &server.puts(1));
    let fields = values(&[("occupation", "教师")]);
    let early = edit::update(&mut phone.store, &phone.who, record_id(1), &fields, at(2));
    assert!(matches!(early, Err(DeviceError::Loading)), "{early:?}");

    // Its own edit is only named, so it asks for the record.
    phone.batch(scope(), 1, 2, &[Entry::Own(record_id(1), own)]);
    let Item::Change(change) = queued[0].item.clone() else {
        panic!("{queued:?}")
    };
    let put = PutEntry {
        record: change.record,
        record_type: change.record_type,
        epoch: change.epoch,
        bytes: change.bytes,
    };
    server.batch(scope(), 0, 1, &[Entry::Put(put)]);
    phone.batch(scope(), 2, 2, &[server.whole(1)]);
    assert_eq!(phone.value(1, "phone").as_deref(), Some("13800000001"));
    phone.update(1, &[("occupation", "教师")]).unwrap();
}

#[test]
fn an_answered_visit_to_where_the_user_has_no_right_is_not_kept() {
    for away in [true, false] {
        let mut phone = Phone::welcomed(1);
        let mut fields = values(&[("mode", "01"), ("purpose", "01"), ("result", "01")]);
        fields.insert("resident".to_owned(), record_id(1).to_string().into());
        fields.insert("at".to_owned(), 1_700_000_000_000_i64.into());
        let id = EventId::new(at(7), [1; 10]);
        let (store, who) = (&mut phone.store, &phone.who);
        edit::record_event(store, who, id, "visit", super::area(), fields, at(7)).unwrap();
        // The register was lost: which areas the device may hold, it hears from the server.
        let held = ScopeState {
            scope: if away { other_scope() } else { scope() },
            end: Cursor::default(),
            bundle: None,
        };
        phone.welcome(vec![held], vec![]);
        assert_eq!(phone.push(), Some((1, 1)));
        assert!(
            phone.store.event(id).unwrap().is_some(),
            "until it is answered"
        );
        accepted(&mut phone, 1);
        assert_eq!(phone.store.event(id).unwrap().is_none(), away);
    }
}
