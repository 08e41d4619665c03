//! What lists, search, filters and links read of a record, derived from its registers and its declaration.
//! The server and every device derive the same. Knows no storage and no reader's rights.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::address;
use crate::crdt::{FlatChange, Registers};
use crate::ids::{AreaCode, RecordId};
use crate::records::{self, FieldKind, Sensitivity};
use crate::search;
use crate::value::{Fields, Value};

pub use crate::records::{AREA_KEY, TYPE_KEY, VERSION_KEY};

/// Raised when `project` or `search::tokens` derives something else from the same record, so that what was derived
/// before is derived again (see `stamp`).
pub const VERSION: u32 = 1;

/// What projections depend on besides their record. A host keeps it beside them, and derives all of them again when it
/// finds another one after an update.
#[must_use]
pub fn stamp() -> String {
    let declared = records::all().iter();
    let declared: Vec<String> = declared
        .map(|declared| format!("{}:{}", declared.name, declared.version))
        .collect();
    format!("{VERSION} {}", declared.join(" "))
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// The winning values, reserved keys and tombstones left out.
    pub fields: Fields,
    /// Whether `status` says cancelled (注销).
    pub cancelled: bool,
    /// What the record is found by (`search::tokens`).
    pub tokens: BTreeSet<String>,
    /// The records it refers to, by field.
    pub links: Vec<(String, RecordId)>,
}

/// Derives the projection.
#[must_use]
pub fn project(record_type: &str, registers: &Registers) -> Projection {
    let mut projection = project_without_tokens(record_type, registers);
    projection.tokens = search::tokens(record_type, &projection.fields);
    projection
}

/// Derives the projection but for its tokens, which cost the most: for a change of none of the fields that
/// `feeds_tokens` names.
#[must_use]
pub fn project_without_tokens(record_type: &str, registers: &Registers) -> Projection {
    let fields: Fields = registers
        .fields()
        .into_iter()
        .filter(|(key, _)| !key.starts_with('_'))
        .collect();
    let cancelled = fields.get("status").and_then(Value::as_text) == Some("cancelled");
    let links = references(record_type, &fields)
        .map(|(key, id)| (key.clone(), id))
        .collect();
    Projection {
        fields,
        cancelled,
        tokens: BTreeSet::new(),
        links,
    }
}

/// Derives the projection, without its tokens where they stay as they were (see `keeps_tokens`).
#[must_use]
pub fn project_anew(record_type: &str, registers: &Registers, same_tokens: bool) -> Projection {
    match same_tokens {
        true => project_without_tokens(record_type, registers),
        false => project(record_type, registers),
    }
}

/// Whether a change leaves the tokens of its record as they were.
#[must_use]
pub fn keeps_tokens(record_type: &str, change: &FlatChange) -> bool {
    let mut ops = change.ops.iter();
    !ops.any(|op| feeds_tokens(record_type, &op.key))
}

/// Whether the tokens of a record may differ after a change of this key.
#[must_use]
pub fn feeds_tokens(record_type: &str, key: &str) -> bool {
    records::record_type(record_type)
        .and_then(|declared| declared.field(key))
        .is_some_and(|field| field.search.is_some())
}

/// Whether the links of a record may differ after a change of this key.
#[must_use]
pub fn feeds_links(record_type: &str, key: &str) -> bool {
    refers(record_type, key) == Some(true)
}

/// The records that values of a record refer to, by field.
pub fn references<'a>(
    record_type: &str,
    values: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> impl Iterator<Item = (&'a String, RecordId)> {
    let values = values.into_iter();
    values
        .filter(move |(key, _)| feeds_links(record_type, key))
        .filter_map(|(key, value)| Some((key, value.as_text()?.parse().ok()?)))
}

/// The records that an event is about, and with which it is erased: those its references name. What is not declared
/// here, as a newer phone may send it, may be a reference too: it must not outlive whom it tells of.
pub fn subjects(event_type: &str, fields: &Fields) -> impl Iterator<Item = RecordId> {
    let values = fields.iter();
    values
        .filter(move |(key, _)| refers(event_type, key).unwrap_or(true))
        .filter_map(|(_, value)| value.as_text()?.parse().ok())
}

/// Whether a key holds a reference; `None` where it is not declared.
fn refers(record_type: &str, key: &str) -> Option<bool> {
    let field = records::record_type(record_type)?.field(key)?;
    Some(matches!(field.kind, FieldKind::Reference(_)))
}

/// What may stand in clear in a database: the open fields, and what is derived from others without telling them.
/// Lists, maps of buildings and counts go by these.
#[must_use]
pub fn facets(record_type: &str, fields: &Fields) -> serde_json::Map<String, serde_json::Value> {
    let Some(declared) = records::record_type(record_type) else {
        return serde_json::Map::new();
    };
    let open = |key: &&String| {
        declared
            .field(key)
            .is_some_and(|field| field.sensitivity == Sensitivity::Open)
    };
    let mut facets: serde_json::Map<String, serde_json::Value> = fields
        .keys()
        .filter(open)
        .filter_map(|key| Some((key.clone(), fields.get(key)?.clone().into())))
        .collect();
    if record_type == "house"
        && let Some(address) = fields
            .get("address")
            .and_then(Value::as_text)
            .map(address::parse)
    {
        facets.insert("address_key".to_owned(), address.key().into());
        facets.insert("building_key".to_owned(), address.building_key().into());
    }
    if fields.get("until").is_some_and(|until| !until.is_null()) {
        facets.insert("ended".to_owned(), true.into());
    }
    facets
}

/// The area a record says it was made in.
#[must_use]
pub fn area_of(registers: &Registers) -> Option<AreaCode> {
    registers
        .get(AREA_KEY)
        .and_then(Value::as_text)
        .and_then(|text| text.parse().ok())
}
