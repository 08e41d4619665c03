//! The tables the address reader goes by. Knows their shape, not how they are used.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// Districts, rooms with names, estate endings, other forms of characters, other names of roads.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Rules {
    /// Districts without their 区, in force and historic.
    pub(super) districts: Vec<String>,
    /// Rooms that go by a name.
    pub(super) rooms: Vec<String>,
    /// Endings that make a name an estate's.
    pub(super) estates: Vec<String>,
    /// Variant character to the plain one.
    pub(super) characters: BTreeMap<char, char>,
    /// Alias to the road's name in force.
    pub(super) roads: BTreeMap<String, String>,
}

static BUILT_IN: LazyLock<Rules> =
    LazyLock::new(|| toml::from_str(include_str!("rules.toml")).unwrap_or_default());

impl Rules {
    /// The rules built in (`rules.toml`).
    pub(super) fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The road's name in force; follows one alias only, so tables can't loop.
    pub(super) fn road(&self, written: &str) -> String {
        self.roads
            .get(written)
            .map_or(written, String::as_str)
            .to_owned()
    }
}
