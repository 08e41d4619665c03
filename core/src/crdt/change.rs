//! A change of a flat document, in plain Rust: who, after what, and which keys it puts.

use serde::{Deserialize, Serialize};

use crate::ids::{Actor, ChangeHash};
use crate::value::Value;

/// The name of one operation: a Lamport counter and the actor. Ordered as Automerge orders: the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId {
    /// Lamport counter, from 1.
    pub counter: u64,
    /// Whose operation.
    pub actor: Actor,
}

/// One operation: the key takes the value, replacing the operations named in `pred`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Flat key, at most 128 bytes.
    pub key: String,
    /// The new value.
    pub value: Value,
    /// The operations that it replaces, ascending.
    pub pred: Vec<OpId>,
}

/// One Automerge change of a flat document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatChange {
    /// Who made it.
    pub actor: Actor,
    /// Its number among the actor's changes of this document, from 1.
    pub seq: u64,
    /// The counter of its first operation; the others follow one by one.
    pub start_op: u64,
    /// The device's clock in milliseconds; order never depends on it.
    pub time: i64,
    /// The changes it was made on top of, ascending.
    pub deps: Vec<ChangeHash>,
    /// What it does.
    pub ops: Vec<Put>,
}

impl FlatChange {
    /// The name of the `index`-th operation.
    #[must_use]
    pub fn op_id(&self, index: usize) -> OpId {
        OpId {
            counter: self.start_op.saturating_add(index as u64),
            actor: self.actor,
        }
    }

    /// The counter of its last operation (`start_op - 1` when it has none).
    #[must_use]
    pub fn max_op(&self) -> u64 {
        self.start_op
            .saturating_add(self.ops.len() as u64)
            .saturating_sub(1)
    }
}
