//! A scope's digest: equal on both sides exactly when both hold the same heads of the same records.
//! A sum, so that one change moves it by a subtraction and an addition, in any order.

use serde::{Deserialize, Serialize};

use crate::crypto::sm3;
use crate::ids::{ChangeHash, RecordId};

/// The sum over a scope's records, modulo 2¹²⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeDigest(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl ScopeDigest {
    /// What one record adds: the first 16 bytes of SM3(id ‖ heads ascending).
    #[must_use]
    pub fn of_record(record: RecordId, heads: &[ChangeHash]) -> Self {
        let mut parts: Vec<&[u8]> = vec![record.as_bytes()];
        parts.extend(heads.iter().map(|head| head.0.as_slice()));
        let mut first = [0; 16];
        first.copy_from_slice(&sm3::digest(&parts)[..16]);
        Self(first)
    }

    /// With a record's part added.
    #[must_use]
    pub fn plus(self, part: Self) -> Self {
        Self(
            u128::from_be_bytes(self.0)
                .wrapping_add(u128::from_be_bytes(part.0))
                .to_be_bytes(),
        )
    }

    /// With a record's part taken away.
    #[must_use]
    pub fn minus(self, part: Self) -> Self {
        Self(
            u128::from_be_bytes(self.0)
                .wrapping_sub(u128::from_be_bytes(part.0))
                .to_be_bytes(),
        )
    }
}

/// The heads after a change: those it builds on go, it comes. Ascending in and out.
#[must_use]
pub fn heads_after(heads: &[ChangeHash], deps: &[ChangeHash], hash: ChangeHash) -> Vec<ChangeHash> {
    let mut after: Vec<ChangeHash> = heads
        .iter()
        .filter(|head| !deps.contains(head))
        .copied()
        .collect();
    if let Err(at) = after.binary_search(&hash) {
        after.insert(at, hash);
    }
    after
}
