//! The drill of docs/operations.md on the city as it is loaded: backed up beside its running server, restored into an
//! empty folder, and backed up from there again, so that every table's digest is held against the first. Knows no size.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use doorstep_server::backup::Manifest;
use serde_json::Value;

use crate::bench::figures::Figures;
use crate::town::Server;

/// Measures it in a folder beside the city's, which goes afterwards.
pub(super) fn measure(
    server: &Server,
    place: &Path,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("drill-")
        .tempdir_in(place)?;
    // The database may run as another user, who must be able to come here.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let [to, keys, again, again_keys, data] =
        ["to", "keys", "again", "again-keys", "restored"].map(|name| folder.path().join(name));

    let (taken, seconds) = run(server, ["backup", "--to"], &to, &keys)?;
    let rows = taken["taken"]["rows"].as_f64().unwrap_or_default();
    figures.put("backup", "s", "", &[seconds])?;
    figures.put("backup, rows", "", "", &[rows])?;
    figures.put("backup, bytes", "MB", "", &[megabytes(&to)?])?;
    figures.put("backup, bytes of keys", "MB", "", &[megabytes(&keys)?])?;

    let restored = Server::beside(server, &data)?;
    copy_keys(&server.data().join("keys"), &data.join("keys"))?;
    let (said, seconds) = run(&restored, ["restore", "--from"], &to, &keys)?;
    ensure!(said["restored"]["audit"]["fault"].is_null(), "{said}");
    run(&restored, ["backup", "--to"], &again, &again_keys)?;
    for (first, second) in [(&to, &again), (&keys, &again_keys)] {
        let (was, is) = (tables(first)?, tables(second)?);
        for (table, digest) in &was {
            ensure!(is.get(table) == Some(digest), "{table} came back otherwise");
        }
        ensure!(was.len() == is.len(), "there are more tables than before");
    }
    figures.put_with_note("restore", "s", "", &[seconds], "every table's digest equal")
}

/// Runs a command of the real program on a backup; gives what it says, and its seconds.
fn run(
    server: &Server,
    [command, option]: [&str; 2],
    backup: &Path,
    keys: &Path,
) -> anyhow::Result<(Value, f64)> {
    let (backup, keys) = (backup.to_string_lossy(), keys.to_string_lossy());
    let began = Instant::now();
    let said = server.command(&[command, option, &backup, "--keys", &keys, "--json"])?;
    let seconds = began.elapsed().as_secs_f64();
    Ok((serde_json::from_str(&said)?, seconds))
}

/// A backup's tables with their rows and digests, without the audit log's: taking a backup and restoring it are entries
/// of its own.
fn tables(folder: &Path) -> anyhow::Result<BTreeMap<String, (u64, String)>> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)?;
    let tables = manifest.tables.into_iter();
    Ok(tables
        .filter(|table| !table.name.starts_with("audit_"))
        .map(|table| (table.name, (table.rows, table.digest)))
        .collect())
}

/// The server's own keys, put in place before a restore.
fn copy_keys(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// What the files of a folder and below take.
fn megabytes(folder: &Path) -> anyhow::Result<f64> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.metadata()? {
                data if data.is_dir() => folders.push(entry.path()),
                data => bytes += data.len(),
            }
        }
    }
    Ok(bytes as f64 / 1e6)
}
