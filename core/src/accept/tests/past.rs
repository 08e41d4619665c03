//! What a change has seen, gone through once, says the same as a walk over all of it for each question.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::any_order::{play, step};
use crate::accept::{History, Past};
use crate::crdt::{ApplyError, FlatChange, OpId};
use crate::ids::ChangeHash;
use crate::value::Value;

/// Everything below these changes, and they.
fn seen<'a>(history: &'a History, deps: &[ChangeHash]) -> Vec<&'a FlatChange> {
    let mut hashes = BTreeSet::new();
    let mut open = deps.to_vec();
    while let Some(hash) = open.pop() {
        if hashes.insert(hash)
            && let Some(change) = history.get(&hash)
        {
            open.extend(&change.deps);
        }
    }
    hashes.iter().filter_map(|hash| history.get(hash)).collect()
}

fn put_by<'a>(seen: &[&'a FlatChange], op: OpId, key: &str) -> Option<&'a Value> {
    seen.iter().find_map(|change| {
        let mut ops = change.ops.iter().enumerate();
        let put = ops.find(|(at, put)| change.op_id(*at) == op && put.key == key);
        put.map(|(_, put)| &put.value)
    })
}

/// The same rule, question by question.
fn walked(history: &History, change: &FlatChange) -> Result<(), ApplyError> {
    let seen = seen(history, &change.deps);
    let own = seen.iter().filter(|one| one.actor == change.actor);
    if own.map(|one| one.seq).max().unwrap_or(0) + 1 != change.seq {
        return Err(ApplyError::SequenceGap);
    }
    let last = seen.iter().map(|one| one.max_op()).max().unwrap_or(0);
    if last + 1 != change.start_op {
        return Err(ApplyError::CounterOutOfOrder);
    }
    let unknown = |op: &OpId, key: &str| put_by(&seen, *op, key).is_none();
    let mut puts = change.ops.iter();
    if puts.any(|put| put.pred.iter().any(|op| unknown(op, &put.key))) {
        return Err(ApplyError::UnknownPredecessor);
    }
    Ok(())
}

/// What a liar may alter of a change.
fn bend(change: &mut FlatChange, how: usize, other: &FlatChange) {
    let pred = change.ops.iter_mut().find_map(|put| put.pred.first_mut());
    match (how, pred) {
        (0, _) => change.seq += 1,
        (1, _) => change.start_op += 1,
        (2, _) => change.deps.clone_from(&other.deps),
        (3, _) => change.actor = other.actor,
        (4, Some(pred)) => pred.counter += 1,
        (5, Some(pred)) => pred.counter = pred.counter.saturating_sub(1),
        (6, Some(pred)) => pred.actor = other.actor,
        (7, Some(pred)) => *pred = other.op_id(0),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_answers_as_a_walk_for_each_question_does(
        steps in prop::collection::vec(step(), 1..24),
        bends in prop::collection::vec((0_usize..10, 0_usize..24), 24),
    ) {
        let made = play(&steps);
        let changes: Vec<FlatChange> = made.changes.iter().map(|(_, change, _)| change.clone()).collect();
        let history: History = made
            .changes
            .iter()
            .map(|(_, change, hash)| (*hash, change.clone()))
            .collect();
        for (change, (how, other)) in changes.iter().zip(&bends) {
            let mut change = change.clone();
            bend(&mut change, *how, &changes[other % changes.len()]);
            let past = Past::of(&history, &change.deps);
            prop_assert_eq!(past.follows(&change), walked(&history, &change));
            let seen = seen(&history, &change.deps);
            for put in &change.ops {
                for op in &put.pred {
                    prop_assert_eq!(past.value_of(*op, &put.key), put_by(&seen, *op, &put.key));
                }
            }
            for (_, known, hash) in &made.changes {
                prop_assert_eq!(past.contains(hash), seen.contains(&known));
            }
        }
    }
}
