//! What a person must decide.

use serde::{Deserialize, Serialize};

use crate::crdt::registers::Held;

/// The kinds of conflict items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// 字段冲突: concurrent different values of a reviewed field.
    Field,
    /// 注销与修改: one cancelled the record while another edited it.
    UpdateCancelled,
    /// 重复人员: two records of one person.
    DuplicatePerson,
    /// 居住地认领: two communities claim a resident's main residence.
    MainResidence,
    /// 被拒更改: an authenticated change that was refused.
    RefusedChange,
    /// 离线过久: edits from an epoch that is over, or by a device since revoked or out of its area.
    Quarantined,
}

impl ConflictKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Field,
        Self::UpdateCancelled,
        Self::DuplicatePerson,
        Self::MainResidence,
        Self::RefusedChange,
        Self::Quarantined,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::UpdateCancelled => "update_cancelled",
            Self::DuplicatePerson => "duplicate_person",
            Self::MainResidence => "main_residence",
            Self::RefusedChange => "refused_change",
            Self::Quarantined => "quarantined",
        }
    }

    /// The Chinese label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Field => "字段冲突",
            Self::UpdateCancelled => "注销与修改冲突",
            Self::DuplicatePerson => "疑似重复人员",
            Self::MainResidence => "主要居住地认领",
            Self::RefusedChange => "被拒更改",
            Self::Quarantined => "待核更改",
        }
    }
}

/// A conflict found while merging; the host gives it an id, an area, an assignee and a due time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictDraft {
    /// What kind.
    pub kind: ConflictKind,
    /// The key that is disputed.
    pub key: String,
    /// The values held, the present winner first.
    pub values: Vec<Held>,
    /// The value both built on, where the record held one.
    pub base: Option<crate::value::Value>,
}
