//! Taking a backup: everything in one view of the database, while the server goes on. A folder gets its name only when
//! it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;
use sqlx::PgConnection;

use super::catalogue::{self, Table};
use super::manifest::Manifest;
use super::objects::List;
use super::tables::Wanted;
use super::{AREA_KEYS, ERASED, OBJECTS};
use crate::database::MIGRATIONS;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::photos;
use crate::state::AppState;

/// One view for all tables, over all areas.
const BEGIN: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL doorstep.areas = '%'";

/// What was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// How many tables.
    pub tables: usize,
    /// How many rows, without keys.
    pub rows: u64,
    /// How many rows have a key in the keys' folder.
    pub keys: u64,
    /// How many records were erased until now.
    pub erased: u64,
    /// How many objects of photos lie in the backup; `None` when they were left out.
    pub objects: Option<u64>,
    /// Their bytes.
    pub object_bytes: u64,
}

/// Takes a backup into `folder`, which must not exist, and the keys into `keys`, in place of older ones.
///
/// # Errors
/// When the database or a folder fails; what was written of it lies in folders whose names end in `.partial`.
pub async fn backup(
    state: &AppState,
    folder: &Path,
    keys: &Path,
    with_photos: bool,
) -> anyhow::Result<Taken> {
    ensure!(
        !folder.exists(),
        "备份目录 {} 已经存在：请换一个名字，每次备份各用一个目录",
        folder.display()
    );
    ensure!(
        !keys.starts_with(folder) && !folder.starts_with(keys),
        "密钥目录不能和备份放在一起：否则删除一个人以后，旧备份仍能读出他的档案"
    );
    let (data_draft, keys_draft) = (draft(folder)?, draft(keys)?);
    let schema = MIGRATIONS
        .iter()
        .map(|step| step.version)
        .max()
        .unwrap_or(0);
    let made_at = state.clock.now();
    let mut tx = state.pool.begin_with(BEGIN).await?;
    let tables = catalogue::tables(&mut tx).await?;
    let mut data = Manifest::new("data", made_at, schema);
    write_data(&mut tx, &tables, &mut data, &data_draft).await?;
    let mut secret = Manifest::new("keys", made_at, schema);
    write_keys(&mut tx, &tables, &mut secret, &keys_draft).await?;
    drop(tx);
    let mut objects = None;
    if with_photos {
        let mut list = List::begin(&data_draft)?;
        let note = |name: &str, object: &[u8]| list.add(name, object);
        data.objects = photos::service::copy_out(state, &data_draft.join(OBJECTS), note).await?;
        data.object_list = Some(list.finish()?);
        objects = Some(data.objects.0);
    }
    let server = state.keys.provider().server_key();
    data.write(&data_draft, server)?;
    secret.write(&keys_draft, server)?;
    // The backup first: with keys that are newer than it, it can be restored; with older ones it could not.
    fs::rename(&data_draft, folder)?;
    replace(&keys_draft, keys)?;
    let erased = secret.tables.iter().find(|file| file.name == ERASED);
    let erased = erased.map_or(0, |file| file.rows);
    let taken = Taken {
        tables: data.tables.len(),
        rows: data.tables.iter().map(|file| file.rows).sum(),
        keys: secret.tables.iter().map(|file| file.rows).sum::<u64>() - erased,
        erased,
        objects,
        object_bytes: data.objects.1,
    };
    note(state, &taken).await?;
    Ok(taken)
}

async fn note(state: &AppState, taken: &Taken) -> anyhow::Result<()> {
    let mut tx = crate::database::system_tx(&state.pool).await?;
    let detail = serde_json::json!({ "rows": taken.rows, "objects": taken.objects });
    let entry = Entry::by_server(state.clock.now(), Action::Backup).detail(detail);
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(())
}

async fn write_data(
    tx: &mut PgConnection,
    tables: &[Table],
    manifest: &mut Manifest,
    folder: &Path,
) -> anyhow::Result<()> {
    for table in tables.iter().filter(|table| table.name != AREA_KEYS) {
        let written = Wanted::data(table).write(tx, folder).await;
        let written = written.with_context(|| format!("备份表 {}", table.name))?;
        manifest.tables.push(written);
    }
    manifest.sequences = catalogue::sequences(tx).await?;
    Ok(())
}

async fn write_keys(
    tx: &mut PgConnection,
    tables: &[Table],
    manifest: &mut Manifest,
    folder: &Path,
) -> anyhow::Result<()> {
    let keys = tables.iter().filter_map(Wanted::keys);
    for wanted in keys.chain([Wanted::erased()]) {
        manifest.tables.push(wanted.write(tx, folder).await?);
    }
    Ok(())
}

/// An empty folder beside the one that is to be, for its owner's eyes only.
fn draft(folder: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let mut name = folder.as_os_str().to_owned();
    name.push(".partial");
    let draft = PathBuf::from(name);
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(&draft);
    made.with_context(|| format!("不能建立目录 {}", draft.display()))?;
    Ok(draft)
}

/// Puts a folder in the place of an older one, which goes: the keys of those erased since must not stay.
fn replace(draft: &Path, place: &Path) -> anyhow::Result<()> {
    let mut name = place.as_os_str().to_owned();
    name.push(".old");
    let old = PathBuf::from(name);
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    if place.exists() {
        fs::rename(place, &old)?;
    }
    fs::rename(draft, place)?;
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}
