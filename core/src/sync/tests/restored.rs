//! A server that has less than it had: what the device notices it by, what it gives back and in which order.

use super::{Phone, at, record_id, scope, sends};
use crate::envelope::Item;
use crate::ids::ChangeHash;
use crate::protocol::frames::{
    Cursor, Down, Entry, Outcome, Pushed, Refusal, ScopeState, Up, Welcome,
};
use crate::store::DeviceStore;
use crate::sync::{Action, DeviceSession, loading_key};

/// Connects anew; the server expects this envelope, and its logs end there.
fn connect(phone: &mut Phone, next_envelope: u64, ends: &[Cursor]) -> Vec<Action> {
    phone.session = DeviceSession::new(phone.who.clone(), vec![1; 32]);
    let scopes = ends.iter().map(|end| ScopeState {
        scope: scope(),
        end: *end,
        bundle: None,
    });
    let scopes = scopes.collect();
    phone.receive(Down::Welcome(Welcome {
        time: at(0),
        next_envelope,
        scopes,
        dropped: vec![],
    }))
}

fn end(seq: u64) -> Cursor {
    Cursor {
        seq,
        ..Cursor::default()
    }
}

fn answer(phone: &mut Phone, seq: u64, outcome: Outcome) {
    phone.receive(Down::Pushed(Pushed {
        seq,
        outcomes: vec![outcome],
        refused: None,
    }));
}

fn refused(code: &str) -> Outcome {
    Outcome::Refused(Refusal {
        code: code.to_owned(),
        field: None,
        message: "已转给主管核对。".to_owned(),
    })
}

fn begins_anew(actions: &[Action]) -> bool {
    let end = |action: &Action| matches!(action, Action::Bye(bye) if bye.code == "set_back");
    actions.iter().any(end)
}

fn queued(phone: &Phone) -> Vec<Option<ChangeHash>> {
    let outbox = phone.store.outbox().unwrap();
    outbox.iter().map(|item| item.hash).collect()
}

/// A phone whose first change was accepted and came back, the second refused; a third with the number of the second was
/// accepted.
fn answered() -> (Phone, [ChangeHash; 3]) {
    let mut phone = Phone::welcomed(1);
    let first = phone.create(1, "王小明");
    phone.push();
    answer(&mut phone, 1, Outcome::Accepted);
    phone.batch(scope(), 0, 1, &[Entry::Own(record_id(1), first)]);
    let second = phone.update(1, &[("occupation", "教师")]).unwrap();
    phone.push();
    answer(&mut phone, 2, refused("field_not_writable"));
    let third = phone.update(1, &[("remark", "晚上在家")]).unwrap();
    phone.push();
    answer(&mut phone, 3, Outcome::Accepted);
    (phone, [first, second, third])
}

#[test]
fn everything_goes_up_again_in_its_order_and_each_once() {
    let (mut phone, [first, second, third]) = answered();
    // Under way when the server stopped.
    let fourth = phone.update(1, &[("remark", "白天在家")]).unwrap();
    assert_eq!(phone.push(), Some((4, 1)));

    assert!(begins_anew(&connect(&mut phone, 2, &[])));
    assert_eq!(phone.push(), None, "its cursors were of another history");
    let again = [first, third, second, fourth].map(Some);
    assert_eq!(queued(&phone), again);
    assert_eq!(phone.store.refused().unwrap(), []);
    assert_eq!(phone.cursor(scope()), Cursor::default());
    assert_eq!(phone.value(1, "remark").as_deref(), Some("白天在家"));

    // The same once more changes nothing: the phone has noted where the server stands.
    assert!(!begins_anew(&connect(&mut phone, 2, &[])));
    assert_eq!(queued(&phone), again);
    assert_eq!(phone.push(), Some((2, 4)));
}

#[test]
fn a_log_that_ends_before_the_cursor_says_the_same() {
    let (mut phone, [first, second, third]) = answered();
    assert!(!begins_anew(&connect(&mut phone, 4, &[end(1)])));
    assert!(begins_anew(&connect(&mut phone, 4, &[end(0)])));
    assert_eq!(queued(&phone), [first, third, second].map(Some));
}

/// A number that was wrong was not judged: that the server expects a lower one is nothing new.
#[test]
fn numbers_that_were_not_judged_are_no_sign() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    connect(&mut phone, 9, &[]);
    assert_eq!(phone.push(), Some((9, 1)));
    assert!(!begins_anew(&connect(&mut phone, 7, &[])));
    assert_eq!(phone.push(), Some((9, 1)));
    let refused = Refusal {
        code: "envelope_gap".to_owned(),
        field: None,
        message: "请重新连接。".to_owned(),
    };
    phone.receive(Down::Pushed(Pushed {
        seq: 9,
        outcomes: vec![],
        refused: Some(refused),
    }));
    assert!(!begins_anew(&connect(&mut phone, 7, &[])));
    assert_eq!(phone.push(), Some((7, 1)));
}

#[test]
fn what_is_forged_stays_on_the_list() {
    let (mut phone, _) = answered();
    let fourth = phone.update(1, &[("remark", "白天在家")]).unwrap();
    phone.push();
    answer(&mut phone, 4, refused("forged_actor"));
    connect(&mut phone, 1, &[]);
    assert!(!queued(&phone).contains(&Some(fourth)));
    let kept = phone.store.refused().unwrap();
    let is_it = |item: &Item| matches!(item, Item::Change(item) if item.record == record_id(1));
    assert!(kept.len() == 1 && is_it(&kept[0].item), "{kept:?}");
}

/// The record was away once and came back. When that past comes again, its unsent edits stay on it.
#[test]
fn a_record_does_not_go_while_the_past_comes_again() {
    let (mut phone, _) = answered();
    connect(&mut phone, 1, &[]);
    let puts = phone.puts(1);
    connect(&mut phone, 1, &[end(3)]);
    phone.batch(scope(), 0, 1, &puts[..1]);
    phone.batch(scope(), 1, 2, &[Entry::Leave(record_id(1))]);
    phone.batch(scope(), 2, 3, &[]);
    assert_eq!(phone.value(1, "remark").as_deref(), Some("晚上在家"));
    // It is not there now: the checkpoint finds it out.
    let asks = sends(phone.receive(Down::Checkpoint(scope(), end(3))));
    assert!(matches!(&asks[..], [Up::Heads(heads)] if heads.records.len() == 1));
    phone.batch(scope(), 3, 3, &[Entry::Leave(record_id(1))]);
    assert!(phone.store.record(record_id(1)).unwrap().is_none());
    phone.receive(Down::Checkpoint(scope(), end(3)));
    assert!(phone.store.record(record_id(1)).unwrap().is_none());
    assert_eq!(phone.push(), Some((1, 3)));
}

/// An envelope that the server has, whose answer was lost, goes up as it was: made again, it could be there twice.
#[test]
fn what_the_server_has_is_not_numbered_anew() {
    let (mut phone, [first, second, third]) = answered();
    let fourth = phone.update(1, &[("remark", "白天在家")]).unwrap();
    assert_eq!(phone.push(), Some((4, 1)));
    let fifth = phone.update(1, &[("occupation", "医生")]).unwrap();
    assert_eq!(phone.push(), Some((5, 1)));
    // It lacks the log's end and the fifth envelope, and has the fourth.
    assert!(begins_anew(&connect(&mut phone, 5, &[end(0)])));
    let again = [fourth, first, third, second, fifth];
    assert_eq!(queued(&phone), again.map(Some));
    connect(&mut phone, 5, &[]);
    assert_eq!(phone.push(), Some((4, 1)));
    assert_eq!(phone.push(), Some((5, 4)));
}

/// Nothing of its own was answered since the backup, and the log is as long again: a repair lacks what was confirmed.
#[test]
fn a_repair_without_a_confirmed_change_says_the_same() {
    let mut other = Phone::welcomed(2);
    other.create(1, "王小明");
    other.update(1, &[("remark", "晚上在家")]).unwrap();
    let mut phone = Phone::new(1);
    connect(&mut phone, 1, &[end(2)]);
    phone.batch(scope(), 0, 2, &other.puts(1));
    let asks = sends(phone.receive(Down::Checkpoint(scope(), end(2))));
    assert!(matches!(&asks[..], [Up::Heads(_)]));
    let mut restored = Phone::welcomed(2);
    restored.create(1, "王小明");
    assert!(begins_anew(&phone.batch(
        scope(),
        2,
        2,
        &[restored.whole(1)]
    )));
    assert_eq!(phone.cursor(scope()).seq, 2, "only noted");
    assert!(begins_anew(&connect(&mut phone, 1, &[])));
    assert_eq!(phone.cursor(scope()).seq, 0);
    assert!(!begins_anew(&connect(&mut phone, 1, &[])));
    assert_eq!(phone.value(1, "remark").as_deref(), Some("晚上在家"));
}

/// What was still coming when the server was set back is complete where the log ends now.
#[test]
fn a_scope_that_was_coming_is_complete_at_the_end_that_is_told_now() {
    let mut phone = Phone::new(1);
    connect(&mut phone, 1, &[end(9)]);
    let until = |phone: &Phone| phone.store.state(&loading_key(scope())).unwrap();
    assert_eq!(until(&phone).as_deref(), Some("9"));
    connect(&mut phone, 1, &[end(4)]);
    assert_eq!(until(&phone).as_deref(), Some("4"));
    connect(&mut phone, 1, &[]);
    assert_eq!(until(&phone), None);
}
