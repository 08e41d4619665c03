//! What can go wrong with the files. Says nothing of what is in them.

use rusqlite::ErrorCode;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder can't be made or read.
    #[error("the store's folder: {0}")]
    Folder(#[from] std::io::Error),
    /// Neither file can be read with this key.
    #[error("the store does not open with this key")]
    WrongKey,
    /// Another process has it open.
    #[error("the store is open elsewhere")]
    InUse,
    /// A newer version of the app has written it.
    #[error("the store is of version {found}, this app knows {known}")]
    Newer {
        /// The file's version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The register's file is damaged; `SqliteStore::salvage` goes on without it. The outbox is whole.
    #[error("the register's file is damaged")]
    RegisterDamaged,
    /// The outbox's file is damaged; `SqliteStore::salvage` goes on with what can be read of it and what the register holds.
    #[error("the outbox's file is damaged")]
    OutboxDamaged,
    /// Anything else SQLite reports, such as a full disk.
    #[error("storage: {0}")]
    Sqlite(rusqlite::Error),
}

impl OpenError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder(_) => "store_folder",
            Self::WrongKey => "store_wrong_key",
            Self::InUse => "store_in_use",
            Self::Newer { .. } => "store_newer",
            Self::RegisterDamaged => "store_register_damaged",
            Self::OutboxDamaged => "store_outbox_damaged",
            Self::Sqlite(_) => "store_failed",
        }
    }

    /// What a collector reads: what it means for the work, and what to do.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::Folder(_) => "无法读写应用的数据目录，请检查手机存储空间后重新打开应用。",
            Self::WrongKey => "无法用当前密钥打开本机数据，请用原账号重新登录；数据没有被删除。",
            Self::InUse => "本机数据正被另一个窗口使用，请关闭后再打开。",
            Self::Newer { .. } => "本机数据由更新版本的应用写入，请更新应用后再打开。",
            Self::RegisterDamaged => {
                "本机档案文件损坏，可以重新下载；未上传的数据在另一个文件里，没有受影响。"
            }
            Self::OutboxDamaged => {
                "待上传文件损坏，重新打开应用会自动恢复能读出的内容；恢复并核对之前请不要卸载应用。"
            }
            Self::Sqlite(_) => "打开本机数据失败，请检查手机存储空间后重试；数据没有被删除。",
        }
    }
}

/// What can go wrong once it is open. After an error nothing of the batch is kept, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed: a full disk, a damaged page.
    #[error("storage: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that can't be read.
    #[error("a damaged row in {0}")]
    Row(&'static str),
    /// A file could not be removed.
    #[error("the store's folder: {0}")]
    Folder(#[from] std::io::Error),
    /// The batch before was kept but could not be shown until now: read again what this batch was made from.
    #[error("made from what was read before a failed write")]
    Stale,
    /// Nothing can be written any more: everything was wiped.
    #[error("the store was wiped")]
    Wiped,
}

impl StoreError {
    /// Whether a file is damaged: close the store and go on with `SqliteStore::salvage`.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_damage(error),
            Self::Row(_) => true,
            _ => false,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            _ if self.is_damage() => "store_damaged",
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                "store_disk_full"
            }
            Self::Sqlite(_) | Self::Row(_) => "store_failed",
            Self::Folder(_) => "store_folder",
            Self::Stale => "store_stale",
            Self::Wiped => "store_wiped",
        }
    }
}

/// Whether an error says that a file is damaged. SQLCipher reports a page whose seal is broken as want of memory, as
/// SQLite has no other answer for it, and whatever is asked of that connection afterwards as an error without a text of
/// its own. A true want of memory leads to a check, which finds nothing.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let after_damage = matches!(
        error,
        rusqlite::Error::SqliteFailure(failure, Some(text))
            if failure.extended_code == rusqlite::ffi::SQLITE_ERROR && text == NO_TEXT
    );
    after_damage
        || matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::OutOfMemory)
        )
}

/// What SQLite says of an error that nothing was said of.
const NO_TEXT: &str = "SQL logic error";
