//! What a record took before: needed only when a change is not simply the next one.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::{ApplyError, FlatChange, OpId};
use crate::ids::ChangeHash;
use crate::value::Value;

/// A record's changes by hash, for the questions that registers alone can't answer.
pub type History = BTreeMap<ChangeHash, FlatChange>;

/// What this operation put under this key, where it did.
pub(super) fn value_of(history: &History, op: OpId, key: &str) -> Option<Value> {
    history
        .values()
        .filter(|change| change.actor == op.actor)
        .find_map(|change| value_in(change, op, key).cloned())
}

/// Whether a change with these dependencies builds on `ancestor`, directly or not.
pub(super) fn builds_on(history: &History, deps: &[ChangeHash], ancestor: &ChangeHash) -> bool {
    past(history, deps).contains(ancestor)
}

/// Whether a change's numbers and predecessors follow from the changes it says it builds on.
///
/// # Errors
/// `SequenceGap` when it does not build on its author's last change; `CounterOutOfOrder` when its counters are not
/// the next; `UnknownPredecessor` when it replaces a value that it can't have seen, which would hide that value.
pub(super) fn follows(history: &History, change: &FlatChange) -> Result<(), ApplyError> {
    let past = past(history, &change.deps);
    let seen = || past.iter().filter_map(|hash| history.get(hash));
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

/// These changes and everything they build on.
fn past(history: &History, heads: &[ChangeHash]) -> BTreeSet<ChangeHash> {
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
