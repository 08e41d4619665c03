//! What the queue and one item of it show.

use chrono::{DateTime, Utc};
use doorstep_core::ids::AreaCode;
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use utoipa::{IntoParams, ToSchema};

use crate::domains::registry::service::Purpose;

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
    /// The change that put it, as the record's history names it.
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
    /// What was refused: the first of it, where it is very much.
    pub refused: Vec<RefusedView>,
    /// How much more was refused than is listed.
    pub refused_more: usize,
    /// What speaks for one side or the other.
    pub evidence: Evidence,
    /// The actions that this item takes.
    pub actions: Vec<&'static str>,
    /// The decision, when there is one.
    pub decision: Option<DecisionView>,
}
