//! The operating-system user that a private PostgreSQL runs as: PostgreSQL refuses root.
//! Knows nothing of PostgreSQL itself.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// A user by number; `None` fields mean "whoever runs the server".
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    ids: Option<(u32, u32)>,
}

/// Whether this process runs as root.
pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

impl Account {
    /// The user to run the database as: ourselves, or, as root, `postgres` and else `nobody`.
    ///
    /// # Errors
    /// When this is root and the machine has neither user.
    pub(super) fn choose() -> anyhow::Result<Self> {
        if !is_root() {
            return Ok(Self { ids: None });
        }
        let table = std::fs::read_to_string("/etc/passwd").context("不能读取 /etc/passwd")?;
        let ids = ["postgres", "nobody"]
            .iter()
            .find_map(|name| ids_of(&table, name))
            .context(
                "以 root 运行时需要系统用户 postgres 或 nobody：请建立其中之一，或用普通用户启动",
            )?;
        Ok(Self { ids: Some(ids) })
    }

    /// A command that runs as this user, without our standard input.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .stdin(std::process::Stdio::null())
            .env("LC_ALL", "C")
            .current_dir("/");
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes `folder` (if need be), closed to all but this user.
    pub(super) fn own_folder(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("不能建立目录 {}", folder.display()))?;
        if let Some((user, group)) = self.ids {
            chown(folder, Some(user), Some(group))?;
        }
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    /// Whether this user can reach what lies in `folder`: every parent must let others pass.
    pub(super) fn can_reach(&self, folder: &Path) -> bool {
        let Some((user, group)) = self.ids else {
            return true;
        };
        folder
            .ancestors()
            .all(|parent| match std::fs::metadata(parent) {
                Ok(meta) if meta.uid() == user => meta.mode() & 0o100 != 0,
                Ok(meta) if meta.gid() == group => meta.mode() & 0o010 != 0,
                Ok(meta) => meta.mode() & 0o001 != 0,
                Err(_) => true,
            })
    }
}

fn ids_of(table: &str, name: &str) -> Option<(u32, u32)> {
    table.lines().find_map(|line| {
        let mut parts = line.split(':');
        if parts.next()? != name {
            return None;
        }
        Some((parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn users_are_found_by_whole_name() {
        let table = "postgresql:x:1:2::/:/bin/sh\npostgres:x:101:104:admin:/var:/bin/bash\n";
        assert_eq!(ids_of(table, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(table, "nobody"), None);
    }
}
