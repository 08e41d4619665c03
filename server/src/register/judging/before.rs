//! By which names what a group brings may have been refused before: its changes' own, and those that they build on.
//! Knows no refusal.

use std::collections::BTreeSet;

use doorstep_core::crypto::sm3;
use doorstep_core::ids::{ChangeHash, RecordId};

use crate::register::model::Prepared;

/// What the refusal of a change is kept under that can't be decoded, and so has no hash.
pub(super) fn unread(bytes: &[u8]) -> ChangeHash {
    ChangeHash(sm3::digest(&[bytes]))
}

/// The changes whose refusals bear on these items. What the server makes itself is new, and builds on what is held.
pub(in crate::register) fn refused_names<'a>(
    items: impl Iterator<Item = &'a Prepared>,
) -> BTreeSet<(RecordId, ChangeHash)> {
    let mut names = BTreeSet::new();
    for item in items {
        let Prepared::Change { item, decoded } = item else {
            continue;
        };
        match decoded {
            Ok((change, hash)) => {
                names.insert((item.record, *hash));
                names.extend(change.deps.iter().map(|dep| (item.record, *dep)));
            }
            Err(_) => {
                names.insert((item.record, unread(&item.bytes)));
            }
        }
    }
    names
}
