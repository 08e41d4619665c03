//! Envelopes' numbers after something was lost on one side: the device's outbox, or what the server last took.

use super::{Phone, at, record_id, scope};
use crate::ids::EventId;
use crate::protocol::frames::{Down, Entry, Outcome, Pushed, Refusal, Welcome};
use crate::store::{DeviceStore, WriteBatch};
use crate::sync::{DeviceSession, edit, requeue};

fn welcome(phone: &mut Phone, next_envelope: u64) {
    phone.session = DeviceSession::new(phone.who.clone(), vec![1; 32]);
    phone.receive(Down::Welcome(Welcome {
        time: at(0),
        next_envelope,
        scopes: vec![],
        dropped: vec![],
    }));
}

fn answer(phone: &mut Phone, seq: u64, items: usize, whole: Option<&str>) {
    let refused = whole.map(|code| Refusal {
        code: code.to_owned(),
        field: None,
        message: "请重新连接。".to_owned(),
    });
    let outcomes = vec![Outcome::Accepted; if whole.is_some() { 0 } else { items }];
    phone.receive(Down::Pushed(Pushed {
        seq,
        outcomes,
        refused,
    }));
}

/// Forgets the outbox, as when its file is gone.
fn lose_outbox(phone: &mut Phone) {
    let unqueue = phone
        .store
        .outbox()
        .unwrap()
        .into_iter()
        .map(|item| item.id);
    let answered = phone
        .store
        .envelopes()
        .unwrap()
        .into_iter()
        .map(|one| one.seq);
    let batch = WriteBatch {
        unqueue: unqueue.collect(),
        answered: answered.collect(),
        ..WriteBatch::default()
    };
    phone.store.commit(batch).unwrap();
}

#[test]
fn after_a_lost_outbox_the_numbers_go_on_from_the_servers() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    welcome(&mut phone, 8);
    assert_eq!(phone.push(), Some((8, 1)));
    phone.update(1, &[("occupation", "教师")]).unwrap();
    assert_eq!(phone.push(), Some((9, 1)));
    answer(&mut phone, 8, 1, None);
    answer(&mut phone, 9, 1, None);
    phone.update(1, &[("occupation", "医生")]).unwrap();
    assert_eq!(phone.push(), Some((10, 1)));
    assert_eq!(phone.store.refused().unwrap(), []);
}

#[test]
fn what_the_records_hold_and_nobody_confirmed_goes_up_again() {
    let mut phone = Phone::welcomed(1);
    let first = phone.create(1, "王小明");
    phone.push();
    answer(&mut phone, 1, 1, None);
    phone.batch(scope(), 0, 1, &[Entry::Own(record_id(1), first)]);
    let second = phone.update(1, &[("occupation", "教师")]).unwrap();
    phone.push();
    let third = phone.update(1, &[("occupation", "医生")]).unwrap();
    let visit = visit(&mut phone);
    lose_outbox(&mut phone);

    assert_eq!(requeue(&mut phone.store, phone.who.user).unwrap(), 3);
    let queued = phone.store.outbox().unwrap();
    let hashes: Vec<_> = queued.iter().map(|item| item.hash).collect();
    assert_eq!(hashes, [Some(second), Some(third), None]);
    assert!(matches!(&queued[2].item, crate::envelope::Item::Event(event) if event.id == visit));
    assert_eq!(queued[0].made_at, at(2));
    // Nothing twice, however often.
    assert_eq!(requeue(&mut phone.store, phone.who.user).unwrap(), 0);
    welcome(&mut phone, 2);
    assert_eq!(phone.push(), Some((2, 3)));
}

fn visit(phone: &mut Phone) -> EventId {
    let mut fields = super::values(&[("mode", "01"), ("purpose", "01"), ("result", "01")]);
    fields.insert("resident".to_owned(), record_id(1).to_string().into());
    fields.insert("at".to_owned(), 1_700_000_000_000_i64.into());
    let id = EventId::new(at(7), [1; 10]);
    let (store, who) = (&mut phone.store, &phone.who);
    edit::record_event(store, who, id, "visit", super::area(), fields, at(7)).unwrap();
    id
}

/// The server came back from a backup and expects a number that this device has passed.
#[test]
fn envelopes_that_were_not_judged_are_numbered_anew_and_nothing_is_refused() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    welcome(&mut phone, 9);
    assert_eq!(phone.push(), Some((9, 1)));
    phone.update(1, &[("occupation", "教师")]).unwrap();
    assert_eq!(phone.push(), Some((10, 1)));
    welcome(&mut phone, 7);
    assert_eq!(phone.push(), Some((9, 1)));
    assert_eq!(phone.push(), Some((10, 1)));
    answer(&mut phone, 9, 1, Some("envelope_gap"));
    assert_eq!(
        phone.push(),
        None,
        "first all that is under way is answered"
    );
    answer(&mut phone, 10, 1, Some("envelope_gap"));
    assert_eq!(phone.push(), Some((7, 2)));
    answer(&mut phone, 7, 2, None);
    assert_eq!(phone.store.unsent().unwrap().items, 0);
    assert_eq!(phone.store.refused().unwrap(), []);
    phone.update(1, &[("occupation", "医生")]).unwrap();
    assert_eq!(phone.push(), Some((8, 1)));
}
