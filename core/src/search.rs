//! What a record is found by, and what typed words look for: one place for devices and server.
//! Knows no index: a device builds full text on the tokens, the server keeps only their HMACs.

use std::collections::BTreeSet;

use crate::value::{Fields, Value};

/// Typed words: every term must be found, each by any of its tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The terms; each holds the tokens of which one must be there.
    pub terms: Vec<BTreeSet<String>>,
}

impl Query {
    /// Whether a record with these tokens is found.
    #[must_use]
    pub fn matches(&self, tokens: &BTreeSet<String>) -> bool {
        self.terms
            .iter()
            .all(|term| term.iter().any(|token| tokens.contains(token)))
    }
}

/// What a record of this type with these values is found by.
#[must_use]
pub fn tokens(_record_type: &str, fields: &Fields) -> BTreeSet<String> {
    fields
        .values()
        .filter_map(Value::as_text)
        .flat_map(str::split_whitespace)
        .map(str::to_lowercase)
        .collect()
}

/// What typed words look for.
#[must_use]
pub fn query(text: &str) -> Query {
    Query {
        terms: text
            .split_whitespace()
            .map(|word| BTreeSet::from([word.to_lowercase()]))
            .collect(),
    }
}
