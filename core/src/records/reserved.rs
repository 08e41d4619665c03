//! The keys that every record has beside its declared fields: its first change says them, and none after it.

use super::RecordType;
use crate::ids::AreaCode;
use crate::value::Fields;

/// The key that holds a record's type.
pub const TYPE_KEY: &str = "_type";
/// The key that holds the version of the declaration.
pub const VERSION_KEY: &str = "_v";
/// The key that holds the area the record was made in.
pub const AREA_KEY: &str = "_area";

/// All of them.
pub const RESERVED: [&str; 3] = [TYPE_KEY, VERSION_KEY, AREA_KEY];

/// Whether a key is one of them.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key)
}

/// The first values of a record that is made in an area.
#[must_use]
pub fn begin(declared: &RecordType, area: AreaCode, mut fields: Fields) -> Fields {
    fields.insert(TYPE_KEY.to_owned(), declared.name.as_str().into());
    fields.insert(VERSION_KEY.to_owned(), i64::from(declared.version).into());
    fields.insert(AREA_KEY.to_owned(), area.as_str().into());
    fields
}
