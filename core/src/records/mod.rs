//! Records are declared once, as data: `resident.toml`, `house.toml`, `residence.toml`, `visit.toml`,
//! `check_answer.toml`.
//!
//! From a declaration come validation ([`validate`]), masks, import, conflict rules, forms and tables;
//! nothing else restates a rule or a code table. This module knows what a field is; it does not know
//! Automerge, storage, or who is asking.
//!
//! ```
//! use doorstep_core::records;
//! let resident = records::record_type("resident").unwrap();
//! assert_eq!(resident.field("name").unwrap().label, "姓名");
//! assert_eq!(resident.field("tags/elderly").unwrap().name, "tags");
//! assert!(resident.field("nickname").is_none());
//! ```

pub mod import_map;
mod parse;
pub mod read;
mod reserved;
mod types;
mod validate;

use std::sync::OnceLock;

pub use parse::{DeclarationError, parse};
pub use reserved::{AREA_KEY, RESERVED, TYPE_KEY, VERSION_KEY, begin, is_reserved};
pub use types::{
    Authority, Field, FieldKind, Mask, Merge, RecordKind, RecordType, Rule, SearchIndex,
    Sensitivity, SetOf, Severity, split_key,
};
pub use validate::{FieldProblem, Mode, validate, validate_on};

const SOURCES: [(&str, &str); 5] = [
    ("resident", include_str!("resident.toml")),
    ("house", include_str!("house.toml")),
    ("residence", include_str!("residence.toml")),
    ("visit", include_str!("visit.toml")),
    ("check_answer", include_str!("check_answer.toml")),
];

/// The built-in record types: resident (居民), house (房屋), residence (居住关系), visit (走访), check_answer (核查反馈).
pub fn all() -> &'static [RecordType] {
    static TYPES: OnceLock<Vec<RecordType>> = OnceLock::new();
    // A built-in declaration that can't be used fails the test below; it must not take a phone down.
    TYPES.get_or_init(|| {
        SOURCES
            .iter()
            .filter_map(|(_, text)| parse(text).ok())
            .collect()
    })
}

/// The built-in record type of this name.
#[must_use]
pub fn record_type(name: &str) -> Option<&'static RecordType> {
    all().iter().find(|t| t.name == name)
}

#[cfg(test)]
mod tests;
