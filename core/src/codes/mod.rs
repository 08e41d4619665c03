//! Code tables: official codes with their Chinese labels, as data built in from `tables/*.toml`.
//!
//! Knows nothing of records, areas or storage. A code that no table knows is not an error anywhere: it
//! is kept as it came, and [`CodeTable::known`] lets validation point it out. Standards are named in
//! each file's `standard`.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// One code of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The official code, e.g. `1`.
    pub code: String,
    /// The official Chinese label, e.g. 男性.
    pub label: String,
    /// A short English gloss, for programmers and open interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub english: Option<String>,
    /// Other labels met in registers and templates, e.g. 男.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub synonyms: Vec<String>,
    /// No longer offered for new entries, still understood.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// A table of codes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTable {
    /// The name by which declarations refer to it, e.g. `sex`.
    pub name: String,
    /// Its Chinese name, e.g. 性别.
    pub label: String,
    /// The standard it comes from, e.g. GB/T 2261.1-2003.
    pub standard: String,
    /// What a reader must know besides, in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The codes, in the standard's order.
    pub entries: Vec<Code>,
    #[serde(skip)]
    by_code: HashMap<String, usize>,
    #[serde(skip)]
    by_label: HashMap<String, usize>,
}

impl CodeTable {
    /// Reads a table from its TOML text.
    ///
    /// # Errors
    /// The parser's message, for a text that isn't a table.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut table: Self = toml::from_str(text)?;
        for (i, entry) in table.entries.iter().enumerate() {
            table.by_code.entry(entry.code.clone()).or_insert(i);
            for label in std::iter::once(&entry.label).chain(&entry.synonyms) {
                table.by_label.entry(label_key(label)).or_insert(i);
            }
        }
        Ok(table)
    }

    /// The entry of a code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<&Code> {
        self.by_code.get(code).and_then(|i| self.entries.get(*i))
    }

    /// The Chinese label of a code, or `None` for an unknown one (show the code itself then).
    #[must_use]
    pub fn label(&self, code: &str) -> Option<&str> {
        self.get(code).map(|e| e.label.as_str())
    }

    /// Whether the table has this code, retired or not.
    #[must_use]
    pub fn known(&self, code: &str) -> bool {
        self.by_code.contains_key(code)
    }

    /// The code meant by what a register holds: a code, a label, a synonym, or a code that lost its
    /// leading zeros in a spreadsheet (`1` for `01`).
    #[must_use]
    pub fn resolve(&self, text: &str) -> Option<&str> {
        let key = label_key(text);
        if let Some(i) = self.by_code.get(&key).or_else(|| self.by_label.get(&key)) {
            return self.entries.get(*i).map(|e| e.code.as_str());
        }
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let bare = key.trim_start_matches('0');
        let mut hits = self.entries.iter().filter(|e| {
            !bare.is_empty()
                && e.code.bytes().all(|b| b.is_ascii_digit())
                && e.code.trim_start_matches('0') == bare
        });
        match (hits.next(), hits.next()) {
            (Some(only), None) => Some(only.code.as_str()),
            _ => None,
        }
    }

    /// The entries that a form offers: all that aren't retired.
    pub fn offered(&self) -> impl Iterator<Item = &Code> {
        self.entries.iter().filter(|e| !e.retired)
    }
}

/// Compares labels as people write them: compatibility forms folded, blanks dropped, lower case.
fn label_key(label: &str) -> String {
    label
        .nfkc()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        const SOURCES: &[(&str, &str)] = &[$(($name, include_str!(concat!("tables/", $name, ".toml")))),*];
    };
}

built_in![
    "away_reason",
    "cancel_reason",
    "certificate_kind",
    "change_reason",
    "check_answer",
    "checked_item",
    "country",
    "district",
    "education",
    "guardian_relation",
    "house_kind",
    "house_managed",
    "house_use",
    "marital_status",
    "nationality",
    "orientation",
    "ownership",
    "political_status",
    "population_kind",
    "presence",
    "record_status",
    "relation_to_head",
    "residence_kind",
    "sex",
    "stay_reason",
    "tag",
    "visa_kind",
    "visit_mode",
    "visit_purpose",
    "visit_result",
];

/// All built-in tables, by name.
pub fn all() -> &'static [CodeTable] {
    static TABLES: OnceLock<Vec<CodeTable>> = OnceLock::new();
    // A built-in text that doesn't parse fails the test below; it must not take a running phone down.
    TABLES.get_or_init(|| {
        SOURCES
            .iter()
            .filter_map(|(_, text)| CodeTable::parse(text).ok())
            .collect()
    })
}

/// The built-in table of this name.
#[must_use]
pub fn table(name: &str) -> Option<&'static CodeTable> {
    all().iter().find(|t| t.name == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_built_in_table_parses_and_is_named_as_its_file() {
        for (name, text) in SOURCES {
            let table = CodeTable::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(&table.name, name);
            assert!(
                !table.label.is_empty() && !table.standard.is_empty(),
                "{name}"
            );
        }
        assert_eq!(all().len(), SOURCES.len());
    }

    #[test]
    fn codes_are_unique_and_no_label_means_two_codes() {
        for table in all() {
            let codes: BTreeSet<_> = table.entries.iter().map(|e| &e.code).collect();
            assert_eq!(codes.len(), table.entries.len(), "{}", table.name);
            for entry in &table.entries {
                assert!(!entry.label.is_empty(), "{} {}", table.name, entry.code);
                for label in std::iter::once(&entry.label).chain(&entry.synonyms) {
                    assert_eq!(
                        table.resolve(label),
                        Some(entry.code.as_str()),
                        "{} {label}",
                        table.name
                    );
                    let as_code = table.get(label).map(|e| e.code.as_str());
                    assert!(
                        as_code.is_none_or(|c| c == entry.code),
                        "{} {label}",
                        table.name
                    );
                }
            }
        }
    }

    #[test]
    fn the_standards_lists_are_whole() {
        assert_eq!(
            table("nationality").unwrap().entries.len(),
            58,
            "56, other and naturalised"
        );
        assert_eq!(table("political_status").unwrap().entries.len(), 13);
        assert!(table("country").unwrap().entries.len() >= 249, "ISO 3166-1");
        assert_eq!(table("district").unwrap().offered().count(), 16);
        assert_eq!(table("relation_to_head").unwrap().label("02"), Some("户主"));
    }

    #[test]
    fn labels_of_registers_resolve() {
        let cases = [
            ("population_kind", "人户一致", "01"),
            ("population_kind", "来沪", "02"),
            ("population_kind", "境外", "03"),
            ("house_use", "群租", "49"),
            ("house_use", "单位", "9"),
            ("certificate_kind", "居民身份证", "111"),
            ("sex", "女", "2"),
            ("sex", " 男 ", "1"),
            ("nationality", "１", "01"),
            ("nationality", "1", "01"),
            ("country", "JP", "JPN"),
            ("country", "日本", "JPN"),
        ];
        for (name, text, code) in cases {
            assert_eq!(
                table(name).unwrap().resolve(text),
                Some(code),
                "{name} {text}"
            );
        }
        assert_eq!(table("sex").unwrap().resolve("丙"), None);
        assert_eq!(table("sex").unwrap().resolve(""), None);
    }
}
