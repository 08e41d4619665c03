//! All objects, sealed as they are, into a folder and back: for backups. Knows no photo.

use std::path::Path as Folder;

use anyhow::Context;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::state::AppState;

/// Copies every object into a folder, which is made, and tells `note` its name and bytes; gives how many, and their
/// bytes. An object that is removed meanwhile belongs to what was erased, and is left out.
///
/// # Errors
/// When the store or the folder fails, and what `note` says.
pub async fn copy_out(
    state: &AppState,
    folder: &Folder,
    note: impl FnMut(&str, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<(u64, u64)> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let to = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    carry(state.photos.store(), &to, note).await
}

/// Copies every object of a folder into the store: of a backup that does not name them.
///
/// # Errors
/// When the store or the folder fails.
pub async fn copy_in(state: &AppState, folder: &Folder) -> anyhow::Result<(u64, u64)> {
    let from = LocalFileSystem::new_with_prefix(folder)?;
    carry(&from, state.photos.store(), |_, _| Ok(())).await
}

/// Puts an object into the store under the name that it had.
///
/// # Errors
/// When the store fails.
pub async fn put_object(state: &AppState, name: String, object: Vec<u8>) -> anyhow::Result<()> {
    let name = Path::parse(name)?;
    let put = state.photos.store().put(&name, PutPayload::from(object));
    put.await?;
    Ok(())
}

async fn carry(
    from: &dyn ObjectStore,
    to: &dyn ObjectStore,
    mut note: impl FnMut(&str, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<(u64, u64)> {
    let (mut objects, mut bytes) = (0, 0);
    let mut list = from.list(None);
    while let Some(object) = list.try_next().await? {
        let found = match from.get(&object.location).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        objects += 1;
        bytes += found.len() as u64;
        note(object.location.as_ref(), &found)?;
        to.put(&object.location, PutPayload::from(found)).await?;
    }
    Ok((objects, bytes))
}
