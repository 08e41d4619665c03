//! What a record took before: needed only when a change is not simply the next one.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{ApplyError, FlatChange, OpId};
use crate::ids::{Actor, ChangeHash};
use crate::value::Value;

/// A record's changes by hash, for the questions that registers alone can't answer.
pub type History = BTreeMap<ChangeHash, FlatChange>;

/// What a change has seen of its record. Each question costs a look-up, however much that is.
#[derive(Clone, Debug, Default)]
pub struct Past<'a> {
    changes: BTreeSet<ChangeHash>,
    /// By author and counter of the first operation: an author's counters go on from change to change, so the last one
    /// that begins at or before a counter is the one that may hold it.
    puts: BTreeMap<(Actor, u64), &'a FlatChange>,
    /// The greatest number of each author's changes.
    seqs: BTreeMap<Actor, u64>,
    /// The greatest counter.
    max_op: u64,
}

impl<'a> Past<'a> {
    /// What a change with these dependencies has seen: they and everything they build on. Goes through all of it, so it
    /// is asked for once for a change.
    #[must_use]
    pub fn of(history: &'a History, deps: &[ChangeHash]) -> Self {
        let mut past = Self::default();
        let mut open: Vec<ChangeHash> = deps.to_vec();
        while let Some(hash) = open.pop() {
            if past.changes.insert(hash)
                && let Some(change) = history.get(&hash)
            {
                open.extend(&change.deps);
                past.note(change);
            }
        }
        past
    }

    fn note(&mut self, change: &'a FlatChange) {
        let seq = self.seqs.entry(change.actor).or_default();
        *seq = change.seq.max(*seq);
        self.max_op = self.max_op.max(change.max_op());
        if !change.ops.is_empty() {
            self.puts.insert((change.actor, change.start_op), change);
        }
    }

    /// Whether this change is among them.
    #[must_use]
    pub fn contains(&self, change: &ChangeHash) -> bool {
        self.changes.contains(change)
    }

    /// What this operation put under this key, where it did.
    #[must_use]
    pub fn value_of(&self, op: OpId, key: &str) -> Option<&'a Value> {
        let mut before = self.puts.range((op.actor, 0)..=(op.actor, op.counter));
        let (_, &change) = before.next_back()?;
        let index = usize::try_from(op.counter.checked_sub(change.start_op)?).ok()?;
        let put = change.ops.get(index).filter(|put| put.key == key)?;
        Some(&put.value)
    }

    /// Whether a change's numbers and predecessors follow from this, its own past.
    ///
    /// # Errors
    /// `SequenceGap` when it does not build on its author's last change; `CounterOutOfOrder` when its counters are not
    /// the next; `UnknownPredecessor` when it replaces a value that it can't have seen, which would hide that value.
    pub fn follows(&self, change: &FlatChange) -> Result<(), ApplyError> {
        if self.seqs.get(&change.actor).copied().unwrap_or(0) + 1 != change.seq {
            // Its author has made others, which are here and not below it.
            return Err(ApplyError::SequenceGap);
        }
        if self.max_op + 1 != change.start_op {
            return Err(ApplyError::CounterOutOfOrder);
        }
        let mut preds = change
            .ops
            .iter()
            .flat_map(|put| put.pred.iter().map(|op| (*op, put.key.as_str())));
        if preds.all(|(op, key)| self.value_of(op, key).is_some()) {
            Ok(())
        } else {
            Err(ApplyError::UnknownPredecessor)
        }
    }
}
