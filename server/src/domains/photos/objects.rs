//! Where the sealed bytes lie: a folder, or S3-compatible storage. Knows ids and bytes, no record and no key.

use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::{Context, bail};
use doorstep_core::blob;
use doorstep_core::ids::PhotoId;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::error::{ApiError, ApiResult, Kind};

/// Chunks that one node writes at once: each holds a connection to the database meanwhile.
const WRITERS: usize = 12;
/// Photos that one node decodes at once: each may take 200 MB for a moment.
const DECODERS: usize = 2;

/// The folders of objects, which say what an object is.
const FOLDERS: [&str; 3] = ["photos", "thumbnails", "uploads"];

/// The store, and how much of it a node uses at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Photos {
    store: Arc<dyn ObjectStore>,
    pub(super) writers: Arc<Semaphore>,
    pub(super) decoders: Arc<Semaphore>,
}

/// What of a photo.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// The photo as it was taken.
    Whole,
    /// The small picture made of it.
    Thumbnail,
}

impl Part {
    /// Its folder; part of what seals it too.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Whole => FOLDERS[0],
            Self::Thumbnail => FOLDERS[1],
        }
    }
}

impl Photos {
    /// Opens the store that the settings name: `s3://bucket/prefix`, or a folder of the data folder.
    ///
    /// # Errors
    /// When it can't be opened; the message says what to do.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match config.photos.as_deref() {
            None => Arc::new(folder(config)?),
            Some(address) => s3(address, &config.photo_settings.0)?,
        };
        Ok(Self {
            store,
            writers: Arc::new(Semaphore::new(WRITERS)),
            decoders: Arc::new(Semaphore::new(DECODERS)),
        })
    }

    pub(super) async fn put_chunk(&self, id: PhotoId, at: i32, sealed: Vec<u8>) -> ApiResult<()> {
        self.put(&chunk_name(id, at), sealed).await
    }

    /// `None` when it is not there.
    pub(super) async fn chunk(&self, id: PhotoId, at: i32) -> ApiResult<Option<Vec<u8>>> {
        self.get(&chunk_name(id, at)).await
    }

    pub(super) async fn put_part(&self, id: PhotoId, part: Part, sealed: Vec<u8>) -> ApiResult<()> {
        self.put(&name(part.name(), id), sealed).await
    }

    pub(super) async fn part(&self, id: PhotoId, part: Part) -> ApiResult<Vec<u8>> {
        let found = self.get(&name(part.name(), id)).await?;
        found.ok_or_else(|| unavailable(&anyhow::anyhow!("a {} object is missing", part.name())))
    }

    /// Removes the chunks of an upload.
    pub(super) async fn remove_chunks(&self, id: PhotoId) -> ApiResult<()> {
        let offsets = (0..blob::MAX_BYTES).step_by(blob::CHUNK);
        let paths = offsets.filter_map(|at| Some(chunk_name(id, i32::try_from(at).ok()?)));
        self.remove(paths.collect()).await
    }

    /// Removes whatever there is of a photo and its upload. What is gone already is no fault.
    pub(super) async fn remove_all(&self, id: PhotoId) -> ApiResult<()> {
        self.remove_chunks(id).await?;
        let parts = [Part::Whole, Part::Thumbnail];
        self.remove(parts.map(|part| name(part.name(), id)).to_vec())
            .await
    }

    async fn remove(&self, paths: Vec<Path>) -> ApiResult<()> {
        let paths = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(paths);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(unavailable(&error.into())),
            }
        }
        Ok(())
    }

    /// The ids of all objects that were last written before a time, a page at a time.
    pub(super) async fn each_page<F>(
        &self,
        before: chrono::DateTime<chrono::Utc>,
        rows: usize,
        mut take: impl FnMut(Vec<PhotoId>) -> F,
    ) -> ApiResult<()>
    where
        F: Future<Output = ApiResult<()>>,
    {
        for folder in FOLDERS {
            let folder = Path::from(folder);
            let mut pages = self
                .store
                .list(Some(&folder))
                .try_filter(|object| std::future::ready(object.last_modified < before))
                .try_chunks(rows);
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| unavailable(&error.1.into()))?;
                let mut ids: Vec<PhotoId> = page
                    .iter()
                    .filter_map(|object| id_of(&object.location))
                    .collect();
                ids.dedup();
                take(ids).await?;
            }
        }
        Ok(())
    }

    /// The store itself, to carry all of it elsewhere.
    pub(super) fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    async fn put(&self, path: &Path, sealed: Vec<u8>) -> ApiResult<()> {
        let put = self.store.put(path, PutPayload::from(sealed)).await;
        put.map(drop).map_err(|error| unavailable(&error.into()))
    }

    async fn get(&self, path: &Path) -> ApiResult<Option<Vec<u8>>> {
        let found = match self.store.get(path).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(&error.into())),
        }
    }
}

/// Folders of ids, by the end of the id: its beginning is the time, and all of an hour would lie in one.
fn name(folder: &str, id: PhotoId) -> Path {
    let text = id.0.simple().to_string();
    Path::from(format!("{folder}/{}/{text}", &text[30..]))
}

/// Beside each other: a folder for each upload would stay behind.
fn chunk_name(id: PhotoId, at: i32) -> Path {
    let name = name(FOLDERS[2], id);
    Path::from(format!("{name}-{at}"))
}

fn id_of(path: &Path) -> Option<PhotoId> {
    let part = path.parts().nth(2)?;
    part.as_ref().get(..32)?.parse().ok()
}

fn folder(config: &Config) -> anyhow::Result<LocalFileSystem> {
    let folder = config.data.join("photos");
    let opened = || -> anyhow::Result<LocalFileSystem> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder)?;
        Ok(LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true))
    };
    opened().with_context(|| format!("不能使用照片目录 {}，请检查权限", folder.display()))
}

fn s3(address: &str, settings: &[(String, String)]) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let Some(rest) = address.strip_prefix("s3://") else {
        bail!("照片存储地址应写成 s3://存储桶/前缀，现为 {address}");
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let mut builder = AmazonS3Builder::new();
    for (name, value) in settings {
        let key = name.to_ascii_lowercase();
        if let Ok(key) = key.parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder.with_bucket_name(bucket).build().with_context(|| {
        format!("不能使用照片存储 {address}，请检查 AWS_ENDPOINT_URL、AWS_ACCESS_KEY_ID 等环境变量")
    })?;
    Ok(if prefix.trim_matches('/').is_empty() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, prefix))
    })
}

/// What the store says may name hosts and paths: it goes to the log, not to the caller.
fn unavailable(cause: &anyhow::Error) -> ApiError {
    tracing::error!(%cause, "the photo store failed");
    metrics::counter!("doorstep_photo_store_failures_total").increment(1);
    let mut error = ApiError::new(
        Kind::Unavailable,
        "photo_store_unavailable",
        "照片存储暂时不可用，请稍后重试；照片仍保留在手机上",
    );
    error.retry_after = Some(5);
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_objects_name_gives_its_id_back() {
        let id: PhotoId = "0190a0a0-0000-7000-8000-0000000000ab".parse().unwrap();
        assert_eq!(
            chunk_name(id, 262_144).as_ref(),
            "uploads/ab/0190a0a00000700080000000000000ab-262144"
        );
        assert_eq!(id_of(&chunk_name(id, 0)), Some(id));
        assert_eq!(id_of(&name("photos", id)), Some(id));
        assert_eq!(id_of(&Path::from("photos/ab/else")), None);
    }

    #[test]
    fn an_address_that_is_none_is_refused_in_words() {
        let error = s3("file:///x", &[]).unwrap_err();
        assert!(error.to_string().contains("s3://"), "{error}");
    }
}
