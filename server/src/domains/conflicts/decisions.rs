//! What goes in and out of deciding an item, and what a decision leaves.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{ConflictId, RecordId};
use doorstep_core::value::{Fields, Value};
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use utoipa::ToSchema;

use super::model::{ConflictView, FieldView};

/// What to do with an item.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Decide {
    /// The decision.
    #[serde(flatten)]
    pub action: Action,
    /// Why, in the decider's words; kept sealed. At most 500 characters.
    pub note: Option<String>,
    /// Only say what it would come to; nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
}

/// The decisions.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// One of the values in dispute. (Of a cancellation against an edit: the cancellation, or that the record lives.)
    Take {
        /// Its number.
        choice: usize,
    },
    /// Another value.
    Value {
        /// As a person writes it: labels of codes and full-width digits are understood. `null` clears.
        #[schema(value_type = serde_json::Value)]
        value: Value,
    },
    /// These are two persons: one side's values go to a new resident.
    Split {
        /// The value that stays; the other goes to the new resident.
        keep: usize,
        /// The new resident's fields where they differ from both.
        #[serde(default)]
        #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
        fields: Fields,
        /// The residences that go to the new resident.
        #[serde(default)]
        residences: Vec<Uuid>,
    },
    /// These are one person: one record stays and takes over the other's residences and history.
    Merge {
        /// The record that stays.
        survivor: Uuid,
        /// Fields to take from the other record although the survivor has them.
        #[serde(default)]
        take_from_other: Vec<String>,
    },
    /// What was refused is right after all.
    Accept {
        /// Only these of the refused items; the rest stays refused. All, unless told.
        #[serde(default)]
        items: Option<Vec<Uuid>>,
    },
    /// What was refused stays refused.
    Refuse,
    /// The claim is right: the resident's main residence moves.
    Confirm,
    /// The claim is wrong: the main residence stays.
    Deny,
    /// There is nothing to decide.
    Dismiss,
}

impl Action {
    /// Its code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take",
            Self::Value { .. } => "value",
            Self::Split { .. } => "split",
            Self::Merge { .. } => "merge",
            Self::Accept { .. } => "accept",
            Self::Refuse => "refuse",
            Self::Confirm => "confirm",
            Self::Deny => "deny",
            Self::Dismiss => "dismiss",
        }
    }
}

/// The actions that a kind of item takes.
pub(super) fn actions_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "field" => &["take", "value", "split", "dismiss"],
        "update_cancelled" => &["take", "dismiss"],
        "duplicate_person" => &["merge", "dismiss"],
        "main_residence" => &["confirm", "deny", "dismiss"],
        "refused_change" | "quarantined" => &["accept", "refuse", "dismiss"],
        _ => &["dismiss"],
    }
}

/// What a decision writes on one record, as the decider may see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DecidedWrite {
    /// The record.
    pub record: Uuid,
    /// Its type's name.
    pub label: String,
    /// What names it to a person.
    pub title: String,
    /// Whether the decision makes it.
    pub created: bool,
    /// The record that it becomes a part of.
    pub merged_into: Option<Uuid>,
    /// What is put, cleared values too.
    pub fields: Vec<FieldView>,
}

/// Whom a decision tells what.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DecidedTell {
    /// The user.
    pub user: Uuid,
    /// Their name.
    pub user_name: Option<String>,
    /// The message that reaches their phone.
    pub text: String,
}

/// What a decision did, or would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Decided {
    /// The item as it stands now.
    pub item: ConflictView,
    /// How many changes were made.
    pub changes: usize,
    /// The resident made by a split.
    pub created: Vec<Uuid>,
    /// How many people were told.
    pub told: usize,
    /// What was written.
    pub writes: Vec<DecidedWrite>,
    /// Whom it told what.
    pub tells: Vec<DecidedTell>,
}

/// Someone who may decide an item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Decider {
    /// The user.
    pub id: Uuid,
    /// Their name.
    pub name: String,
    /// What they sign in with.
    pub login: String,
}

/// Whom to give an item, and until when.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// Who is to decide it; `null` takes it back.
    pub assignee: Option<Uuid>,
    /// A new due time.
    #[serde(default, deserialize_with = "crate::http::moment")]
    pub due_at: Option<DateTime<Utc>>,
}

/// What a decision left, kept sealed: for showing its reason, and for undoing it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Why, in the decider's words.
    pub(super) note: Option<String>,
    /// What was written, with what stood before.
    pub(super) writes: Vec<Written>,
    /// Records that the decision made.
    pub(super) created: Vec<RecordId>,
    /// The record that became an alias.
    pub(super) merged: Option<RecordId>,
    /// Other items that the decision closed.
    pub(super) closed: Vec<ConflictId>,
    /// Whether anything was done that can't be put back, such as an event taken.
    pub(super) lasting: bool,
    /// Checks that went with the record that became an alias; a server of before named none.
    #[serde(default)]
    pub(super) checks: Vec<Uuid>,
}

/// What was written to one record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) record: RecordId,
    pub(super) record_type: String,
    pub(super) before: Fields,
    pub(super) after: Fields,
}

#[cfg(test)]
mod tests {
    use doorstep_core::protocol::codec::{self, CodecError};

    use super::*;

    #[test]
    fn what_a_server_of_before_left_is_read() -> Result<(), CodecError> {
        let none: [u8; 0] = [];
        let before = (Some("核对过"), none, none, None::<RecordId>, none, true);
        let read: Outcome = codec::from_bytes(&codec::to_bytes(&before))?;
        assert_eq!(read.note.as_deref(), Some("核对过"));
        assert!(read.lasting && read.checks.is_empty());
        Ok(())
    }
}
