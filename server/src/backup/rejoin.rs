//! A table's rows with their keys put back in: the table's file and its keys' file, both in the order of ids, read side
//! by side, so that each row is written once. Knows no database.

use std::cmp::Ordering;
use std::io::BufRead;

use anyhow::{Context, ensure};
use doorstep_core::crypto::sm3::Running;

use super::manifest::TableFile;
use super::{KEY_COLUMN, KEY_VERSION};

/// The rows of a table's file, each with its key out of the keys' file.
pub(super) struct Rejoined<R> {
    rows: R,
    keys: Keys<R>,
    /// Where columns lie in a row: the id, the key, its version.
    places: [usize; 3],
    line: Vec<u8>,
    digest: Running,
}

impl<R: BufRead> Rejoined<R> {
    /// # Errors
    /// When the rows have no keys, or do not stand in the order of ids.
    pub(super) fn new(file: &TableFile, rows: R, keys: R) -> anyhow::Result<Self> {
        let place = |name: &str| {
            let found = file.columns.iter().position(|column| column == name);
            found.with_context(|| format!("table {} has no column {name}", file.name))
        };
        ensure!(
            file.order == ["id"],
            "table {} is not in the order of ids",
            file.name
        );
        Ok(Self {
            rows,
            keys: Keys {
                lines: keys,
                next: None,
            },
            places: [place("id")?, place(KEY_COLUMN)?, place(KEY_VERSION)?],
            line: Vec::new(),
            digest: Running::default(),
        })
    }

    /// Adds the next row to `out`; false when there is none left. A row whose key nobody has keeps its empty one.
    ///
    /// # Errors
    /// When a file can't be read, or is none of a table's.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        if !line(&mut self.rows, &mut self.line)? {
            return Ok(false);
        }
        let [id, key, version] = self.places;
        // A tab within a value is written `\t`.
        let mut values: Vec<&[u8]> = self.line.split(|byte| *byte == b'\t').collect();
        ensure!(
            values.len() > id.max(key).max(version),
            "a row is cut short"
        );
        let given = self.keys.of(values[id])?;
        if let Some(given) = given {
            values[version] = &given[2];
        }
        self.digest.update(&values.join(&b'\t'));
        self.digest.update(b"\n");
        if let Some(given) = given {
            values[key] = &given[1];
        }
        out.extend_from_slice(&values.join(&b'\t'));
        out.push(b'\n');
        Ok(true)
    }

    /// The digest of the rows as the table reads without their keys.
    pub(super) fn digest(self) -> String {
        hex::encode(self.digest.finish())
    }
}

/// The keys' file, read on as far as ids are asked for.
struct Keys<R> {
    lines: R,
    /// An id with its key and the key's version.
    next: Option<[Vec<u8>; 3]>,
}

impl<R: BufRead> Keys<R> {
    /// The key of the row `id`, where it has one. Ids are asked for in their order.
    fn of(&mut self, id: &[u8]) -> anyhow::Result<Option<&[Vec<u8>; 3]>> {
        let mut read = Vec::new();
        loop {
            // Written out, ids stand in the order of their bytes.
            match self.next.as_ref().map(|next| next[0].as_slice().cmp(id)) {
                Some(Ordering::Equal) => return Ok(self.next.as_ref()),
                Some(Ordering::Greater) => return Ok(None),
                Some(Ordering::Less) | None => {}
            }
            if !line(&mut self.lines, &mut read)? {
                return Ok(None);
            }
            let values: Vec<Vec<u8>> = read
                .split(|byte| *byte == b'\t')
                .map(<[u8]>::to_vec)
                .collect();
            let values = <[Vec<u8>; 3]>::try_from(values);
            self.next = Some(values.map_err(|_| anyhow::anyhow!("a key is cut short"))?);
        }
    }
}

/// Reads the next line into `into`, without its end; false when there is none.
fn line(from: &mut impl BufRead, into: &mut Vec<u8>) -> anyhow::Result<bool> {
    into.clear();
    if from.read_until(b'\n', into)? == 0 {
        return Ok(false);
    }
    ensure!(into.pop() == Some(b'\n'), "a line is cut short");
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file() -> TableFile {
        TableFile {
            name: "records".to_owned(),
            columns: ["id", "state", KEY_COLUMN, KEY_VERSION]
                .map(str::to_owned)
                .to_vec(),
            order: vec!["id".to_owned()],
            rows: 4,
            digest: String::new(),
        }
    }

    #[test]
    fn each_row_is_given_its_own_key_and_none_that_is_not_its_own() {
        let rows = "01\ta\\tb\t\t1\n03\tc\t\t1\n05\td\t\t1\n07\te\t\t1\n";
        let keys = "02\tstranger\t9\n03\tkey3\t2\n05\t\t1\n06\tstranger\t9\n";
        let mut joined = Rejoined::new(&file(), rows.as_bytes(), keys.as_bytes()).unwrap();
        let mut out = Vec::new();
        while joined.next(&mut out).unwrap() {}
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "01\ta\\tb\t\t1\n03\tc\tkey3\t2\n05\td\t\t1\n07\te\t\t1\n"
        );
        let mut digest = Running::default();
        digest.update(b"01\ta\\tb\t\t1\n03\tc\t\t2\n05\td\t\t1\n07\te\t\t1\n");
        assert_eq!(
            joined.digest(),
            hex::encode(digest.finish()),
            "as without keys"
        );
    }

    #[test]
    fn files_that_are_cut_or_of_another_order_are_refused() {
        let cut = |rows: &'static str, keys: &'static str| {
            let mut joined = Rejoined::new(&file(), rows.as_bytes(), keys.as_bytes()).unwrap();
            joined.next(&mut Vec::new()).is_err()
        };
        assert!(cut("01\ta\t\t1", ""), "no end of the line");
        assert!(cut("01\ta\n", ""), "columns are missing");
        assert!(
            cut("01\ta\t\t1\n", "01\tkey\n"),
            "a key without its version"
        );
        let mut other = file();
        other.order = vec!["state".to_owned()];
        assert!(Rejoined::new(&other, &b""[..], &b""[..]).is_err());
    }
}
