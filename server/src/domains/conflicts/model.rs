//! What goes in and out of the conflict queue.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ConflictId, RecordId};
use doorstep_core::value::{Fields, Value};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::types::Uuid;
use utoipa::{IntoParams, ToSchema};

use crate::domains::registry::service::Purpose;
use crate::error::ApiResult;
use crate::keys::WrappedKey;

/// An item's columns.
#[derive(Clone, Debug, FromRow)]
pub(super) struct ConflictRow {
    pub(super) id: Uuid,
    pub(super) kind: String,
    #[sqlx(flatten)]
    pub(super) wrapped: WrappedKey,
    pub(super) record_id: Uuid,
    pub(super) other_id: Option<Uuid>,
    pub(super) subject: String,
    pub(super) status: String,
    pub(super) assignee: Option<Uuid>,
    pub(super) due_at: DateTime<Utc>,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) decided_at: Option<DateTime<Utc>>,
    pub(super) decided_by: Option<Uuid>,
    pub(super) decision: Option<String>,
    pub(super) version: i32,
    pub(super) body: Vec<u8>,
    pub(super) outcome: Option<Vec<u8>>,
}

impl ConflictRow {
    pub(super) fn id(&self) -> ConflictId {
        ConflictId(self.id)
    }

    pub(super) fn record(&self) -> RecordId {
        RecordId(self.record_id)
    }

    pub(super) fn area(&self) -> ApiResult<AreaCode> {
        Ok(self.wrapped.area)
    }

    pub(super) fn wrapped(&self) -> ApiResult<WrappedKey> {
        Ok(self.wrapped.clone())
    }

    /// The key in dispute, where the item is about one.
    pub(super) fn field(&self) -> Option<&str> {
        matches!(self.kind.as_str(), "field" | "update_cancelled").then_some(self.subject.as_str())
    }
}

/// A refused change or event that an item holds.
#[derive(Clone, Debug, FromRow)]
pub(super) struct RefusedRow {
    pub(super) id: Uuid,
    pub(super) device_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) code: String,
    pub(super) field: Option<String>,
    pub(super) refused_at: DateTime<Utc>,
    pub(super) body: Vec<u8>,
}

/// Which items to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConflictQuery {
    /// Of this area and below.
    pub area: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// `open` unless told; `decided`, `dismissed`, or `any`.
    pub status: Option<String>,
    /// Given to this user; `none`: to nobody; `me`.
    pub assignee: Option<String>,
    /// About this field.
    pub field: Option<String>,
    /// About this record.
    pub record: Option<Uuid>,
    /// Only those past their due time.
    pub overdue: Option<bool>,
    /// Only those opened at least this many days ago.
    pub older_than_days: Option<u32>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// The queue: a page of it, and how many there are of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConflictList {
    /// The items, the soonest due first.
    pub items: Vec<ConflictView>,
    /// Give it back as `cursor` for the next page; none at the end.
    pub next: Option<String>,
    /// Counts by kind, under the same filters but for the kind.
    pub counts: Vec<KindCount>,
}

/// How many items there are of a kind.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KindCount {
    /// Kind's code.
    pub kind: &'static str,
    /// Kind's name.
    pub label: &'static str,
    /// Items.
    pub count: i64,
    /// Of these, past their due time.
    pub overdue: i64,
}

/// An item as lists show it: masked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConflictView {
    /// The item.
    pub id: Uuid,
    /// Kind's code: `field`, `update_cancelled`, `duplicate_person`, `main_residence`, `refused_change`, `quarantined`.
    pub kind: String,
    /// Kind's name.
    pub kind_label: String,
    /// The area whose supervisors decide it.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// The record.
    pub record: Uuid,
    /// The record's type; none while the register holds no such record.
    pub record_type: Option<String>,
    /// What names the record to a person, masked.
    pub title: String,
    /// The field in dispute.
    pub field: Option<String>,
    /// Its label.
    pub field_label: Option<String>,
    /// `open`, `decided` or `dismissed`.
    pub status: String,
    /// Who is to decide it.
    pub assignee: Option<Uuid>,
    /// Their name.
    pub assignee_name: Option<String>,
    /// Since when.
    pub opened_at: DateTime<Utc>,
    /// Until when.
    pub due_at: DateTime<Utc>,
    /// Still open after its due time.
    pub overdue: bool,
    /// For If-Match.
    pub version: i32,
}

/// How to show an item.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ShowQuery {
    /// Why secret values (certificate numbers) must be seen in clear; noted in the audit log. Without it they are
    /// masked.
    pub purpose: Option<Purpose>,
}

/// A value as this reader may see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Shown {
    /// The value; masked where `masked`.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// What it means to a reader, where it doesn't say so itself: a code's label, a time, yes or no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// Whether something is hidden.
    pub masked: bool,
}

/// A field of a record with its value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldView {
    /// Key, such as `name` or `tags/elderly`.
    pub key: String,
    /// The field's label.
    pub label: String,
    /// Its value.
    #[serde(flatten)]
    pub shown: Shown,
}

/// One of the values in dispute.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ValueView {
    /// Its number: what `take` names.
    pub choice: usize,
    /// The value.
    #[serde(flatten)]
    pub shown: Shown,
    /// The field that it is of, where that is another than the item's.
    pub field_label: Option<String>,
    /// The change that put it.
    pub change: String,
    /// Who; none: the server.
    pub user: Option<Uuid>,
    /// Their name.
    pub user_name: Option<String>,
    /// On which device.
    pub device: Option<Uuid>,
    /// What people call the device.
    pub device_name: Option<String>,
    /// The device's clock then.
    pub made_at: Option<DateTime<Utc>>,
    /// When the server took it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// Whether this is what the record shows now.
    pub present: bool,
}

/// A record that an item is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ConflictRecord)]
pub(super) struct RecordView {
    /// The record.
    pub id: Uuid,
    /// Its type.
    pub record_type: String,
    /// The type's name.
    pub label: String,
    /// What names it to a person.
    pub title: String,
    /// The areas that hold it.
    #[schema(value_type = Vec<String>)]
    pub areas: Vec<AreaCode>,
    /// Whether it is cancelled.
    pub cancelled: bool,
    /// The record it was merged into.
    pub merged_into: Option<Uuid>,
    /// Its fields, as far as this reader may see them.
    pub fields: Vec<FieldView>,
}

/// A change or event that was refused and kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RefusedView {
    /// Its id: what `accept` may name.
    pub id: Uuid,
    /// `change` or `event`.
    pub kind: &'static str,
    /// Why it was refused.
    pub code: String,
    /// The field that was the reason.
    pub field: Option<String>,
    /// Its label.
    pub field_label: Option<String>,
    /// Who made it.
    pub user: Uuid,
    /// Their name.
    pub user_name: Option<String>,
    /// On which device.
    pub device: Uuid,
    /// What people call the device.
    pub device_name: Option<String>,
    /// The device's clock then.
    pub made_at: Option<DateTime<Utc>>,
    /// When the server refused it.
    pub refused_at: DateTime<Utc>,
    /// The type of the record or event it is for.
    pub record_type: String,
    /// What it says; empty when its bytes can't be read.
    pub values: Vec<FieldView>,
    /// Whether it can be accepted at all: its bytes can be read.
    pub readable: bool,
}

/// A visit near the dispute.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ConflictVisit)]
pub(super) struct VisitView {
    /// The event.
    pub id: Uuid,
    /// Its type.
    pub event_type: String,
    /// Who noted it.
    pub user: Uuid,
    /// Their name.
    pub user_name: Option<String>,
    /// When.
    pub happened_at: DateTime<Utc>,
    /// What it says.
    pub values: Vec<FieldView>,
}

/// What speaks for one side or the other.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(super) struct Evidence {
    /// The latest visits to the record.
    pub visits: Vec<VisitView>,
    /// What has photos: the records in question and those visits.
    pub photos: Vec<PhotosOf>,
}

/// Photos that a record or visit names; `/api/records/{of}/photos` lists them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PhotosOf {
    /// The record or visit.
    pub of: Uuid,
    /// What it is called.
    pub label: String,
    /// How many.
    pub count: usize,
}

/// A decision that was taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DecisionView {
    /// `take`, `value`, `split`, `merge`, `accept`, `refuse`, `confirm`, `deny`, `dismiss`.
    pub action: String,
    /// Who.
    pub by: Option<Uuid>,
    /// Their name.
    pub by_name: Option<String>,
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// Why, in their words.
    pub note: Option<String>,
    /// Until when it can be undone; none: it can't.
    pub undo_until: Option<DateTime<Utc>>,
}

/// One item, with all that a decision needs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ConflictDetail {
    /// The item.
    #[serde(flatten)]
    pub item: ConflictView,
    /// The values in dispute.
    pub values: Vec<ValueView>,
    /// What both sides built on.
    pub base: Option<Shown>,
    /// What the record shows now.
    pub present: Option<Shown>,
    /// The record; none while the register holds no such record.
    pub record_now: Option<RecordView>,
    /// The other record, where two are concerned.
    pub other_now: Option<RecordView>,
    /// Keys, as they stand in the two records' fields, of what the two do not hold alike: compared in clear, whatever of
    /// it this reader sees.
    pub differs: Vec<String>,
    /// What was refused.
    pub refused: Vec<RefusedView>,
    /// What speaks for one side or the other.
    pub evidence: Evidence,
    /// The actions that this item takes.
    pub actions: Vec<&'static str>,
    /// The decision, when there is one.
    pub decision: Option<DecisionView>,
}

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

/// A rule that decides many items of one field.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum BulkRule {
    /// The value that the server took last. The clocks of phones have no part in it.
    Newest,
    /// The value that this device made.
    Device {
        /// The device.
        device: Uuid,
    },
    /// Values that are equal once normalised; items with values that really differ are left.
    EqualNormalised,
}

/// Decides many items by one rule.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct BulkDecide {
    /// In this area and below.
    pub area: String,
    /// Of this kind: `field`.
    pub kind: String,
    /// Of this field.
    pub field: String,
    /// The rule.
    #[serde(flatten)]
    pub rule: BulkRule,
    /// Only say what would be decided, and whom that would tell.
    #[serde(default)]
    pub dry_run: bool,
    /// What the look before answered and is to be decided: needed unless `dry_run`. Nothing else is decided, and of these
    /// none that is not as it was then.
    pub items: Option<Vec<BulkChosen>>,
    /// Items of a look at most; 200 unless told.
    pub limit: Option<u32>,
    /// Why; kept with each decision.
    pub note: Option<String>,
}

/// An item as a look at a rule showed it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkChosen {
    /// The item.
    pub id: Uuid,
    /// Its version then.
    pub version: i32,
    /// The number of the value that the rule takes.
    pub choice: usize,
}

/// What the rule comes to for one item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkItem {
    /// The item.
    pub id: Uuid,
    /// Its version, as it was looked at.
    pub version: i32,
    /// What names the record, masked.
    pub title: String,
    /// `decided`, `would_decide`, `no_match` (the rule says nothing about it), `stale` (it is not as the look showed it),
    /// or another error's code.
    pub result: String,
    /// What to do, where it was not decided.
    pub message: Option<String>,
    /// The number of the value taken.
    pub choice: Option<usize>,
    /// That value.
    pub value: Option<Shown>,
    /// Whom deciding it tells what.
    pub tells: Vec<DecidedTell>,
}

/// How many of the items tell someone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkTell {
    /// The user.
    pub user: Uuid,
    /// Their name.
    pub user_name: Option<String>,
    /// Messages.
    pub items: usize,
}

/// What a rule did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkDone {
    /// Whether this was only a look.
    pub dry_run: bool,
    /// How many were, or would be, decided.
    pub decided: usize,
    /// Each item.
    pub items: Vec<BulkItem>,
    /// Whom all of them together tell: who hears most first.
    pub tells: Vec<BulkTell>,
    /// More items fit than the limit allowed.
    pub more: bool,
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
}

/// What was written to one record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) record: RecordId,
    pub(super) record_type: String,
    pub(super) before: Fields,
    pub(super) after: Fields,
}
