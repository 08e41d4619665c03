//! A damaged outbox: what can still be read of it goes into a new file, and the damaged one is set aside, still
//! encrypted. Reads a copy, so that the damaged file stays as it was found. Knows nothing of what items mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags, Row, params};

use crate::error::OpenError;
use crate::file::{self, FileError};
use crate::outbox;

/// The file being written; only whole ones get their place.
pub(crate) const FRESH: &str = "outbox.new.db";
/// The copy that is read.
const COPY: &str = "outbox.reading.db";
/// How many rows in a row may be unreadable: a page holds one or two dozen, and trying each costs a millisecond.
const PATIENCE: u32 = 300;
/// How long a file that was set aside is kept for someone who looks after devices.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What became of a damaged outbox.
pub(crate) struct Rescued {
    /// Where it was set aside.
    pub(crate) set_aside: PathBuf,
    /// How many items were read.
    pub(crate) items: usize,
}

type ItemRow = (Vec<u8>, Option<Vec<u8>>, i64);

/// Puts a new outbox with everything that can be read in the place of a damaged one.
pub(crate) fn outbox(folder: &Path, name: &str, key: &[u8; 32]) -> Result<Rescued, OpenError> {
    remove(&folder.join(COPY))?;
    remove(&folder.join(FRESH))?;
    let (from, to) = (folder.join(name), folder.join(COPY));
    for (from, to) in file::with_side_files(&from)
        .iter()
        .zip(file::with_side_files(&to))
    {
        if from.exists() {
            std::fs::copy(from, to)?;
        }
    }
    let damaged = Damaged {
        path: folder.join(COPY),
        key,
    };
    let items: BTreeMap<i64, ItemRow> = damaged.rows("item", "id", "item, hash, made_at", |row| {
        Ok((row.get(1)?, row.get(2)?, row.get(3)?))
    });
    let refused: BTreeMap<i64, Vec<u8>> = damaged.rows("refused", "n", "refused", |row| row.get(1));
    write(&folder.join(FRESH), key, &items, &refused)?;
    let set_aside = set_aside(folder, name)?;
    settle(folder, name)?;
    remove(&folder.join(COPY))?;
    Ok(Rescued {
        set_aside,
        items: items.len(),
    })
}

/// Gives a new outbox its place, where a crash came before that.
pub(crate) fn settle(folder: &Path, name: &str) -> Result<(), OpenError> {
    let (fresh, place) = (folder.join(FRESH), folder.join(name));
    if fresh.exists() && !place.exists() {
        std::fs::rename(fresh, place)?;
    }
    Ok(())
}

/// Envelopes are left out, so that the items go up in others: their numbers are the server's to say. The register's
/// halves are left out, too: the items say the same.
fn write(
    path: &Path,
    key: &[u8; 32],
    items: &BTreeMap<i64, ItemRow>,
    refused: &BTreeMap<i64, Vec<u8>>,
) -> Result<(), OpenError> {
    let opened = file::open(path, key, outbox::STEPS).map_err(|error| match error {
        FileError::Other(error) => error,
        FileError::Unreadable => OpenError::OutboxDamaged,
    })?;
    let write = || -> rusqlite::Result<()> {
        let transaction = opened.connection.unchecked_transaction()?;
        for (id, (item, hash, made_at)) in items {
            transaction
                .prepare_cached(
                    "INSERT INTO item (id, item, hash, made_at) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![id, item, hash, made_at])?;
        }
        for (n, refused) in refused {
            transaction
                .prepare_cached("INSERT INTO refused (n, refused) VALUES (?1, ?2)")?
                .execute(params![n, refused])?;
        }
        transaction.commit()
    };
    write().map_err(OpenError::Sqlite)
}

/// Moves a file and those beside it out of the way, under the first number that is free: `outbox.damaged-1.db`.
pub(crate) fn set_aside(folder: &Path, name: &str) -> Result<PathBuf, OpenError> {
    let stem = name.trim_end_matches(".db");
    let mut number = 1;
    let kept = loop {
        let kept = folder.join(format!("{stem}.damaged-{number}.db"));
        if !kept.exists() {
            break kept;
        }
        number += 1;
    };
    let from = file::with_side_files(&folder.join(name));
    // The side files first: a crash in between must not leave them to a new file of the same name.
    for (from, to) in from.iter().zip(file::with_side_files(&kept)).rev() {
        if from.exists() {
            std::fs::rename(from, to)?;
        }
    }
    // It is kept for a time from now on, whenever it was last written to. By its old date it goes earlier.
    if let Ok(file) = std::fs::File::options().write(true).open(&kept) {
        let _ = file.set_modified(SystemTime::now());
    }
    Ok(kept)
}

/// The damaged files that were set aside in a folder.
pub(crate) fn kept(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = file_name(&path);
        if name.contains(".damaged-") && name.ends_with(".db") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Removes the files of this name that were set aside: what is to be forgotten may stand in them.
pub(crate) fn forget(folder: &Path, name: &str) -> Result<(), OpenError> {
    let stem = format!("{}.damaged-", name.trim_end_matches(".db"));
    for path in kept(folder)? {
        if file_name(&path).starts_with(&stem) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes what was set aside long ago, and the copy that a crash left: of a store that has opened nothing is missing.
pub(crate) fn tidy(folder: &Path) -> Result<(), OpenError> {
    remove(&folder.join(COPY))?;
    for path in kept(folder)? {
        let since = std::fs::metadata(&path)?.modified()?;
        if since.elapsed().is_ok_and(|age| age > KEPT) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn remove(path: &Path) -> Result<(), OpenError> {
    for file in file::with_side_files(path) {
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}

struct Damaged<'a> {
    path: PathBuf,
    key: &'a [u8; 32],
}

impl Damaged<'_> {
    /// A page that can't be read spoils the connection that found it: each try has its own.
    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        file::unlock(&connection, self.key)?;
        Ok(connection)
    }

    /// A table's rows by their number: from the front to the first page that can't be read, from the back to the last,
    /// and one by one what lies between.
    fn rows<T>(
        &self,
        table: &str,
        key: &str,
        columns: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> BTreeMap<i64, T> {
        let select = format!("SELECT {key}, {columns} FROM {table}");
        let mut found = BTreeMap::new();
        if self.scan(&format!("{select} ORDER BY {key}"), &read, &mut found) {
            return found;
        }
        let from = found.keys().next_back().copied().unwrap_or(0);
        let mut behind = BTreeMap::new();
        self.scan(&format!("{select} ORDER BY {key} DESC"), &read, &mut behind);
        let to = behind.keys().next().copied();
        found.append(&mut behind);
        let one = format!("{select} WHERE {key} = ?1");
        let mut connection = None;
        let mut failed = 0;
        for id in from + 1..to.unwrap_or(i64::MAX) {
            match self.look_up(&mut connection, &one, id, &read) {
                Ok(row) => {
                    failed = if row.is_some() { 0 } else { failed + 1 };
                    found.extend(row.map(|row| (id, row)));
                }
                Err(_) => {
                    connection = None;
                    failed += 1;
                }
            }
            if failed > PATIENCE {
                break;
            }
        }
        found
    }

    /// Whether it came to the end.
    fn scan<T>(
        &self,
        sql: &str,
        read: &impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        found: &mut BTreeMap<i64, T>,
    ) -> bool {
        let mut scan = || -> rusqlite::Result<()> {
            let connection = self.connect()?;
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                found.insert(row.get(0)?, read(row)?);
            }
            Ok(())
        };
        scan().is_ok()
    }

    fn look_up<T>(
        &self,
        connection: &mut Option<Connection>,
        sql: &str,
        id: i64,
        read: &impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.connect()?),
        };
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([id])?;
        rows.next()?.map(read).transpose()
    }
}
