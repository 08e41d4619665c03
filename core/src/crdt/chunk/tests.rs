//! Every byte against the automerge crate, and hostile bytes against nothing but ourselves.

#![allow(clippy::unwrap_used, reason = "tests")]

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, ROOT, ReadDoc, ScalarValue};
use proptest::prelude::*;

use super::{ChunkError, MAX_CHANGE_PREDS, MAX_PREDS, decode, encode};
use crate::crdt::{FlatChange, OpId, Put, Registers};
use crate::ids::{Actor, ChangeHash};
use crate::value::Value;

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(yes) => ScalarValue::Boolean(*yes),
        Value::Int(number) => ScalarValue::Int(*number),
        Value::Text(text) => ScalarValue::Str(text.as_str().into()),
    }
}

fn value_of(value: &automerge::Value<'_>) -> Value {
    match value.as_scalar().unwrap() {
        ScalarValue::Null => Value::Null,
        ScalarValue::Boolean(yes) => Value::Bool(*yes),
        ScalarValue::Int(number) => Value::Int(*number),
        ScalarValue::Str(text) => Value::Text(text.to_string()),
        other => panic!("not flat: {other:?}"),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-200i64..200).prop_map(Value::Int),
        "[a-z张王李]{0,8}".prop_map(Value::Text),
    ]
}

/// What one step of a scenario does.
#[derive(Clone, Debug)]
enum Step {
    /// Replica `who` puts these keys in one change.
    Edit { who: usize, puts: Vec<(u8, Value)> },
    /// Replica `to` takes everything of `from`.
    Merge { from: usize, to: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = (
        0..3usize,
        proptest::collection::vec((0..4u8, any_value()), 1..6),
    )
        .prop_map(|(who, puts)| Step::Edit { who, puts });
    let merge = (0..3usize, 0..3usize).prop_map(|(from, to)| Step::Merge { from, to });
    proptest::collection::vec(prop_oneof![3 => edit, 2 => merge], 1..25)
}

/// Runs the scenario on three Automerge documents, keeping each replica's changes in the order it took them.
fn run(steps: &[Step]) -> Vec<(AutoCommit, Vec<Change>)> {
    let mut replicas: Vec<(AutoCommit, Vec<Change>)> = (0..3u8)
        .map(|who| {
            (
                AutoCommit::new().with_actor(ActorId::from(&[who + 1; 16][..])),
                Vec::new(),
            )
        })
        .collect();
    for step in steps {
        match step {
            Step::Edit { who, puts } => {
                let (doc, log) = &mut replicas[*who];
                for (key, value) in puts {
                    // Putting the winner's own value again makes Automerge's transaction delete the losers instead
                    // of putting; a flat document knows no delete.
                    let key = format!("k{key}");
                    let winner = doc.get(ROOT, key.as_str()).unwrap();
                    if winner.is_none_or(|(winner, _)| value_of(&winner) != *value) {
                        doc.put(ROOT, key, scalar(value)).unwrap();
                    }
                }
                if doc
                    .commit_with(CommitOptions::default().with_time(1_000))
                    .is_some()
                {
                    log.push(doc.get_last_local_change().unwrap());
                }
            }
            Step::Merge { from, to } if from != to => {
                let changes = replicas[*from].1.clone();
                let (doc, log) = &mut replicas[*to];
                for change in changes {
                    if doc.get_change_by_hash(&change.hash()).is_none() {
                        doc.apply_changes([change.clone()]).unwrap();
                        log.push(change);
                    }
                }
            }
            Step::Merge { .. } => {}
        }
    }
    replicas
}

fn hash_of(change: &Change) -> ChangeHash {
    ChangeHash(change.hash().0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn our_bytes_are_automerges(steps in steps()) {
        for (_, log) in run(&steps) {
            for change in log {
                let (flat, hash) = decode(change.raw_bytes()).unwrap();
                prop_assert_eq!(hash, hash_of(&change));
                prop_assert_eq!(encode(&flat).0, change.raw_bytes());
            }
        }
    }

    #[test]
    fn registers_hold_what_get_all_gives(steps in steps()) {
        for (doc, log) in run(&steps) {
            let mut registers = Registers::default();
            let mut seen: Vec<FlatChange> = Vec::new();
            for change in &log {
                let (flat, hash) = decode(change.raw_bytes()).unwrap();
                registers.apply(&flat, hash).unwrap();
                seen.push(flat.clone());
                let known = |pred: &crate::crdt::OpId, key: &str| seen.iter().any(|earlier| {
                    earlier.ops.iter().enumerate().any(|(at, op)| op.key == key && earlier.op_id(at) == *pred)
                });
                prop_assert!(flat.ops.iter().all(|op| op.pred.iter().all(|pred| known(pred, &op.key))));
            }
            let mut doc = doc;
            let mut heads: Vec<ChangeHash> = doc.get_heads().iter().map(|hash| ChangeHash(hash.0)).collect();
            heads.sort();
            prop_assert_eq!(registers.heads(), &heads[..]);
            for key in (0..4).map(|key| format!("k{key}")) {
                let mut theirs: Vec<Value> = doc.get_all(ROOT, key.as_str()).unwrap().iter().map(|(value, _)| value_of(value)).collect();
                let mut ours: Vec<Value> = registers.all(&key).iter().map(|held| held.value.clone()).collect();
                let winner = doc.get(ROOT, key.as_str()).unwrap().map(|(value, _)| value_of(&value));
                prop_assert_eq!(registers.get(&key).cloned(), winner);
                theirs.sort();
                ours.sort();
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn a_change_written_without_a_document_is_the_one_automerge_writes(steps in steps(), puts in proptest::collection::btree_map("k[0-5]", any_value(), 1..5)) {
        for (mut doc, log) in run(&steps) {
            let mut registers = Registers::default();
            for change in &log {
                let (flat, hash) = decode(change.raw_bytes()).unwrap();
                registers.apply(&flat, hash).unwrap();
            }
            let actor = Actor([9; 16]);
            let (_, bytes, hash) = registers.change(actor, 77, &puts);
            let theirs = Change::from_bytes(bytes.clone()).unwrap();
            prop_assert_eq!(hash_of(&theirs), hash);
            doc.apply_changes([theirs]).unwrap();
            for (key, value) in &puts {
                let all = doc.get_all(ROOT, key.as_str()).unwrap();
                prop_assert_eq!(all.len(), 1);
                prop_assert_eq!(&value_of(&all[0].0), value);
            }
            let saved = doc.save();
            let loaded = AutoCommit::load(&saved).unwrap();
            let reloaded = loaded.get_change_by_hash(&automerge::ChangeHash(hash.0)).unwrap();
prop_assert_eq!(reloaded.raw_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn mutated_bytes_never_panic_and_what_passes_automerge_accepts(
        steps in steps(), flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4), repair in any::<bool>(),
    ) {
        for (_, log) in run(&steps) {
            for change in log {
                let mut bytes = change.raw_bytes().to_vec();
                for (at, byte) in &flips {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                if repair && bytes.len() > 10 {
                    let body_at = bytes.len() - super::leb::Reader(&bytes[9..]).clone().length().unwrap_or(0);
                    let checksum = super::encode::hash(&bytes[body_at..]);
                    bytes[4..8].copy_from_slice(&checksum.0[..4]);
                }
                if let Ok((flat, hash)) = decode(&bytes) {
                    let theirs = Change::from_bytes(bytes.clone()).unwrap();
                    prop_assert_eq!(hash_of(&theirs), hash);
                    prop_assert_eq!(encode(&flat).0, bytes);
                }
            }
        }
    }
}

#[test]
fn compressed_documents_and_nested_objects_are_refused() {
    let mut doc = AutoCommit::new().with_actor(ActorId::from(&[1; 16][..]));
    doc.put(ROOT, "k", "x".repeat(2_000)).unwrap();
    doc.commit();
    let mut change = doc.get_last_local_change().unwrap();
    let compressed = change.bytes().into_owned();
    assert_ne!(
        compressed,
        change.raw_bytes(),
        "large enough to be compressed"
    );
    assert!(decode(change.raw_bytes()).is_ok());
    assert_eq!(decode(&compressed), Err(ChunkError::Malformed));
    assert_eq!(decode(&doc.save()), Err(ChunkError::Malformed));
    doc.put_object(ROOT, "list", automerge::ObjType::List)
        .unwrap();
    doc.commit();
    assert_eq!(
        decode(doc.get_last_local_change().unwrap().raw_bytes()),
        Err(ChunkError::NotFlat)
    );
    doc.delete(ROOT, "k").unwrap();
    doc.commit();
    assert_eq!(
        decode(doc.get_last_local_change().unwrap().raw_bytes()),
        Err(ChunkError::NotFlat)
    );
    doc.put(ROOT, "f", 1.5).unwrap();
    doc.commit();
    assert_eq!(
        decode(doc.get_last_local_change().unwrap().raw_bytes()),
        Err(ChunkError::NotFlat)
    );
    assert_eq!(
        decode(&vec![0; super::MAX_CHUNK + 1]),
        Err(ChunkError::TooLarge)
    );
}

/// So many puts, each of which replaces as many operations as one may.
fn replaces(puts: usize) -> FlatChange {
    let actor = Actor([1; 16]);
    let pred: Vec<OpId> = (1..=MAX_PREDS as u64)
        .map(|counter| OpId { counter, actor })
        .collect();
    let put = |number: usize| Put {
        key: format!("tags/{number:04}"),
        value: Value::Bool(true),
        pred: pred.clone(),
    };
    FlatChange {
        actor,
        seq: 2,
        start_op: 1_000,
        time: 1,
        deps: vec![ChangeHash([2; 32])],
        ops: (0..puts).map(put).collect(),
    }
}

#[test]
fn a_change_has_no_more_predecessors_than_a_change_may() {
    let most = MAX_CHANGE_PREDS / MAX_PREDS;
    let (chunk, hash) = encode(&replaces(most));
    assert_eq!(decode(&chunk), Ok((replaces(most), hash)));
    let (chunk, _) = encode(&replaces(most + 1));
    assert!(chunk.len() < 1_024, "{} bytes", chunk.len());
    assert_eq!(decode(&chunk), Err(ChunkError::TooLarge));
}
