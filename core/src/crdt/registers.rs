//! The visible state of a record: for every key, the operations that nothing has replaced yet.
//!
//! Equal to what Automerge's `get_all` gives for a flat document, kept without a document: applying a change takes
//! away the values it names as predecessors and adds its own. Knows no rules of fields: it reports which keys a change
//! left with several values and lets others judge.

mod form;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::crdt::change::{FlatChange, OpId, Put};
use crate::crdt::chunk;
use crate::ids::{Actor, ChangeHash};
use crate::value::{Fields, Value};

/// One value of a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The operation that put it.
    pub op: OpId,
    /// The value.
    pub value: Value,
    /// The change that put it: who, when and from which device are found by it.
    pub change: ChangeHash,
}

/// A record's registers, heads and counters. Its serialised form (`form`) is what server and device keep of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    heads: Vec<ChangeHash>,
    max_op: u64,
    seqs: BTreeMap<Actor, u64>,
    /// The values of each key, by operation ascending: the last one wins.
    held: BTreeMap<String, Vec<Held>>,
}

/// Why a change does not apply now, or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The actor's number is not the next: an earlier change is missing.
    #[error("sequence gap")]
    SequenceGap,
    /// The actor's number was given to another change before.
    #[error("sequence number used twice")]
    SequenceReused,
    /// The operation counter does not follow from what the record holds.
    #[error("operation counter out of order")]
    CounterOutOfOrder,
    /// A predecessor that the record never held under that key.
    #[error("unknown predecessor")]
    UnknownPredecessor,
}

impl ApplyError {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SequenceGap => "sequence_gap",
            Self::SequenceReused => "sequence_reused",
            Self::CounterOutOfOrder => "counter_out_of_order",
            Self::UnknownPredecessor => "unknown_predecessor",
        }
    }
}

/// A key that a change left with values of more than one author, and whether those values differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrent {
    /// The key.
    pub key: String,
    /// All values now held, the winner first.
    pub values: Vec<Held>,
    /// Whether the values are not all equal.
    pub differ: bool,
}

impl Registers {
    /// The hashes that no other change builds on, ascending.
    #[must_use]
    pub fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// The greatest operation counter seen.
    #[must_use]
    pub fn max_op(&self) -> u64 {
        self.max_op
    }

    /// How many changes the actor has made.
    #[must_use]
    pub fn seq_of(&self, actor: Actor) -> u64 {
        self.seqs.get(&actor).copied().unwrap_or(0)
    }

    /// How many changes the record has taken in all.
    #[must_use]
    pub fn change_count(&self) -> u64 {
        self.seqs.values().sum()
    }

    /// Whether no change has been applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The winning value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.winner(key).map(|held| &held.value)
    }

    /// The winning value of a key with its origin.
    #[must_use]
    pub fn winner(&self, key: &str) -> Option<&Held> {
        self.held.get(key)?.last()
    }

    /// All values of a key, the winner first.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<&Held> {
        let held = self.held.get(key).into_iter().flatten();
        held.rev().collect()
    }

    /// Every key that was ever put.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.held.keys().map(String::as_str)
    }

    /// The winning values, tombstones left out.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let winners = self
            .held
            .keys()
            .filter_map(|key| Some((key.clone(), self.get(key)?.clone())));
        winners.filter(|(_, value)| !value.is_null()).collect()
    }

    /// Applies a change whose dependencies the record has. A predecessor that is no longer held is taken for one that
    /// was replaced concurrently. Changes nothing on error.
    ///
    /// # Errors
    /// See `ApplyError`.
    pub fn apply(
        &mut self,
        change: &FlatChange,
        hash: ChangeHash,
    ) -> Result<Vec<Concurrent>, ApplyError> {
        self.check_numbers(change)?;
        Ok(self.put(change, hash))
    }

    /// As `apply`, of a change that was made on top of everything held: it may replace nothing else. Changes nothing on
    /// error.
    ///
    /// # Errors
    /// See `ApplyError`.
    pub fn apply_on_top(
        &mut self,
        change: &FlatChange,
        hash: ChangeHash,
    ) -> Result<Vec<Concurrent>, ApplyError> {
        self.check_numbers(change)?;
        self.check_predecessors(change)?;
        Ok(self.put(change, hash))
    }

    fn put(&mut self, change: &FlatChange, hash: ChangeHash) -> Vec<Concurrent> {
        let linear = change.deps == self.heads;
        for (index, put) in change.ops.iter().enumerate() {
            let held = self.held.entry(put.key.clone()).or_default();
            held.retain(|value| !put.pred.contains(&value.op));
            let op = change.op_id(index);
            // Kept ascending, so that the order of arrival never shows.
            let at = held.partition_point(|value| value.op < op);
            held.insert(
                at,
                Held {
                    op,
                    value: put.value.clone(),
                    change: hash,
                },
            );
        }
        self.heads.retain(|head| !change.deps.contains(head));
        self.heads.push(hash);
        self.heads.sort_unstable();
        self.max_op = self.max_op.max(change.max_op());
        self.seqs.insert(change.actor, change.seq);
        if linear {
            return Vec::new();
        }
        let keys = change.ops.iter().map(|put| &put.key);
        keys.filter_map(|key| self.concurrent(key)).collect()
    }

    fn check_numbers(&self, change: &FlatChange) -> Result<(), ApplyError> {
        match change.seq.cmp(&(self.seq_of(change.actor) + 1)) {
            std::cmp::Ordering::Less => return Err(ApplyError::SequenceReused),
            std::cmp::Ordering::Greater => return Err(ApplyError::SequenceGap),
            std::cmp::Ordering::Equal => {}
        }
        let linear = change.deps == self.heads;
        if change.start_op > self.max_op + 1 || (linear && change.start_op != self.max_op + 1) {
            return Err(ApplyError::CounterOutOfOrder);
        }
        Ok(())
    }

    fn check_predecessors(&self, change: &FlatChange) -> Result<(), ApplyError> {
        for (index, put) in change.ops.iter().enumerate() {
            let earlier = |pred: &OpId| {
                let at = pred.counter.checked_sub(change.start_op);
                let at = at.and_then(|at| usize::try_from(at).ok());
                pred.actor == change.actor
                    && at
                        .and_then(|at| change.ops[..index].get(at))
                        .is_some_and(|op| op.key == put.key)
            };
            let held = self.held.get(&put.key);
            let holds = |pred: &OpId| {
                held.is_some_and(|values| values.iter().any(|value| value.op == *pred))
            };
            if !put.pred.iter().all(|pred| holds(pred) || earlier(pred)) {
                return Err(ApplyError::UnknownPredecessor);
            }
        }
        Ok(())
    }

    /// The key's values, when it holds several.
    #[must_use]
    pub fn concurrent(&self, key: &str) -> Option<Concurrent> {
        let values: Vec<Held> = self.all(key).into_iter().cloned().collect();
        if values.len() < 2 {
            return None;
        }
        let differ = values.iter().any(|held| held.value != values[0].value);
        Some(Concurrent {
            key: key.to_owned(),
            values,
            differ,
        })
    }

    /// The next change of an actor on top of everything held: its chunk and hash. The registers stay as they are;
    /// `apply` it to go on. A key put twice keeps its last value.
    #[must_use]
    pub fn change(
        &self,
        actor: Actor,
        time: i64,
        puts: &Fields,
    ) -> (FlatChange, Vec<u8>, ChangeHash) {
        let ops = puts.iter().map(|(key, value)| {
            let mut pred: Vec<OpId> = self.all(key).iter().map(|held| held.op).collect();
            pred.sort_unstable();
            Put {
                key: key.clone(),
                value: value.clone(),
                pred,
            }
        });
        let change = FlatChange {
            actor,
            seq: self.seq_of(actor) + 1,
            start_op: self.max_op + 1,
            time,
            deps: self.heads.clone(),
            ops: ops.collect(),
        };
        let (bytes, hash) = chunk::encode(&change);
        (change, bytes, hash)
    }
}
