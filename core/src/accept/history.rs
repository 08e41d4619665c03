//! What a record took before: needed only when a change is not simply the next one.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{FlatChange, OpId};
use crate::ids::ChangeHash;
use crate::value::Value;

/// A record's changes, for the questions that registers alone can't answer.
pub trait History {
    /// Whether the record has taken this change.
    fn knows(&self, change: &ChangeHash) -> bool;
    /// Whether this operation once put this key.
    fn has_put(&self, op: OpId, key: &str) -> bool;
    /// What this operation put under this key, where it did.
    fn value_of(&self, op: OpId, key: &str) -> Option<Value>;
    /// Whether a change with these dependencies builds on `ancestor`, directly or not.
    fn builds_on(&self, deps: &[ChangeHash], ancestor: &ChangeHash) -> bool;
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
    fn has_put(&self, _: OpId, _: &str) -> bool {
        false
    }
    fn value_of(&self, _: OpId, _: &str) -> Option<Value> {
        None
    }
    fn builds_on(&self, _: &[ChangeHash], _: &ChangeHash) -> bool {
        false
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

    fn has_put(&self, op: OpId, key: &str) -> bool {
        self.value_of(op, key).is_some()
    }

    fn value_of(&self, op: OpId, key: &str) -> Option<Value> {
        self.values()
            .filter(|change| change.actor == op.actor)
            .find_map(|change| {
                let index = usize::try_from(op.counter.checked_sub(change.start_op)?).ok()?;
                change
                    .ops
                    .get(index)
                    .filter(|put| put.key == key)
                    .map(|put| put.value.clone())
            })
    }

    fn builds_on(&self, deps: &[ChangeHash], ancestor: &ChangeHash) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<ChangeHash> = deps.to_vec();
        while let Some(hash) = open.pop() {
            if hash == *ancestor {
                return true;
            }
            if seen.insert(hash)
                && let Some(change) = self.get(&hash)
            {
                open.extend(&change.deps);
            }
        }
        false
    }

    fn is_loaded(&self) -> bool {
        true
    }
}
