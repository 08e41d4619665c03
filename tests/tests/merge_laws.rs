//! The laws of merging, held by registers and by Automerge alike: the order in which changes arrive, how often they
//! arrive and by whose hands never shows. Knows no rules of fields and no network.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use doorstep_core::crdt::{ApplyError, FlatChange, OpId, Registers};
use doorstep_core::ids::{Actor, ChangeHash};
use doorstep_core::protocol::codec;
use doorstep_core::value::{Fields, Value};
use doorstep_tests::sim::oracle::{self, Document};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;

const REPLICAS: usize = 4;
const KEYS: usize = 4;

/// A change with its name and bytes.
#[derive(Clone, Debug)]
struct Made {
    change: FlatChange,
    hash: ChangeHash,
    bytes: Vec<u8>,
}

/// Someone's copy of a record.
#[derive(Clone, Debug, Default)]
struct Replica {
    registers: Registers,
    /// In the order they were taken.
    changes: Vec<Made>,
    /// Keys that a merge reported with several different values.
    reported: BTreeSet<String>,
}

impl Replica {
    fn knows(&self, hash: ChangeHash) -> bool {
        self.changes.iter().any(|made| made.hash == hash)
    }

    fn has_put(&self, op: OpId, key: &str) -> bool {
        self.changes.iter().any(|made| {
            let ops = made.change.ops.iter().enumerate();
            ops.into_iter()
                .any(|(at, put)| put.key == key && made.change.op_id(at) == op)
        })
    }

    fn take(&mut self, made: &Made) -> Result<(), ApplyError> {
        let applied = self.registers.apply(&made.change, made.hash)?;
        for put in &made.change.ops {
            assert!(put.pred.iter().all(|op| self.has_put(*op, &put.key)));
        }
        let reported = applied.into_iter().filter(|found| found.differ);
        self.reported.extend(reported.map(|found| found.key));
        self.changes.push(made.clone());
        Ok(())
    }

    fn edit(&mut self, who: usize, puts: &Fields) {
        let actor = Actor([who as u8 + 1; 16]);
        let (change, bytes, hash) = self.registers.change(actor, 0, puts);
        let made = Made {
            change,
            hash,
            bytes,
        };
        self.take(&made).unwrap();
    }

    fn merge(&mut self, other: &Self) {
        for made in &other.changes {
            if !self.knows(made.hash) {
                self.take(made).unwrap();
            }
        }
    }

    fn merged(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.merge(other);
        both
    }

    /// The same changes in another order that keeps each after those it builds on.
    fn shuffled(&self, picks: &[Index]) -> Vec<Made> {
        let mut left = self.changes.clone();
        let mut order: Vec<Made> = Vec::new();
        while !left.is_empty() {
            let had: BTreeSet<ChangeHash> = order.iter().map(|made| made.hash).collect();
            let ready: Vec<usize> = (0..left.len())
                .filter(|at| left[*at].change.deps.iter().all(|dep| had.contains(dep)))
                .collect();
            let pick = picks[order.len() % picks.len()].index(ready.len());
            order.push(left.remove(ready[pick]));
        }
        order
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::Int),
        4 => prop::sample::select(vec!["", "王", "张三", "long enough to be packed in a column of its own"])
            .prop_map(Value::from),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    /// A replica puts these keys in one change.
    Edit(usize, Fields),
    /// The second takes what the first has.
    Merge(usize, usize),
}

fn replicas() -> impl Strategy<Value = Vec<Replica>> {
    let key = (0..KEYS).prop_map(|key| format!("k{key}"));
    let puts = prop::collection::btree_map(key, any_value(), 1..=KEYS);
    let edit = (0..REPLICAS, puts).prop_map(|(who, puts)| Step::Edit(who, puts));
    let merge = (0..REPLICAS, 0..REPLICAS).prop_map(|(from, to)| Step::Merge(from, to));
    prop::collection::vec(prop_oneof![3 => edit, 2 => merge], 1..30).prop_map(|steps| {
        let mut replicas = vec![Replica::default(); REPLICAS];
        for step in steps {
            match step {
                Step::Edit(who, puts) => replicas[who].edit(who, &puts),
                Step::Merge(from, to) => {
                    let other = replicas[from].clone();
                    replicas[to].merge(&other);
                }
            }
        }
        replicas
    })
}

fn all(replicas: &[Replica]) -> Replica {
    let none = Replica::default();
    replicas.iter().fold(none, |sum, one| sum.merged(one))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn merging_is_commutative(replicas in replicas()) {
        for (a, b) in [(0, 1), (1, 2), (2, 3)].map(|(a, b)| (&replicas[a], &replicas[b])) {
            prop_assert_eq!(a.merged(b).registers, b.merged(a).registers);
        }
    }

    #[test]
    fn merging_is_associative(replicas in replicas()) {
        let [a, b, c, ..] = &replicas[..] else { unreachable!() };
        prop_assert_eq!(a.merged(b).merged(c).registers, a.merged(&b.merged(c)).registers);
    }

    #[test]
    fn merging_is_idempotent(replicas in replicas()) {
        let both = replicas[0].merged(&replicas[1]);
        prop_assert_eq!(&both.merged(&replicas[1]).registers, &both.registers);
        for made in &both.changes {
            let mut again = both.clone();
            prop_assert_eq!(again.take(made), Err(ApplyError::SequenceReused));
            prop_assert_eq!(&again.registers, &both.registers);
        }
    }

    #[test]
    fn any_causal_order_gives_the_same_registers_and_automerges(replicas in replicas(), picks in prop::collection::vec(any::<Index>(), 1..20)) {
        let sum = all(&replicas);
        let order = sum.shuffled(&picks);
        let mut other = Replica::default();
        for made in &order {
            other.take(made).unwrap();
        }
        prop_assert_eq!(&other.registers, &sum.registers);
        prop_assert_eq!(codec::to_bytes(&other.registers), codec::to_bytes(&sum.registers));
        let mut document = Document::from_changes(order.iter().map(|made| made.bytes.as_slice())).unwrap();
        prop_assert_eq!(document.seen().unwrap(), oracle::seen(&sum.registers));
    }

    #[test]
    fn values_that_differ_are_reported_in_any_causal_order(replicas in replicas(), picks in prop::collection::vec(any::<Index>(), 1..20)) {
        let mut other = Replica::default();
        for made in &all(&replicas).shuffled(&picks) {
            other.take(made).unwrap();
        }
        for (key, values) in oracle::seen(&other.registers).conflicts() {
            let differ = values.iter().any(|value| *value != values[0]);
            prop_assert!(!differ || other.reported.contains(&key), "{} holds {:?} unreported", key, values);
        }
    }

    #[test]
    fn a_gap_in_an_actors_numbers_is_refused_and_leaves_no_trace(replicas in replicas(), skipped in any::<Index>()) {
        let sum = all(&replicas);
        let skipped = skipped.index(sum.changes.len().max(1));
        let mut other = Replica::default();
        for (at, made) in sum.changes.iter().enumerate() {
            let before = other.registers.clone();
            if made.change.deps.iter().all(|dep| other.knows(*dep)) {
                if at != skipped {
                    prop_assert_eq!(other.take(made), Ok(()));
                }
            } else if made.change.seq > before.seq_of(made.change.actor) + 1 {
                prop_assert_eq!(other.take(made), Err(ApplyError::SequenceGap));
                prop_assert_eq!(&other.registers, &before);
            }
        }
    }

    #[test]
    fn registers_read_back_what_they_write(replicas in replicas()) {
        let sum = all(&replicas).registers;
        prop_assert_eq!(codec::from_bytes::<Registers>(&codec::to_bytes(&sum)).unwrap(), sum);
    }
}
