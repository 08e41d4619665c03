//! Where the photos lie: sealed, under blind names, in a folder of the data folder. Knows no record and no viewer.

use std::sync::Arc;

use doorstep_core::ids::AreaCode;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::config::Config;
use crate::error::{ApiError, ApiResult};
use crate::keys::KeyRing;

const TABLE: &str = "police_photos";
const COLUMN: &str = "photo";

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PolicePhotos(Arc<dyn ObjectStore>);

impl PolicePhotos {
    /// Opens the folder, and makes it where there is none.
    ///
    /// # Errors
    /// When it can't be made or read.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let folder = config.data.join("police-photos");
        std::fs::create_dir_all(&folder)?;
        let store = LocalFileSystem::new_with_prefix(folder)?;
        Ok(Self(Arc::new(store)))
    }

    /// Puts a photo, in place of one of the same name.
    pub(super) async fn put(&self, keys: &KeyRing, file: &str, plain: &[u8]) -> ApiResult<()> {
        let name = name(keys, file);
        let key = keys.area_key(AreaCode::city()).await?;
        // The key's version goes before what it sealed, so that it opens after the keys were rotated.
        let mut bytes = key.version.to_be_bytes().to_vec();
        bytes.extend(key.seal(TABLE, name.as_bytes(), COLUMN, plain)?);
        let put = self.0.put(&path(&name), PutPayload::from(bytes)).await;
        put.map(drop).map_err(ApiError::internal)
    }

    /// A photo; none where there is none of this name.
    pub(super) async fn get(&self, keys: &KeyRing, file: &str) -> ApiResult<Option<Vec<u8>>> {
        let name = name(keys, file);
        let found = match self.0.get(&path(&name)).await {
            Ok(found) => found.bytes().await.map_err(ApiError::internal)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(ApiError::internal(error)),
        };
        let (version, sealed) = found
            .split_first_chunk::<4>()
            .ok_or_else(|| ApiError::internal(anyhow::anyhow!("a police photo is cut off")))?;
        let version = i32::from_be_bytes(*version);
        let key = keys.area_key_version(AreaCode::city(), version).await?;
        key.open(TABLE, name.as_bytes(), COLUMN, sealed).map(Some)
    }

    /// Removes a photo; none of this name is no fault.
    pub(super) async fn remove(&self, keys: &KeyRing, file: &str) -> ApiResult<()> {
        match self.0.delete(&path(&name(keys, file))).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(ApiError::internal(error)),
        }
    }
}

/// The police name files after people: what stands in the folder is blind.
fn name(keys: &KeyRing, file: &str) -> String {
    let half = |part: &str| {
        keys.blind(&format!("police-photo:{part}:{file}"))
            .unsigned_abs()
    };
    format!("{:016x}{:016x}", half("a"), half("b"))
}

fn path(name: &str) -> Path {
    Path::from(format!("{}/{name}", &name[..2]))
}
