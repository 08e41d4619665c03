//! The scalars a record's fields hold. Knows nothing of fields, rules or encodings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One scalar of a record. Dates are `YYYY-MM-DD` text, decimals are text, times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Cleared, or an element taken out of a set: a tombstone, never an Automerge delete.
    #[default]
    Null,
    /// Yes or no; `true` marks an element of a set.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text, at most 32 KiB in a change.
    Text(String),
}

/// A record's visible values by flat key: `name`, or `tags/elderly` for an element of a set or keyed list.
pub type Fields = BTreeMap<String, Value>;

impl Value {
    /// Whether the value is the tombstone.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, where the value is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, where the value is a number.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, where the value is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(yes) => Some(*yes),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(yes) => Self::Bool(yes),
            Value::Int(number) => Self::from(number),
            Value::Text(text) => Self::String(text),
        }
    }
}
