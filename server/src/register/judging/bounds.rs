//! How much a set, an event or a record may hold, so that it can be sent to every device. Knows no right and no place.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::crdt::FlatChange;
use doorstep_core::ids::RecordId;
use doorstep_core::protocol::frames::Refusal;
use doorstep_core::records;
use doorstep_core::rights::Role;

use crate::register::load::Locked;
use crate::register::model::{Prepared, SERVER_DEVICE, Submitter};

/// The most elements of one set or list in an event, or in a change.
pub(super) const MOST_ELEMENTS: usize = 200;

/// The longest event, in bytes.
pub(super) const EVENT_BYTES: usize = 64 * 1024;

/// The most that devices bring into one record, in bytes of changes: a record can't be divided among frames.
pub(super) const RECORD_BYTES: usize = 512 * 1024;

/// A record is weighed once it was written so often, or when devices send so many bytes for it at once: until then it
/// holds no more than half of what it may.
pub(super) const OFTEN: i32 = 64;

pub(super) const AT_ONCE: usize = 4 * 1024;

/// The records that must be weighed before the group can be judged.
pub(in crate::register) fn to_weigh<'a>(
    records: &BTreeMap<RecordId, Locked>,
    items: impl Iterator<Item = &'a Prepared>,
) -> BTreeSet<RecordId> {
    let mut sent: BTreeMap<RecordId, usize> = BTreeMap::new();
    for item in items {
        if let Prepared::Change { item, .. } = item {
            *sent.entry(item.record).or_default() += item.bytes.len();
        }
    }
    sent.retain(|id, bytes| {
        let stored = records.get(id).and_then(|locked| locked.stored.as_ref());
        stored.is_some_and(|stored| *bytes > AT_ONCE || stored.version >= OFTEN)
    });
    sent.into_keys().collect()
}

/// The refusal of more elements of one set than anyone chooses, by these keys.
pub(super) fn too_many<'a>(keys: impl Iterator<Item = &'a String>) -> Option<Refusal> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, element) in keys.map(|key| records::split_key(key)) {
        if element.is_some() {
            *counts.entry(name).or_default() += 1;
        }
    }
    let (name, _) = counts.iter().find(|(_, count)| **count > MOST_ELEMENTS)?;
    Some(Refusal {
        // A key that nobody declared may hold anything, and is shown.
        field: Some(name.chars().filter(|c| !c.is_control()).collect()),
        ..Refusal::new(
            "too_many_elements",
            "同一项目一次填写的内容太多，没有直接生效，已转给主管核对；请分几次填写。",
        )
    })
}

/// The refusal of a change by which a record would hold more than is sent to a device at once.
pub(super) fn too_large(
    who: &Submitter,
    locked: &Locked,
    change: &FlatChange,
    bytes: usize,
) -> Option<Refusal> {
    if who.grants.iter().any(|(role, _)| *role == Role::Server) {
        return None;
    }
    let full = who.device != SERVER_DEVICE && locked.weight.saturating_add(bytes) > RECORD_BYTES;
    too_many(change.ops.iter().map(|op| &op.key)).or_else(|| {
        full.then(|| {
            Refusal::new(
                "record_full",
                "这份档案的修改太多，这条修改没有直接生效，已完整保留并转给主管核对，不用重新填写。",
            )
        })
    })
}
