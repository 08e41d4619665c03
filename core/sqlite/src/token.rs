//! The search index's side of a write: which words each row gains and loses, written at its end, in one go.
//!
//! FTS5 writes what it has gathered to disk whenever another statement may have to be undone, and again when a row
//! comes that is not after the last: row by row, each was written by itself. So words that stay are left alone, rows come
//! in order, and other tables are written before. Knows rows and words, no records; what the words are, `list` says.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use crate::error::StoreError;

/// What is to become of the words of rows; each row once, whatever was written of it how often.
#[derive(Debug, Default)]
pub(crate) struct TokenWrites {
    rows: BTreeMap<i64, Words>,
}

/// A row's words, in the form that `register.tokens` keeps.
#[derive(Debug)]
struct Words {
    before: String,
    after: String,
}

impl TokenWrites {
    /// Notes a row's words as the index has them and as it shall have them.
    pub(crate) fn put(&mut self, row: i64, before: String, after: String) {
        let words = self.rows.entry(row).or_insert(Words {
            before,
            after: String::new(),
        });
        words.after = after;
    }

    /// Writes them, in this transaction and not only at its end: a full disk must be found before anything is kept.
    pub(crate) fn write(&self, to: &Connection) -> Result<(), StoreError> {
        let mut written = false;
        for (row, words) in &self.rows {
            written |= words.write(to, *row)?;
        }
        if written {
            to.prepare_cached("INSERT INTO token (token) VALUES ('flush')")?
                .execute([])?;
        }
        Ok(())
    }
}

/// Takes the words that are in no row any more out of the index's pages: an edit leaves a replaced word, with a note that
/// it counts no longer, until the parts that hold them are merged.
pub(crate) fn forget(to: &Connection) -> Result<(), StoreError> {
    to.prepare_cached("INSERT INTO token (token) VALUES ('optimize')")?
        .execute([])?;
    Ok(())
}

impl Words {
    /// FTS5 counts rows by insertions less deletions, and takes an index with fewer than it takes out for damaged: a row
    /// that keeps some of its words is taken out and put in, if need be with no word.
    fn write(&self, to: &Connection, row: i64) -> Result<bool, StoreError> {
        if self.before == self.after {
            return Ok(false);
        }
        let (before, after) = (set(&self.before), set(&self.after));
        if !before.is_empty() {
            let gone: Vec<&str> = before.difference(&after).copied().collect();
            to.prepare_cached(
                "INSERT INTO token (token, rowid, tokens) VALUES ('delete', ?1, ?2)",
            )?
            .execute(params![row, gone.join(" ")])?;
        }
        if !after.is_empty() {
            let new: Vec<&str> = after.difference(&before).copied().collect();
            to.prepare_cached("INSERT INTO token (rowid, tokens) VALUES (?1, ?2)")?
                .execute(params![row, new.join(" ")])?;
        }
        Ok(true)
    }
}

fn set(words: &str) -> BTreeSet<&str> {
    words.split_ascii_whitespace().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::{file, register};

    type Index = BTreeMap<i64, BTreeSet<u8>>;

    fn word(n: u8) -> String {
        hex::encode(format!("n:{n}"))
    }

    fn words(set: &BTreeSet<u8>) -> String {
        let words: Vec<String> = set.iter().map(|n| word(*n)).collect();
        words.join(" ")
    }

    fn found(index: &Connection, n: u8) -> BTreeSet<i64> {
        let mut statement = index
            .prepare_cached("SELECT rowid FROM token WHERE token MATCH ?1")
            .unwrap();
        let rows = statement.query_map([word(n)], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn the_index_finds_what_the_rows_hold(
            batches in vec(vec((1_i64..12, btree_set(0_u8..20, 0..8)), 1..8), 1..20),
        ) {
            let mut index = file::empty(register::STEPS).unwrap();
            let mut rows = Index::new();
            let everything_goes = (1..12).map(|row| (row, BTreeSet::new())).collect();
            for batch in batches.into_iter().chain([everything_goes]) {
                let transaction = index.transaction().unwrap();
                let mut writes = TokenWrites::default();
                for (row, after) in batch {
                    let before = rows.insert(row, after.clone()).unwrap_or_default();
                    writes.put(row, words(&before), words(&after));
                }
                writes.write(&transaction).unwrap();
                forget(&transaction).unwrap();
                transaction.commit().unwrap();
                for n in 0..20 {
                    let holds = rows.iter().filter(|(_, set)| set.contains(&n));
                    let held: BTreeSet<i64> = holds.map(|(row, _)| *row).collect();
                    prop_assert_eq!(found(&index, n), held, "word {}", n);
                }
                index.execute("INSERT INTO token (token) VALUES ('integrity-check')", []).unwrap();
            }
            // Taken out, a word is not in the index's pages any more.
            let mut pages = index.prepare("SELECT block FROM token_data").unwrap();
            let pages = pages.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
            for page in pages {
                let page = page.unwrap();
                prop_assert!(!page.windows(6).any(|part| part == b"6e3a31"), "a word stayed");
            }
        }
    }
}
