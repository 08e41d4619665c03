//! The queue's rows.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ConflictId, RecordId};
use sqlx::FromRow;
use sqlx::types::Uuid;

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

    pub(super) fn area(&self) -> AreaCode {
        self.wrapped.area
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
