//! Concurrent edits: what a person must decide, and what merges by rule.

use super::{Device, Server, accepted, begun, puts};
use crate::accept::{ConflictDraft, ConflictKind, Judged};
use crate::value::Value;

fn drafts(judged: Judged) -> Vec<ConflictDraft> {
    match judged {
        Judged::Accepted(conflicts) => conflicts,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Both edit offline; the second's change is judged after the first's.
fn concurrently(key: &str, first: &str, second: &str) -> (Vec<ConflictDraft>, Server, [Device; 2]) {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let edits = [one.set(key, first), two.set(key, second)];
    server.plain(&one, &edits[0]);
    let conflicts = drafts(server.judge(&two, &edits[1]));
    (conflicts, server, [one, two])
}

fn texts(draft: &ConflictDraft) -> Vec<&str> {
    let values = draft.values.iter();
    values.filter_map(|held| held.value.as_text()).collect()
}

#[test]
fn two_values_of_a_reviewed_field_are_a_conflict_with_base_and_authors() {
    let (conflicts, server, [one, two]) = concurrently("name", "王晓明", "王小鸣");
    let [draft] = &conflicts[..] else {
        panic!("{conflicts:?}")
    };
    assert_eq!(draft.kind, ConflictKind::Field);
    assert_eq!(draft.key, "name");
    assert_eq!(draft.base, Some("王小明".into()));
    let mut found = texts(draft);
    found.sort_unstable();
    assert_eq!(found, ["王小鸣", "王晓明"]);
    let winner = server.hold.registers.get("name");
    assert_eq!(winner, Some(&draft.values[0].value), "the winner first");
    // Each value names the change, and so the person, it comes from.
    let mut changes: Vec<_> = draft.values.iter().map(|held| held.change).collect();
    let mut expected = [one.held.heads()[0], two.held.heads()[0]];
    changes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(changes, expected);
}

#[test]
fn a_field_that_neither_had_before_has_no_base() {
    let (conflicts, ..) = concurrently("id_number", "310101197004275621", "310101198001010017");
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].base, None);
}

#[test]
fn clearing_against_changing_is_a_conflict_too() {
    let (conflicts, ..) = concurrently("name", "", "王小鸣");
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].values.iter().any(|held| held.value.is_null()));
}

#[test]
fn equal_values_are_no_conflict() {
    let (conflicts, server, _) = concurrently("name", "王晓明", "王晓明");
    assert_eq!(conflicts, []);
    assert_eq!(server.hold.registers.get("name"), Some(&"王晓明".into()));
}

#[test]
fn different_fields_merge_without_a_word() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let edits = [one.set("name", "王晓明"), two.set("phone", "13800000002")];
    server.plain(&one, &edits[0]);
    server.plain(&two, &edits[1]);
    assert_eq!(server.hold.registers.get("name"), Some(&"王晓明".into()));
    let phone = server.hold.registers.get("phone");
    assert_eq!(phone, Some(&"13800000002".into()));
}

#[test]
fn rule_latest_takes_the_winner() {
    let (conflicts, server, [one, two]) = concurrently("phone", "13800000002", "13800000003");
    assert_eq!(conflicts, []);
    let phones = [&one.held, &two.held].map(|held| held.winner("phone").unwrap());
    let winner = phones.into_iter().max_by_key(|held| held.op);
    assert_eq!(server.hold.registers.winner("phone"), winner);
}

#[test]
fn elements_of_a_set_merge_one_by_one() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let yes = |key: &str| [(key.to_owned(), Value::Bool(true))].into();
    let edits = [
        one.edit(&yes("tags/elderly")),
        two.edit(&yes("tags/disabled")),
    ];
    server.plain(&one, &edits[0]);
    server.plain(&two, &edits[1]);
}

#[test]
fn a_third_value_reopens_what_was_decided() {
    let (_, mut server, [mut one, two]) = concurrently("name", "王晓明", "王小鸣");
    let mut late = Device::collector(3);
    late.held = begun().1.held;
    // A supervisor decides, having both.
    let theirs = server.history[&two.held.heads()[0]].clone();
    one.take(&theirs, two.held.heads()[0]);
    let decision = one.set("name", "王小鸣");
    server.plain(&one, &decision);
    // Who edited offline before that is heard, not silently undone or undoing.
    let edit = late.set("name", "汪小明");
    let conflicts = drafts(server.judge(&late, &edit));
    assert_eq!(conflicts.len(), 1);
    let mut found = texts(&conflicts[0]);
    found.sort_unstable();
    assert_eq!(found, ["汪小明", "王小鸣"]);
    assert_eq!(conflicts[0].base, Some("王小明".into()));
}

#[test]
fn an_edit_that_does_not_know_of_the_cancellation_is_a_conflict() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let cancel = one.edit(&puts(&[("status", "cancelled"), ("cancel_reason", "1")]));
    let edit = two.set("phone", "13800000002");
    server.plain(&one, &cancel);
    let conflicts = drafts(server.judge(&two, &edit));
    check_cancel(&conflicts, cancel.1, edit.1);
    // Said once: what the same collector adds before hearing of it is part of the same matter, and is said again.
    let more = two.set("occupation", "教师");
    let conflicts = drafts(server.judge(&two, &more));
    check_cancel(&conflicts, cancel.1, more.1);
}

#[test]
fn a_cancellation_that_does_not_know_of_an_edit_is_a_conflict() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let cancel = one.edit(&puts(&[("status", "cancelled"), ("cancel_reason", "1")]));
    let edit = two.set("phone", "13800000002");
    server.plain(&two, &edit);
    let conflicts = drafts(server.judge(&one, &cancel));
    check_cancel(&conflicts, cancel.1, edit.1);
}

#[test]
fn the_rival_of_a_cancellation_is_an_edit_it_did_not_know() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    // The canceller's own later edits have greater counters than the other's single one.
    let known = one.edit(&puts(&[
        ("occupation", "教师"),
        ("workplace", "第一小学"),
        ("phone", "13800000009"),
    ]));
    let cancel = one.edit(&puts(&[("status", "cancelled"), ("cancel_reason", "1")]));
    let edit = two.set("latin_name", "Wang");
    server.plain(&two, &edit);
    server.judge(&one, &known);
    let conflicts = drafts(server.judge(&one, &cancel));
    check_cancel(&conflicts, cancel.1, edit.1);
}

fn check_cancel(
    conflicts: &[ConflictDraft],
    cancel: crate::ids::ChangeHash,
    edit: crate::ids::ChangeHash,
) {
    let [draft] = conflicts else {
        panic!("{conflicts:?}")
    };
    assert_eq!(draft.kind, ConflictKind::UpdateCancelled);
    assert_eq!(draft.key, "status");
    let changes: Vec<_> = draft.values.iter().map(|held| held.change).collect();
    assert_eq!(changes, [cancel, edit]);
    assert_eq!(draft.values[0].value, "cancelled".into());
}

#[test]
fn two_cancellations_agree() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let cancel = puts(&[("status", "cancelled"), ("cancel_reason", "1")]);
    let edits = [one.edit(&cancel), two.edit(&cancel)];
    server.plain(&one, &edits[0]);
    assert_eq!(server.judge(&two, &edits[1]), accepted());
}

#[test]
fn an_edit_that_knows_of_the_cancellation_is_no_conflict() {
    let (mut server, mut one) = begun();
    let mut two = one.beside(2);
    let cancel = one.edit(&puts(&[("status", "cancelled"), ("cancel_reason", "1")]));
    server.plain(&one, &cancel);
    two.take(&cancel.0, cancel.1);
    let restore = two.edit(&puts(&[("status", "active"), ("phone", "13800000002")]));
    server.plain(&two, &restore);
    // And one that is concurrent with something else alone.
    let note = one.set("occupation", "教师");
    let conflicts = drafts(server.judge(&one, &note));
    assert_eq!(conflicts, []);
}
