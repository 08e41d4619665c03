//! An envelope's answer: accepted, waiting, refused, and what becomes of the edits on top of a refused one.

use super::{Phone, at, record_id, scope};
use crate::crdt::chunk;
use crate::envelope::Item;
use crate::ids::ChangeHash;
use crate::protocol::frames::{Down, Entry, Outcome, Pushed, Refusal};
use crate::store::DeviceStore;
use crate::sync::Action;

fn refused(code: &str) -> Outcome {
    Outcome::Refused(refusal(code))
}

fn refusal(code: &str) -> Refusal {
    Refusal {
        code: code.to_owned(),
        field: None,
        message: "已转给主管处理。".to_owned(),
    }
}

fn answer(phone: &mut Phone, seq: u64, outcomes: Vec<Outcome>) -> Vec<Action> {
    phone.receive(Down::Pushed(Pushed {
        seq,
        outcomes,
        refused: None,
    }))
}

fn hashes(phone: &Phone, n: u8) -> Vec<ChangeHash> {
    let changes = phone.store.changes(record_id(n)).unwrap();
    changes.iter().map(|change| change.hash).collect()
}

/// A phone with a confirmed record and three edits on top that are under way in one envelope.
fn three_edits() -> (Phone, [ChangeHash; 3]) {
    let mut phone = Phone::welcomed(1);
    let first = phone.create(1, "王小明");
    phone.push().unwrap();
    answer(&mut phone, 1, vec![Outcome::Accepted]);
    phone.batch(scope(), 0, 1, &[Entry::Own(record_id(1), first)]);
    let edits = [
        ("occupation", "教师"),
        ("phone", "13800000001"),
        ("workplace", "甲校"),
    ];
    let made = edits.map(|edit| phone.update(1, &[edit]).unwrap());
    assert_eq!(phone.push(), Some((2, 3)));
    (phone, made)
}

#[test]
fn accepted_and_duplicate_items_are_done() {
    let (mut phone, made) = three_edits();
    let outcomes = vec![Outcome::Accepted, Outcome::Duplicate, Outcome::Accepted];
    let actions = answer(&mut phone, 2, outcomes);
    let answered = Action::Answered {
        accepted: 3,
        refused: 0,
    };
    assert!(actions.contains(&answered));
    assert_eq!(phone.store.unsent().unwrap().items, 0);
    assert_eq!(phone.store.envelopes().unwrap(), []);
    // Shown as unconfirmed until the log says so.
    assert_eq!(hashes(&phone, 1)[1..], made);
    assert_eq!(phone.push(), None);
    // The same answer again, or one to an envelope of another life, is nothing to it.
    answer(
        &mut phone,
        2,
        vec![refused("x"), refused("x"), refused("x")],
    );
    answer(&mut phone, 99, vec![Outcome::Accepted]);
    assert_eq!(phone.store.refused().unwrap(), []);
}

#[test]
fn a_waiting_item_goes_up_again_first() {
    let (mut phone, _) = three_edits();
    phone.update(1, &[("latin_name", "Wang")]).unwrap();
    let outcomes = vec![Outcome::Accepted, Outcome::Waiting, Outcome::Waiting];
    answer(&mut phone, 2, outcomes);
    assert_eq!(phone.push(), Some((3, 3)));
}

#[test]
fn what_has_to_wait_is_not_sent_again_at_once() {
    let (mut phone, _) = three_edits();
    answer(&mut phone, 2, vec![Outcome::Waiting; 3]); // at 1,000 ms
    for (now, sent) in [(1_001, false), (10_999, false), (11_000, true)] {
        let frame = phone.session.push(&mut phone.store, at(now)).unwrap();
        assert_eq!(frame.is_some(), sent, "{now}");
    }
    // A clock that was set back does not stop it for long.
    answer(&mut phone, 3, vec![Outcome::Waiting; 3]);
    assert!(
        phone
            .session
            .push(&mut phone.store, at(-5))
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_refused_edit_is_taken_out_and_later_ones_are_made_again() {
    let (mut phone, made) = three_edits();
    phone.update(1, &[("latin_name", "Wang")]).unwrap(); // queued, not under way
    let outcomes = vec![
        refused("field_not_writable"),
        refused("builds_on_refused"),
        refused("builds_on_refused"),
    ];
    answer(&mut phone, 2, outcomes);

    assert_eq!(phone.value(1, "occupation"), None);
    assert_eq!(phone.value(1, "phone").as_deref(), Some("13800000001"));
    assert_eq!(phone.value(1, "workplace").as_deref(), Some("甲校"));
    assert_eq!(phone.value(1, "latin_name").as_deref(), Some("Wang"));
    let kept = phone.store.refused().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].refusal.code, "field_not_writable");
    assert!(
        matches!(&kept[0].item, Item::Change(change) if chunk::decode(&change.bytes).unwrap().1 == made[0])
    );

    // What goes up now builds on what the server has, in the order it was made, each with its own time.
    let outbox = phone.store.outbox().unwrap();
    assert_eq!(outbox.len(), 3);
    let mut heads = phone.record(1).confirmed;
    for item in &outbox {
        let Item::Change(change) = &item.item else {
            panic!()
        };
        let (change, hash) = chunk::decode(&change.bytes).unwrap();
        assert_eq!(change.deps, heads);
        assert_eq!(item.hash, Some(hash));
        assert_eq!(change.time, item.made_at.0);
        heads = vec![hash];
    }
    assert_eq!(heads, phone.record(1).registers.heads());
    let stored = hashes(&phone, 1);
    assert_eq!(stored.len(), 4);
    assert!(made.iter().all(|hash| !stored.contains(hash)));
    assert_eq!(phone.push(), Some((3, 3)));
}

#[test]
fn a_refusal_in_the_middle_keeps_what_was_accepted_before_it() {
    let (mut phone, made) = three_edits();
    // Someone else's change came meanwhile.
    let mut other = Phone::new(2);
    let seen = &phone.puts(1)[..1];
    other.batch(scope(), 0, 1, seen);
    let theirs = other.update(1, &[("former_name", "王二")]).unwrap();
    phone.batch(scope(), 1, 2, &other.puts(1)[1..]);
    let outcomes = vec![
        Outcome::Accepted,
        refused("out_of_scope"),
        refused("builds_on_refused"),
    ];
    answer(&mut phone, 2, outcomes);
    assert_eq!(phone.value(1, "occupation").as_deref(), Some("教师"));
    assert_eq!(phone.value(1, "phone"), None);
    assert_eq!(phone.value(1, "workplace").as_deref(), Some("甲校"));
    assert_eq!(phone.value(1, "former_name").as_deref(), Some("王二"));
    let outbox = phone.store.outbox().unwrap();
    let Item::Change(change) = &outbox[0].item else {
        panic!()
    };
    let mut expected = vec![made[0], theirs];
    expected.sort_unstable();
    assert_eq!(chunk::decode(&change.bytes).unwrap().0.deps, expected);
    // The server's log then brings what it accepted, in its own order.
    let mine = outbox[0].hash.unwrap();
    let entries = [made[0], mine].map(|hash| Entry::Own(record_id(1), hash));
    phone.batch(scope(), 2, 4, &entries);
    assert_eq!(phone.record(1).confirmed, [mine]);
}

#[test]
fn a_refused_record_goes_with_its_edits_and_all_are_kept_as_refused() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    phone.update(1, &[("occupation", "教师")]).unwrap();
    phone.create(2, "李四");
    assert_eq!(phone.push(), Some((1, 3)));
    phone.update(1, &[("phone", "13800000001")]).unwrap();
    let outcomes = vec![
        refused("out_of_scope"),
        refused("builds_on_refused"),
        Outcome::Accepted,
    ];
    answer(&mut phone, 1, outcomes);
    assert_eq!(phone.store.record(record_id(1)).unwrap(), None);
    assert_eq!(phone.value(2, "name").as_deref(), Some("李四"));
    let codes = |phone: &Phone| -> Vec<String> {
        let kept = phone.store.refused().unwrap();
        kept.into_iter().map(|kept| kept.refusal.code).collect()
    };
    assert_eq!(codes(&phone), ["builds_on_refused", "out_of_scope"]);
    // What was made after the envelope goes up as well, for the supervisor to have all of it.
    assert_eq!(phone.push(), Some((2, 1)));
    answer(&mut phone, 2, vec![refused("builds_on_refused")]);
    assert_eq!(codes(&phone).len(), 3);
    assert_eq!(phone.store.unsent().unwrap().items, 0);
    assert_eq!(phone.push(), None);
}

#[test]
fn a_refused_envelope_refuses_each_item() {
    let (mut phone, _) = three_edits();
    let frame = Down::Pushed(Pushed {
        seq: 2,
        outcomes: vec![],
        refused: Some(refusal("device_revoked")),
    });
    phone.receive(frame);
    assert_eq!(phone.store.refused().unwrap().len(), 3);
    assert_eq!(phone.store.unsent().unwrap().items, 0);
    assert_eq!(phone.record(1).registers.heads(), phone.record(1).confirmed);
}

#[test]
fn a_lost_answer_sends_the_same_bytes_again() {
    let (mut phone, _) = three_edits();
    let before = phone.store.envelopes().unwrap();
    phone.update(1, &[("latin_name", "Wang")]).unwrap();
    phone.reconnect();
    assert_eq!(phone.push(), Some((2, 3)));
    assert_eq!(phone.store.envelopes().unwrap(), before);
    // The next one gets a number of its own.
    assert_eq!(phone.push(), Some((3, 1)));
}

#[test]
fn answers_to_two_envelopes_with_a_refusal_in_the_first() {
    let mut phone = Phone::welcomed(1);
    let first = phone.create(1, "王小明");
    phone.push();
    answer(&mut phone, 1, vec![Outcome::Accepted]);
    phone.batch(scope(), 0, 1, &[Entry::Own(record_id(1), first)]);
    phone.update(1, &[("occupation", "教师")]);
    assert_eq!(phone.push(), Some((2, 1)));
    phone.update(1, &[("phone", "13800000001")]);
    assert_eq!(phone.push(), Some((3, 1)));
    // The first is refused: what is in the second is made again, and the answer to the second says nothing new.
    answer(&mut phone, 2, vec![refused("field_not_writable")]);
    assert_eq!(phone.store.outbox().unwrap().len(), 1);
    answer(&mut phone, 3, vec![refused("builds_on_refused")]);
    assert_eq!(phone.store.outbox().unwrap().len(), 1);
    assert_eq!(phone.value(1, "phone").as_deref(), Some("13800000001"));
    assert_eq!(phone.store.envelopes().unwrap(), []);
    assert_eq!(phone.push(), Some((4, 1)));
}
