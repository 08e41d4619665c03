//! How a record stands: in force, or cancelled with its reason and day. Knows no right and no check.

use chrono::NaiveDate;
use doorstep_core::value::{Fields, Value};

const STATUS: &str = "status";
const REASON: &str = "cancel_reason";
const ON: &str = "cancelled_on";
/// Why, in words; an edit may mend it.
pub(super) const NOTE: &str = "cancel_note";

/// The keys that say it.
pub const STANDING: [&str; 4] = [STATUS, REASON, ON, NOTE];

/// Codes of the table `cancel_reason` that operations of ours give.
pub mod reason {
    /// 重复登记: entered twice.
    pub const DUPLICATE: &str = "70";
    /// 登记错误: entered in error, or taken back.
    pub const IN_ERROR: &str = "71";
    /// 并入他人档案: merged into another record.
    pub const MERGED: &str = "72";
    /// 关系终止: a tie that ended.
    pub const ENDED: &str = "83";
}

/// What cancels a record on a day.
#[must_use]
pub fn cancelled(reason: &str, on: NaiveDate) -> Fields {
    Fields::from([
        (STATUS.to_owned(), "cancelled".into()),
        (REASON.to_owned(), reason.into()),
        (ON.to_owned(), on.to_string().into()),
    ])
}

/// What brings a cancelled record back into force.
#[must_use]
pub fn restored() -> Fields {
    let mut fields: Fields = [REASON, ON, NOTE]
        .map(|key| (key.to_owned(), Value::Null))
        .into();
    fields.insert(STATUS.to_owned(), "active".into());
    fields
}

/// Whether a field is changed by an operation of its own, cancelling and restoring, never by an edit.
#[must_use]
pub fn has_own_operation(field: &str) -> bool {
    field != NOTE && STANDING.contains(&field)
}
