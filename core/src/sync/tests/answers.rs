//! An envelope's answer: accepted, waiting, refused, and what becomes of the edits on top of a refused one.

use super::edits::record_visit;
use super::{Phone, at, record_id, scope};
use crate::crdt::{FlatChange, chunk};
use crate::envelope::Item;
use crate::ids::ChangeHash;
use crate::protocol::frames::{Down, Entry, Outcome, Pushed, Refusal, Welcome};
use crate::store::DeviceStore;
use crate::sync::{Action, requeue};

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

/// The phone hears of the erasure after it made these, so they were put back on its checkpoint.
#[test]
fn of_what_tells_of_someone_erased_nothing_stays() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    let visit = record_visit(&mut phone, 41);
    phone.push().unwrap();
    let actions = answer(&mut phone, 1, vec![refused(Refusal::ERASED); 2]);
    let photos_of = Action::Erased(vec![visit.into()]);
    assert!(actions.contains(&photos_of), "{actions:?}");
    assert_eq!(phone.store.record(record_id(1)).unwrap(), None);
    assert_eq!(phone.store.event(visit).unwrap(), None);
    assert_eq!(phone.store.unsent().unwrap().items, 0);
    let left = phone.store.refused().unwrap();
    assert_eq!(left.len(), 2, "the collector is told");
    for told in left {
        match told.item {
            Item::Change(change) => assert!(change.bytes.is_empty()),
            Item::Event(event) => assert!(event.fields.is_empty()),
        }
    }
    // Nor is it queued again when the outbox is lost, or given back to a server that was restored.
    assert_eq!(requeue(&mut phone.store, phone.who.user).unwrap(), 0);
    phone.receive(Down::Welcome(Welcome {
        time: at(0),
        next_envelope: 1,
        scopes: vec![],
        dropped: vec![],
    }));
    assert_eq!(phone.push(), None);
    assert_eq!(phone.store.refused().unwrap().len(), 2);
}

/// The change of the outbox's item, and its hash.
fn queued(phone: &Phone, at: usize) -> (FlatChange, ChangeHash) {
    let outbox = phone.store.outbox().unwrap();
    let Item::Change(change) = &outbox[at].item else {
        panic!()
    };
    let (change, hash) = chunk::decode(&change.bytes).unwrap();
    assert_eq!(outbox[at].hash, Some(hash));
    assert_eq!(outbox[at].made_at.0, change.time);
    (change, hash)
}

#[test]
fn a_refused_edit_is_taken_out_with_those_sent_on_top_and_later_ones_are_made_again() {
    let (mut phone, made) = three_edits();
    phone.update(1, &[("latin_name", "Wang")]).unwrap(); // queued, not under way
    phone.update(1, &[("former_name", "王二")]).unwrap();
    let outcomes = vec![
        refused("field_not_writable"),
        refused("builds_on_refused"),
        refused("builds_on_refused"),
    ];
    answer(&mut phone, 2, outcomes);

    // What was sent is with the supervisor: made again, it would be there twice.
    for key in ["occupation", "phone", "workplace"] {
        assert_eq!(phone.value(1, key), None, "{key}");
    }
    assert_eq!(phone.value(1, "latin_name").as_deref(), Some("Wang"));
    assert_eq!(phone.value(1, "former_name").as_deref(), Some("王二"));
    let kept = phone.store.refused().unwrap().into_iter().rev();
    let kept = kept.map(|kept| match kept.item {
        Item::Change(change) => chunk::decode(&change.bytes).unwrap().1,
        Item::Event(_) => panic!(),
    });
    assert_eq!(kept.collect::<Vec<_>>(), made);

    // What goes up now builds on what the server has, in the order it was made, each with its own time.
    assert_eq!(phone.store.outbox().unwrap().len(), 2);
    let (first, hash) = queued(&phone, 0);
    assert_eq!(first.deps, phone.record(1).confirmed);
    let (second, last) = queued(&phone, 1);
    assert_eq!(second.deps, [hash]);
    assert_eq!(phone.record(1).registers.heads(), [last]);
    let stored = hashes(&phone, 1);
    assert_eq!(stored.len(), 3);
    assert!(made.iter().all(|hash| !stored.contains(hash)));
    assert_eq!(phone.push(), Some((3, 2)));
}

#[test]
fn an_edit_made_again_sees_no_more_than_its_author_saw() {
    let (mut phone, made) = three_edits();
    phone.update(1, &[("name", "王大明")]).unwrap(); // queued, not under way
    // Someone else's name came meanwhile, and an edit after it.
    let mut other = Phone::welcomed(2);
    let seen = &phone.puts(1)[..1];
    other.batch(scope(), 0, 1, seen);
    let theirs = other.update(1, &[("name", "王晓明")]).unwrap();
    phone.batch(scope(), 1, 2, &other.puts(1)[1..]);
    phone.update(1, &[("latin_name", "Wang")]).unwrap();
    let outcomes = vec![
        Outcome::Accepted,
        refused("field_not_writable"),
        refused("builds_on_refused"),
    ];
    answer(&mut phone, 2, outcomes);
    assert_eq!(phone.value(1, "occupation").as_deref(), Some("教师"));
    assert_eq!(phone.value(1, "phone"), None);
    // On top of the other's name it would replace it, and nobody would ever decide between the two.
    let (name, first) = queued(&phone, 0);
    assert_eq!(name.deps, [made[0]]);
    assert_eq!(phone.record(1).registers.all("name").len(), 2);
    let (latin, second) = queued(&phone, 1);
    let mut expected = vec![first, theirs];
    expected.sort_unstable();
    assert_eq!(latin.deps, expected);
    // The server's log then brings what it accepted, in its own order.
    let entries = [made[0], first, second].map(|hash| Entry::Own(record_id(1), hash));
    phone.batch(scope(), 2, 5, &entries);
    assert_eq!(phone.record(1).confirmed, [second]);
    assert_eq!(phone.record(1).registers.heads(), [second]);
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
    phone.update(1, &[("latin_name", "Wang")]);
    // The first is refused: the second builds on it, and its answer will say so; what was not sent is made again.
    answer(&mut phone, 2, vec![refused("field_not_writable")]);
    assert_eq!(phone.value(1, "phone"), None);
    assert_eq!(phone.store.outbox().unwrap().len(), 2);
    answer(&mut phone, 3, vec![refused("builds_on_refused")]);
    assert_eq!(phone.store.outbox().unwrap().len(), 1);
    assert_eq!(phone.store.refused().unwrap().len(), 2);
    assert_eq!(phone.value(1, "latin_name").as_deref(), Some("Wang"));
    assert_eq!(queued(&phone, 0).0.deps, phone.record(1).confirmed);
    assert_eq!(phone.store.envelopes().unwrap(), []);
    assert_eq!(phone.push(), Some((4, 1)));
}
