//! What callers are shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A message as it is kept.
#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) about: Option<String>,
    pub(super) record: Option<Uuid>,
    pub(super) due: Option<chrono::NaiveDate>,
}

/// What a message speaks of.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageAbout {
    /// `record`, `conflict`, `check`, `import`, `alarm` or `device`.
    pub kind: String,
    /// Its id.
    pub id: Uuid,
}

/// Something the caller was told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageView {
    /// Names it, as on the phone: `message/ID`, `reminder/return/ID`.
    pub key: String,
    /// What kind it is: `main_residence_check`, `conflict_opened`, `away_return_due` …
    pub code: String,
    /// What it says.
    pub text: String,
    /// What it speaks of and leads to; none where that is not known.
    pub about: Option<MessageAbout>,
    /// The day it is about, for a reminder.
    pub due: Option<chrono::NaiveDate>,
    /// When it was said; a later one of the same key takes its place.
    pub at: DateTime<Utc>,
}
