//! One encrypted file: opening it with a key, bringing it to the present version, checking it.
//! Knows neither the register's tables nor the outbox's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{OpenError, is_damage};

/// A file's steps: the step at index n brings version n to n + 1. Steps are only ever added.
pub(crate) type Steps = &'static [&'static str];

/// How long another process may take to close.
const BUSY: Duration = Duration::from_millis(250);

/// What came of opening a file.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// Whether the file was not there before.
    pub(crate) new: bool,
}

/// Why a file does not open, before it is known what that means for both.
pub(crate) enum FileError {
    /// Not readable with this key, or damaged.
    Unreadable,
    Other(OpenError),
}

impl From<rusqlite::Error> for FileError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            return Self::Unreadable;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Other(OpenError::InUse)
            }
            _ => Self::Other(OpenError::Sqlite(error)),
        }
    }
}

/// Opens or makes a file and brings it to the present version.
pub(crate) fn open(path: &Path, key: &[u8; 32], steps: Steps) -> Result<Opened, FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    unlock(&connection, key)?;
    prepare(&connection)?;
    let new = version(&connection)? == 0;
    migrate(&mut connection, steps)?;
    Ok(Opened { connection, new })
}

/// Gives a connection the key.
pub(crate) fn unlock(connection: &Connection, key: &[u8; 32]) -> rusqlite::Result<()> {
    // Damage is an answer of ours, not a line on someone's standard error.
    connection.execute_batch("PRAGMA cipher_log_level = NONE")?;
    // A raw key: 32 bytes from the host's key store need no derivation, which would cost a quarter of a second.
    connection.pragma_update(None, "key", format!("x'{}'", hex::encode(key)))
}

/// An empty database that is in no file, with the present tables.
pub(crate) fn empty(steps: Steps) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    for step in steps {
        connection.execute_batch(step)?;
    }
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // Exclusive before WAL: nobody else reads these files, so no shared-memory file beside them is needed.
    // synchronous FULL: an acknowledged edit must survive a power cut. The register is told when it need not wait.
    // secure_delete: a record that was purged leaves no bytes in free pages. Temporary tables stay in memory.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -8192;
         PRAGMA journal_size_limit = 4194304;",
    )
}

/// Whether a commit waits until the disk has it, and everything before it. Not within a transaction.
pub(crate) fn set_durable(connection: &Connection, durable: bool) -> rusqlite::Result<()> {
    connection.execute_batch(match durable {
        true => "PRAGMA synchronous = FULL",
        false => "PRAGMA synchronous = NORMAL",
    })
}

/// Takes what the log holds into the file and leaves it empty: pages stand in it as they were before, too. Not within a
/// transaction.
pub(crate) fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(connection: &mut Connection, steps: Steps) -> Result<(), FileError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let found = version(connection)?;
    if found > known {
        return Err(FileError::Other(OpenError::Newer { found, known }));
    }
    for (version, step) in (1_i64..).zip(steps) {
        if version <= found {
            continue;
        }
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Reads every page: its seal (HMAC), then the tables' structure.
pub(crate) fn is_whole(connection: &Connection) -> rusqlite::Result<bool> {
    let seals: Vec<String> = rows(connection, "PRAGMA cipher_integrity_check")?;
    if !seals.is_empty() {
        return Ok(false);
    }
    Ok(rows(connection, "PRAGMA quick_check(1)")? == ["ok"])
}

fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let result = connection
        .prepare(sql)
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect());
    match result {
        Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
        other => other,
    }
}

/// A database file and the files SQLite keeps beside it.
pub(crate) fn with_side_files(path: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|tail| {
        let mut name = path.as_os_str().to_owned();
        name.push(tail);
        PathBuf::from(name)
    })
}
