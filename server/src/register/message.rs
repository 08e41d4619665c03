//! Messages to users: states of a user's own scope, shown on the phone and on the console. Knows nobody's rights.

use doorstep_core::ids::{RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::time::Timestamp;
use sqlx::types::Uuid;

/// What a message speaks of: what it leads to. All but a record are named by the message's own id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum About {
    /// A record's file.
    Record(RecordId),
    /// An item of the conflict queue, about a record.
    Conflict(RecordId),
    /// A check, about a resident.
    Check(RecordId),
    /// A file that was brought in.
    Import,
    /// An alarm.
    Alarm,
    /// A device.
    Device,
}

impl About {
    fn kind(self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Conflict(_) => "conflict",
            Self::Check(_) => "check",
            Self::Import => "import",
            Self::Alarm => "alarm",
            Self::Device => "device",
        }
    }

    fn record(self) -> Option<RecordId> {
        match self {
            Self::Record(record) | Self::Conflict(record) | Self::Check(record) => Some(record),
            Self::Import | Self::Alarm | Self::Device => None,
        }
    }
}

/// A message to a user. One of the same id takes the place of the one before. The text names no person and no value.
#[must_use]
pub fn message(
    to: UserId,
    id: Uuid,
    code: &str,
    text: &str,
    about: About,
    at: Timestamp,
) -> (ScopeId, StateEntry) {
    let (kind, record) = (about.kind(), about.record());
    let json = serde_json::json!({
        "code": code, "text": text, "about": kind, "record": record, "at": at,
    });
    (
        ScopeId::User(to),
        StateEntry {
            key: format!("message/{id}"),
            json: json.to_string(),
        },
    )
}
