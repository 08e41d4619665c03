//! The scalars a record's fields hold. Knows nothing of fields, rules or encodings.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// One scalar of a record. Dates are `YYYY-MM-DD` text, decimals are text, times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

/// By hand: the derived reader of an untagged enum tries one variant after another and words an error for each that
/// does not fit, which took a fifth of the server's time.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing, a truth value, a whole number or text")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        let number = i64::try_from(number)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        Ok(Value::Int(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::protocol::codec;

    #[test]
    fn scalars_are_read_back_from_both_encodings_and_nothing_else_is() {
        let all = [
            Value::Null,
            true.into(),
            Value::Int(-7),
            Value::Int(i64::MAX),
            "叶海思".into(),
            "".into(),
        ];
        for value in all {
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            let bytes = codec::to_bytes(&value);
            assert_eq!(codec::from_bytes::<Value>(&bytes).unwrap(), value);
        }
        for text in ["1.5", "18446744073709551615", "[]", "{}", "[1]"] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        let bytes = codec::to_bytes(&serde_bytes::ByteBuf::from(b"x".to_vec()));
        assert!(codec::from_bytes::<Value>(&bytes).is_err());
    }
}
