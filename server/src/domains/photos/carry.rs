//! All objects, sealed as they are, into a folder and back: for backups. Knows no photo.

use std::path::Path as Folder;

use anyhow::Context;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::state::AppState;

/// Copies every object into a folder, which is made; gives how many, and their bytes. An object that is removed meanwhile
/// belongs to what was erased, and is left out.
///
/// # Errors
/// When the store or the folder fails.
pub async fn copy_out(state: &AppState, folder: &Folder) -> anyhow::Result<(u64, u64)> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let to = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    carry(state.photos.store(), &to).await
}

/// Copies every object of a folder into the store.
///
/// # Errors
/// When the store or the folder fails.
pub async fn copy_in(state: &AppState, folder: &Folder) -> anyhow::Result<(u64, u64)> {
    let from = LocalFileSystem::new_with_prefix(folder)?;
    carry(&from, state.photos.store()).await
}

async fn carry(from: &dyn ObjectStore, to: &dyn ObjectStore) -> anyhow::Result<(u64, u64)> {
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
        to.put(&object.location, PutPayload::from(found)).await?;
    }
    Ok((objects, bytes))
}
