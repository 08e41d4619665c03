//! What is not merged: forged, waiting, doubled, out of rights, out of shape.

use super::{
    Device, Server, accepted, altered, area, beginning, begun, code, puts, record, village,
};
use crate::accept::{Author, Judged, judge};
use crate::crdt::change::{OpId, Put};
use crate::crypto::actor;
use crate::rights::Role;
use crate::value::Value;

#[test]
fn a_change_under_another_devices_name_is_forged() {
    let (mut server, mut device) = begun();
    let other = device.beside(2);
    let edit = device.set("phone", "13800000002");
    assert_eq!(server.judge(&other, &edit), Judged::Forged);
    // The honest one is not blocked by the attempt.
    server.plain(&device, &edit);
    // Nor does an actor of another epoch or record pass.
    let edit = device.set("phone", "13800000003");
    let judged = server.judge_as(&device, "resident", 1, &edit.0, edit.1);
    assert_eq!(judged, Judged::Forged);
}

#[test]
fn a_change_sent_again_is_a_duplicate_with_and_without_history() {
    let (mut server, mut device) = begun();
    let edit = device.set("phone", "13800000002");
    let next = device.set("phone", "13800000003");
    server.plain(&device, &edit);
    assert_eq!(server.judge(&device, &edit), Judged::Duplicate);
    let author = Author {
        key: &device.key.public(),
        grants: &device.grants,
    };
    let mut look = |(change, hash): &_| {
        judge(
            &mut server.hold,
            "resident",
            0,
            change,
            *hash,
            &author,
            None,
        )
    };
    assert_eq!(look(&edit), Judged::Duplicate);
    assert_eq!(look(&next), accepted());
    assert_eq!(look(&edit), Judged::NeedsHistory, "no longer a head");
}

#[test]
fn a_concurrent_change_needs_history() {
    let (mut server, mut first) = begun();
    let mut second = first.beside(2);
    server.plain(&first, &first.clone().set("phone", "13800000002"));
    first.set("phone", "13800000002");
    let (change, hash) = second.set("occupation", "教师");
    let author = Author {
        key: &second.key.public(),
        grants: &second.grants,
    };
    let before = server.hold.clone();
    let judged = judge(
        &mut server.hold,
        "resident",
        0,
        &change,
        hash,
        &author,
        None,
    );
    assert_eq!(judged, Judged::NeedsHistory);
    assert_eq!(server.hold, before);
}

#[test]
fn what_builds_on_something_missing_waits() {
    let (mut server, mut device) = begun();
    let first = device.set("phone", "13800000002");
    let second = device.set("phone", "13800000003");
    assert_eq!(server.judge(&device, &second), Judged::Waiting);
    server.plain(&device, &first);
    server.plain(&device, &second);
    // An edit of a record that is not here at all waits too.
    let mut device = Device::collector(1);
    device.edit(&beginning(&[]));
    let edit = device.set("phone", "13800000002");
    assert_eq!(Server::new().judge(&device, &edit), Judged::Waiting);
}

#[test]
fn an_edit_from_an_epoch_that_is_over_is_refused_and_does_not_wait() {
    let (_, mut device) = begun();
    let edit = device.set("phone", "13800000002");
    // The person was erased and recorded anew: nothing of the old history is here.
    let mut server = Server::new();
    server.hold.epoch = 1;
    let mut again = Device::collector(2);
    let actor = actor::derive(&again.key.public(), record(), 1);
    let (change, _, hash) = again.held.change(actor, 1, &beginning(&[]));
    again.take(&change, hash);
    let judged = server.judge_as(&again, "resident", 1, &change, hash);
    assert_eq!(judged, accepted());
    assert_eq!(server.refusal(&device, &edit), "old_epoch");
}

#[test]
fn a_text_of_blanks_is_no_value_wherever_it_stands() {
    let (mut server, device) = begun();
    for key in ["population_kind", "name", "remark", "phone"] {
        for blank in [" ", "\u{c}", "\t", "\u{3000}"] {
            let edit = device.clone().set(key, blank);
            assert_eq!(server.refusal(&device, &edit), "blank", "{key} {blank:?}");
        }
    }
}

#[test]
fn a_beginning_says_its_type_and_area() {
    for (values, expected) in [
        (puts(&[("name", "王小明")]), "no_beginning"),
        (
            puts(&[("_type", "resident"), ("name", "王小明")]),
            "no_beginning",
        ),
        (
            puts(&[("_type", "resident"), ("_area", "31"), ("name", "王小明")]),
            "no_beginning",
        ),
        (
            puts(&[("_area", "310101002001"), ("name", "王小明")]),
            "no_beginning",
        ),
        (beginning(&[("_type", "house")]), "wrong_type"),
        (beginning(&[("_area", "310101002002")]), "out_of_scope"),
    ] {
        let (mut server, mut device) = (Server::new(), Device::collector(1));
        let first = device.edit(&values);
        assert_eq!(server.refusal(&device, &first), expected);
    }
}

#[test]
fn only_declared_records_and_fields_are_taken() {
    let (mut server, mut device) = begun();
    let (change, hash) = device.clone().set("phone", "13800000002");
    let mut as_type = |name| code(server.judge_as(&device, name, 0, &change, hash));
    assert_eq!(as_type("ghost"), "unknown_type");
    assert_eq!(as_type("visit"), "unknown_type", "an event is no record");
    assert_eq!(as_type("house"), "wrong_type");
    for key in ["nickname", "tags", "phone/x", "_secret", ""] {
        let edit = device.clone().set(key, "x");
        assert_eq!(server.refusal(&device, &edit), "unknown_field", "{key}");
    }
    let edit = device.set("tags/elderly", "");
    server.plain(&device, &edit);
}

#[test]
fn type_version_and_area_are_said_once() {
    let (mut server, device) = begun();
    for (key, value) in [
        ("_type", "house"),
        ("_area", "310101002002"),
        ("_area", "310101002001"),
        ("_v", "2"),
        ("_type", ""),
    ] {
        let edit = device.clone().set(key, value);
        assert_eq!(server.refusal(&device, &edit), "reserved_field", "{key}");
    }
}

#[test]
fn rights_go_by_area_and_field() {
    let (mut server, device) = begun();
    let with = |grants: &[(Role, &str)]| Device {
        grants: grants
            .iter()
            .map(|(role, code)| (*role, area(code)))
            .collect(),
        ..device.clone()
    };
    let mut try_field = |device: &Device, key: &str| {
        let edit = device.clone().set(key, "R-1");
        match server.judge(device, &edit) {
            Judged::Refused(refusal) => {
                if refusal.code == "field_not_writable" {
                    assert_eq!(refusal.field.as_deref(), Some(key));
                }
                refusal.code
            }
            // The next attempt starts from the same record.
            Judged::Accepted(_) => {
                let (fresh, _) = begun();
                server = fresh;
                "accepted".to_owned()
            }
            other => panic!("{other:?}"),
        }
    };
    let collector = Role::Collector;
    // Anywhere above the record's area will do, a neighbour will not.
    for (grant, expected) in [
        ("310101002001", "accepted"),
        ("310101002000", "accepted"),
        ("310101000000", "accepted"),
        ("310000000000", "accepted"),
        ("310101002002", "out_of_scope"),
        ("310104000000", "out_of_scope"),
    ] {
        let found = try_field(&with(&[(collector, grant)]), "occupation");
        assert_eq!(found, expected, "{grant}");
    }
    assert_eq!(try_field(&with(&[]), "occupation"), "out_of_scope");
    // Fields name who may write them: `community_id` supervisors, `police_person_id` the server alone.
    let here = "310101002001";
    for (grants, key, expected) in [
        (
            &[(collector, here)][..],
            "community_id",
            "field_not_writable",
        ),
        (&[(Role::Supervisor, here)], "community_id", "accepted"),
        (
            &[(Role::Supervisor, here)],
            "police_person_id",
            "field_not_writable",
        ),
        (
            &[(Role::Server, "310000000000")],
            "police_person_id",
            "accepted",
        ),
        (&[(Role::Auditor, here)], "occupation", "field_not_writable"),
        // A right elsewhere is no right here.
        (
            &[(collector, here), (Role::Supervisor, "310101002002")],
            "community_id",
            "field_not_writable",
        ),
    ] {
        assert_eq!(try_field(&with(grants), key), expected, "{grants:?} {key}");
    }
}

#[test]
fn rights_go_by_every_operation_not_by_what_is_seen_afterwards() {
    let (mut server, device) = begun();
    // Put and taken back within one change: the visible result is unchanged, the history is not.
    let edit = device.clone().set("occupation", "教师");
    let hidden = altered(&edit, |change| {
        change.ops.insert(
            0,
            Put {
                key: "police_person_id".to_owned(),
                value: "R-1".into(),
                pred: vec![],
            },
        );
        change.ops.push(Put {
            key: "police_person_id".to_owned(),
            value: Value::Null,
            pred: vec![change.op_id(0)],
        });
    });
    assert_eq!(server.refusal(&device, &hidden), "field_not_writable");
}

#[test]
fn a_key_is_put_once_in_a_change() {
    let (mut server, device) = begun();
    let edit = device.clone().set("occupation", "教师");
    // Two values side by side would look like two people's.
    let twice = altered(&edit, |change| {
        let again = change.ops[0].clone();
        change.ops.push(again);
    });
    assert_eq!(server.refusal(&device, &twice), "key_twice");
}

#[test]
fn values_keep_their_fields_shape_and_stricter_rules_lose_nothing() {
    let (mut server, device) = begun();
    let mut wrong = puts(&[]);
    wrong.insert("birth_date".to_owned(), Value::Int(7));
    let edit = device.clone().edit(&wrong);
    let refused = server.judge(&device, &edit);
    let Judged::Refused(refusal) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal.field.as_deref(), Some("birth_date"));
    // A wrong check digit is a matter for a person, not a reason to lose what was recorded.
    let edit = device.clone().set("id_number", "310101197004275620");
    server.plain(&device, &edit);
}

#[test]
fn one_number_for_two_changes_is_refused() {
    let (mut server, mut device) = begun();
    let other = device.clone().set("occupation", "教师");
    let edit = device.set("phone", "13800000002");
    server.plain(&device, &edit);
    // Restored from a backup: the same device goes on from an earlier state, with numbers that it has used.
    assert_eq!(server.refusal(&device, &other), "sequence_reused");
}

#[test]
fn numbers_counters_and_predecessors_follow_from_the_dependencies() {
    let (mut server, mut device) = begun();
    let mut other = device.beside(2);
    let edit = device.clone().set("phone", "13800000002");
    let skipped = altered(&edit, |change| change.seq += 1);
    assert_eq!(server.refusal(&device, &skipped), "sequence_gap");
    for shift in [-1_i64, 1, 1_000_000] {
        let shifted = altered(&edit, |change| {
            change.start_op = change.start_op.wrapping_add_signed(shift);
        });
        assert_eq!(server.refusal(&device, &shifted), "counter_out_of_order");
    }
    let invented = altered(&edit, |change| change.ops[0].pred[0].counter = 1);
    assert_eq!(server.refusal(&device, &invented), "unknown_predecessor");

    // The same of a change that is concurrent, where the record alone can't tell.
    let concurrent = device.set("phone", "13800000003");
    server.plain(&device, &concurrent);
    let edit = other.clone().set("phone", "13800000004");
    for shift in [-1_i64, 1] {
        let shifted = altered(&edit, |change| {
            change.start_op = change.start_op.wrapping_add_signed(shift);
        });
        assert_eq!(server.refusal(&other, &shifted), "counter_out_of_order");
    }
    // It claims to replace what it can't have seen: that would hide the other's value without a word.
    let unseen = OpId {
        counter: concurrent.0.start_op,
        actor: concurrent.0.actor,
    };
    let blind = altered(&edit, |change| change.ops[0].pred = vec![unseen]);
    assert_eq!(server.refusal(&other, &blind), "unknown_predecessor");
    let edit = other.set("phone", "13800000004");
    let judged = server.judge(&other, &edit);
    assert!(matches!(judged, Judged::Accepted(_)), "{judged:?}");
}

#[test]
fn a_refused_beginning_leaves_the_record_unknown() {
    let (mut server, mut device) = (Server::new(), Device::collector(1));
    device.grants = vec![(Role::Collector, area("310104002001"))];
    let first = device.edit(&beginning(&[]));
    assert_eq!(server.refusal(&device, &first), "out_of_scope");
    assert_eq!(server.hold.record_type, "");
    assert_eq!(server.hold.areas, []);
    // A later right makes the same change welcome.
    device.grants = vec![(Role::Collector, village())];
    server.plain(&device, &first);
    assert_eq!(server.hold.areas, [village()]);
}
