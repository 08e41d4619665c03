//! What opening a device's files found out of order, and what the collector does about it. Knows no way to mend them:
//! the store has done so already.

use std::path::PathBuf;

use doorstep_sqlite::SqliteStore;
use serde::Serialize;

use crate::device::Device;
use crate::error::{ClientError, ClientResult};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Items queued again from the register when the files were opened, because the outbox was lost or damaged.
    pub requeued: usize,
    /// Damaged files that were set aside, still encrypted.
    pub set_aside: Vec<PathBuf>,
}

impl FileReport {
    /// What it means and what to do; `None` when all is well.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let mut said = Vec::new();
        if self.requeued > 0 {
            said.push(format!(
                "待上传文件丢失或损坏过，已从本机档案找回 {} 项，下次同步时上传；服务器已有的不会重复。",
                self.requeued
            ));
        }
        if !self.set_aside.is_empty() {
            let names: Vec<String> = self
                .set_aside
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            said.push(format!(
                "损坏的文件已另存为 {}，其中能读出的内容都已恢复。请先同步，再核对最近几天填写的内容，\
                 缺少的请补填；核对完之前不要卸载应用，并请管理员查看另存的文件。",
                names.join("、")
            ));
        }
        (!said.is_empty()).then(|| said.concat())
    }
}

impl Device<SqliteStore> {
    /// What was wrong with this device's files.
    ///
    /// # Errors
    /// The storage's.
    pub fn files(&self) -> ClientResult<FileReport> {
        let store = self.shared.store();
        Ok(FileReport {
            requeued: store.requeued(),
            set_aside: store.set_aside().map_err(ClientError::storage)?,
        })
    }
}
