//! What a record took before: needed only when a change is not simply the next one.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{ApplyError, FlatChange, OpId};
use crate::ids::ChangeHash;
use crate::value::Value;

/// A record's changes, for the questions that registers alone can't answer.
pub trait History {
    /// Whether the record has taken this change.
    fn knows(&self, change: &ChangeHash) -> bool;
    /// What this operation put under this key, where it did.
    fn value_of(&self, op: OpId, key: &str) -> Option<Value>;
    /// Whether a change with these dependencies builds on `ancestor`, directly or not.
    fn builds_on(&self, deps: &[ChangeHash], ancestor: &ChangeHash) -> bool;
    /// Whether a change's numbers and predecessors follow from the changes it says it builds on.
    ///
    /// # Errors
    /// `SequenceGap` when it does not build on its author's last change; `CounterOutOfOrder` when its counters are not
    /// the next; `UnknownPredecessor` when it replaces a value that it can't have seen, which would hide that value.
    fn follows(&self, change: &FlatChange) -> Result<(), ApplyError>;
    /// Whether answers can be given at all; the empty history can't.
    fn is_loaded(&self) -> bool;
}

/// No history at hand: `judge` then says when it needs one.
#[derive(Clone, Copy, Debug)]
pub struct NoHistory;

impl History for NoHistory {
    fn knows(&self, _: &ChangeHash) -> bool {
        false
    }
    fn value_of(&self, _: OpId, _: &str) -> Option<Value> {
        None
    }
    fn builds_on(&self, _: &[ChangeHash], _: &ChangeHash) -> bool {
        false
    }
    fn follows(&self, _: &FlatChange) -> Result<(), ApplyError> {
        Ok(())
    }
    fn is_loaded(&self) -> bool {
        false
    }
}

/// Every change of a record by hash.
impl History for BTreeMap<ChangeHash, FlatChange> {
    fn knows(&self, change: &ChangeHash) -> bool {
        self.contains_key(change)
    }

    fn value_of(&self, op: OpId, key: &str) -> Option<Value> {
        self.values()
            .filter(|change| change.actor == op.actor)
            .find_map(|change| value_in(change, op, key).cloned())
    }

    fn builds_on(&self, deps: &[ChangeHash], ancestor: &ChangeHash) -> bool {
        past(self, deps).contains(ancestor)
    }

    fn follows(&self, change: &FlatChange) -> Result<(), ApplyError> {
        let past = past(self, &change.deps);
        let seen = || past.iter().filter_map(|hash| self.get(hash));
        let own = seen().filter(|seen| seen.actor == change.actor);
        if own.map(|seen| seen.seq).max().unwrap_or(0) + 1 != change.seq {
            // Its author has made others, which are here and not below it.
            return Err(ApplyError::SequenceGap);
        }
        if seen().map(FlatChange::max_op).max().unwrap_or(0) + 1 != change.start_op {
            return Err(ApplyError::CounterOutOfOrder);
        }
        let put_by = |op: &OpId, key: &str| {
            seen().any(|seen| seen.actor == op.actor && value_in(seen, *op, key).is_some())
        };
        let mut preds = change
            .ops
            .iter()
            .flat_map(|put| put.pred.iter().map(|op| (op, put.key.as_str())));
        if preds.all(|(op, key)| put_by(op, key)) {
            Ok(())
        } else {
            Err(ApplyError::UnknownPredecessor)
        }
    }

    fn is_loaded(&self) -> bool {
        true
    }
}

/// These changes and everything they build on.
fn past(history: &BTreeMap<ChangeHash, FlatChange>, heads: &[ChangeHash]) -> BTreeSet<ChangeHash> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<ChangeHash> = heads.to_vec();
    while let Some(hash) = open.pop() {
        if seen.insert(hash)
            && let Some(change) = history.get(&hash)
        {
            open.extend(&change.deps);
        }
    }
    seen
}

/// What an operation put under a key, where it is one of this change's.
fn value_in<'a>(change: &'a FlatChange, op: OpId, key: &str) -> Option<&'a Value> {
    let index = usize::try_from(op.counter.checked_sub(change.start_op)?).ok()?;
    let put = change.ops.get(index).filter(|put| put.key == key)?;
    Some(&put.value)
}
