//! What the people did, kept apart from all that merges it: every edit that a phone kept, and what its author could
//! see at that moment. From this alone follows which values contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::crdt::{FlatChange, chunk};
use doorstep_core::envelope::Item;
use doorstep_core::ids::{ChangeHash, EventId, RecordId};
use doorstep_core::value::{Fields, Value};

/// An edit's own mark, put with its values: it stays the same when a device makes the change again.
pub type Mark = u64;

/// One edit.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Which phone.
    pub phone: usize,
    /// Which record.
    pub record: RecordId,
    /// What it put, its mark left out.
    pub fields: Fields,
    /// The edits of the record that the author's phone held then, and the server's changes.
    pub seen: BTreeSet<Mark>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every edit that a phone kept.
    pub edits: BTreeMap<Mark, Edit>,
    /// Every event that a phone kept, and which phone.
    pub events: BTreeMap<EventId, usize>,
    next: Mark,
    marks: BTreeMap<ChangeHash, Mark>,
}

impl Ledger {
    /// A new mark.
    pub fn mark(&mut self) -> Mark {
        self.next += 1;
        self.next
    }

    /// The key and value that carry a mark in a record of this type.
    #[must_use]
    pub fn carrier(record_type: &str, mark: Mark) -> (String, Value) {
        if record_type == "residence" {
            ("remark".to_owned(), format!("e{mark}").into())
        } else {
            (format!("tags/e{mark}"), true.into())
        }
    }

    /// The mark of a change, found in its operations; a change of the server's own gets one when it is first seen.
    pub fn mark_of(&mut self, hash: ChangeHash, bytes: &[u8]) -> Mark {
        if let Some(mark) = self.marks.get(&hash) {
            return *mark;
        }
        let found = chunk::decode(bytes)
            .ok()
            .and_then(|(change, _)| carried(&change));
        let mark = found.unwrap_or_else(|| self.mark());
        self.marks.insert(hash, mark);
        mark
    }

    /// The marks of several changes.
    pub fn marks_of<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (ChangeHash, &'a [u8])>,
    ) -> BTreeSet<Mark> {
        let changes = changes.into_iter();
        changes
            .map(|(hash, bytes)| self.mark_of(hash, bytes))
            .collect()
    }

    /// The mark of something that was refused or is queued.
    #[must_use]
    pub fn mark_of_item(item: &Item) -> Option<Mark> {
        match item {
            Item::Change(item) => Self::mark_of_bytes(&item.bytes),
            Item::Event(_) => None,
        }
    }

    /// The mark that a change carries.
    #[must_use]
    pub fn mark_of_bytes(bytes: &[u8]) -> Option<Mark> {
        carried(&chunk::decode(bytes).ok()?.0)
    }
}

fn carried(change: &FlatChange) -> Option<Mark> {
    change.ops.iter().find_map(|op| match op.key.as_str() {
        "remark" => op.value.as_text()?.strip_prefix('e')?.parse().ok(),
        key => key.strip_prefix("tags/e")?.parse().ok(),
    })
}
