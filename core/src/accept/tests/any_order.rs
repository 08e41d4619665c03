//! Properties: the order of arrival changes neither what a record holds nor that a disagreement is seen.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Device, Server, beginning, puts};
use crate::accept::{ConflictKind, Judged, Past};
use crate::crdt::FlatChange;
use crate::ids::ChangeHash;

const DEVICES: usize = 4;
/// Two reviewed fields and two that are not.
const KEYS: [&str; 4] = ["name", "register_address", "phone", "occupation"];
const VALUES: [&str; 4] = ["甲", "乙", "丙", ""];

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A device edits one or two fields.
    Edit(usize, Vec<(usize, usize)>),
    /// A device takes everything another has.
    Pull(usize, usize),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let edit = (
        0..DEVICES,
        prop::collection::vec((0..KEYS.len(), 0..VALUES.len()), 1..3),
    );
    prop_oneof![
        3 => edit.prop_map(|(device, puts)| Step::Edit(device, puts)),
        1 => (0..DEVICES, 0..DEVICES).prop_map(|(to, from)| Step::Pull(to, from)),
    ]
}

/// Every change, in an order that respects dependencies, with the device that made it.
pub(super) struct Made {
    devices: Vec<Device>,
    pub(super) changes: Vec<(usize, FlatChange, ChangeHash)>,
}

pub(super) fn play(steps: &[Step]) -> Made {
    let mut first = Device::collector(1);
    let (change, hash) = first.edit(&beginning(&[]));
    let mut devices: Vec<Device> = vec![first.clone()];
    devices.extend((2..=DEVICES).map(|n| first.beside(u8::try_from(n).unwrap())));
    let mut changes = vec![(0, change, hash)];
    let mut known = vec![BTreeSet::from([hash]); DEVICES];
    for step in steps {
        match step {
            Step::Edit(device, edits) => {
                let edits: Vec<(&str, &str)> = edits
                    .iter()
                    .map(|(key, value)| (KEYS[*key], VALUES[*value]))
                    .collect();
                let (change, hash) = devices[*device].edit(&puts(&edits));
                known[*device].insert(hash);
                changes.push((*device, change, hash));
            }
            Step::Pull(to, from) => {
                for (_, change, hash) in &changes {
                    if known[*from].contains(hash) && known[*to].insert(*hash) {
                        devices[*to].take(change, *hash);
                    }
                }
            }
        }
    }
    Made { devices, changes }
}

/// An order that respects dependencies: of what could come next, the one that `choose` points at.
fn order(made: &Made, choose: &[usize]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..made.changes.len()).collect();
    let mut taken = BTreeSet::new();
    let mut choose = choose.iter().cycle();
    let mut order = Vec::new();
    while !left.is_empty() {
        let ready: Vec<usize> = (0..left.len())
            .filter(|at| {
                let (device, change, _) = &made.changes[left[*at]];
                // A device's own changes come in the order it made them.
                let earlier = left[..*at]
                    .iter()
                    .any(|other| made.changes[*other].0 == *device);
                !earlier && change.deps.iter().all(|dep| taken.contains(dep))
            })
            .collect();
        let at = ready[choose.next().unwrap_or(&0) % ready.len()];
        let next = left.remove(at);
        taken.insert(made.changes[next].2);
        order.push(next);
    }
    order
}

/// Judges everything in an order and checks each answer; gives the server.
fn judge_all(made: &Made, order: &[usize]) -> Server {
    let mut server = Server::new();
    let mut last_draft: BTreeMap<String, BTreeSet<ChangeHash>> = BTreeMap::new();
    for at in order {
        let (device, change, hash) = &made.changes[*at];
        let before = server.hold.registers.clone();
        let judged = server.judge(&made.devices[*device], &(change.clone(), *hash));
        let Judged::Accepted(conflicts) = judged else {
            panic!("{judged:?}");
        };
        let past = Past::of(&server.history, &change.deps);
        for op in &change.ops {
            let rivals: Vec<_> = before
                .all(&op.key)
                .into_iter()
                .filter(|held| !past.contains(&held.change))
                .collect();
            let differ = rivals.iter().any(|held| held.value != op.value);
            let reviewed = KEYS[..2].contains(&op.key.as_str());
            let draft = conflicts.iter().find(|draft| draft.key == op.key);
            assert_eq!(
                draft.is_some(),
                differ && reviewed,
                "{} {op:?}",
                before.max_op()
            );
            if let Some(draft) = draft {
                assert_eq!(draft.kind, ConflictKind::Field);
                let shown: BTreeSet<_> = draft.values.iter().map(|held| held.change).collect();
                assert!(shown.contains(hash));
                assert!(rivals.iter().all(|held| shown.contains(&held.change)));
                last_draft.insert(op.key.clone(), shown);
            }
        }
    }
    for key in &KEYS[..2] {
        let held = server.hold.registers.all(key);
        if held.iter().any(|one| one.value != held[0].value) {
            let held: BTreeSet<_> = held.iter().map(|held| held.change).collect();
            let drafted = last_draft.get(*key);
            assert!(
                drafted.is_some_and(|drafted| held.is_subset(drafted)),
                "{key} is disputed, and nobody was told"
            );
        }
    }
    server
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_order_gives_the_same_record_and_shows_every_dispute(
        steps in prop::collection::vec(step(), 1..24),
        one in prop::collection::vec(0_usize..8, 32),
        two in prop::collection::vec(0_usize..8, 32),
    ) {
        let made = play(&steps);
        let servers = [&one, &two].map(|choose| judge_all(&made, &order(&made, choose)));
        prop_assert_eq!(&servers[0].hold.registers, &servers[1].hold.registers);
        // A device that takes everything holds the same.
        let mut device = made.devices[0].clone();
        let steps: Vec<Step> = (1..DEVICES).map(|from| Step::Pull(0, from)).collect();
        for step in steps {
            if let Step::Pull(_, from) = step {
                let theirs = &made.changes;
                let has: BTreeSet<_> = ancestors(theirs, device.held.heads());
                let wants = ancestors(theirs, made.devices[from].held.heads());
                for (_, change, hash) in theirs {
                    if wants.contains(hash) && !has.contains(hash) {
                        device.take(change, *hash);
                    }
                }
            }
        }
        prop_assert_eq!(&device.held, &servers[0].hold.registers);
    }
}

fn ancestors(
    changes: &[(usize, FlatChange, ChangeHash)],
    heads: &[ChangeHash],
) -> BTreeSet<ChangeHash> {
    let mut found: BTreeSet<ChangeHash> = heads.iter().copied().collect();
    for (_, change, hash) in changes.iter().rev() {
        if found.contains(hash) {
            found.extend(&change.deps);
        }
    }
    found
}
