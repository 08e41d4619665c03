//! The tables of readings and look-alikes (`tables.toml`), loaded once. Knows their shape only.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
struct Source {
    surnames: BTreeMap<String, Vec<String>>,
    given: BTreeMap<char, Vec<String>>,
    look_alikes: Vec<String>,
    traditional: String,
}

/// The tables in the form they are used in.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Surname to its readings, each the syllables with blanks between, the usual one first.
    pub(super) surnames: BTreeMap<String, Vec<String>>,
    /// Character of a given name to its readings, the usual one first.
    pub(super) given: BTreeMap<char, Vec<String>>,
    representatives: HashMap<char, char>,
}

impl Tables {
    /// The character that stands for all that `c` is taken for: itself, if for none.
    pub(super) fn representative(&self, c: char) -> char {
        // Traditional to simplified first, then the group of the simplified one.
        let plain = self.representatives.get(&c).copied().unwrap_or(c);
        self.representatives.get(&plain).copied().unwrap_or(plain)
    }
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let source: Source = toml::from_str(include_str!("tables.toml")).unwrap_or_default();
    let mut representatives = HashMap::new();
    for group in &source.look_alikes {
        let mut members = group.chars();
        if let Some(first) = members.next() {
            representatives.extend(members.map(|member| (member, first)));
        }
    }
    let mut pairs = source.traditional.chars().filter(|c| !c.is_whitespace());
    while let (Some(traditional), Some(simplified)) = (pairs.next(), pairs.next()) {
        representatives.insert(traditional, simplified);
    }
    Tables {
        surnames: source.surnames,
        given: source.given,
        representatives,
    }
});

pub(super) fn tables() -> &'static Tables {
    &TABLES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_load_and_groups_do_not_meet() {
        let source: Source = toml::from_str(include_str!("tables.toml")).unwrap();
        let mut seen = BTreeSet::new();
        for c in source.look_alikes.iter().flat_map(|group| group.chars()) {
            assert!(seen.insert(c), "{c} is in two groups");
        }
        let pairs: Vec<char> = source
            .traditional
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        assert_eq!(pairs.len() % 2, 0);
        for pair in pairs.chunks(2) {
            assert_ne!(pair[0], pair[1]);
            assert!(seen.insert(pair[0]), "{} is given twice", pair[0]);
        }
        for c in &seen {
            let once = tables().representative(*c);
            assert_eq!(tables().representative(once), once, "{c}");
        }
    }

    #[test]
    fn readings_are_plain_syllables() {
        for (surname, readings) in &tables().surnames {
            for reading in readings {
                assert_eq!(
                    reading.split(' ').count(),
                    surname.chars().count(),
                    "{surname}"
                );
                assert!(
                    reading.bytes().all(|b| b.is_ascii_lowercase() || b == b' '),
                    "{surname}"
                );
            }
        }
        assert!(
            tables()
                .given
                .values()
                .flatten()
                .all(|r| r.bytes().all(|b| b.is_ascii_lowercase()))
        );
        assert!(tables().surnames.len() > 30);
    }
}
