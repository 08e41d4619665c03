//! The photos that wait on the device, sealed, each with a note of where it belongs and how far it has come.

use std::path::Path;

use doorstep_core::blob::{self, BlobType};
use doorstep_core::ids::RecordId;
use doorstep_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::error::{ClientError, ClientResult};
use crate::sealed::{SealedFolder, derive_seal};

/// Ending of a photo's bytes.
const BYTES: &str = ".photo";
/// Ending of its note. Written last, removed first: bytes without a note are nobody's.
const NOTE: &str = ".note";

/// A photo on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// Its name: SM3, hexadecimal.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: BlobType,
    /// The record or event it belongs to.
    pub record: RecordId,
    /// And the field.
    pub field: String,
    /// When it was added.
    pub made_at: Timestamp,
    /// How far it has come.
    pub state: PhotoState,
}

/// How far a photo has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhotoState {
    /// It waits to be sent.
    Waiting {
        /// The upload under way, as the server names it.
        upload: Option<String>,
        /// How often the server did not know its record yet.
        put_off: u32,
    },
    /// It was refused for good.
    Refused {
        /// Stable code.
        code: String,
        /// What to do, for people.
        message: String,
    },
}

/// The queue.
pub(crate) struct Photos {
    folder: SealedFolder,
    /// Something was added.
    pub(crate) added: Notify,
}

impl Photos {
    pub(crate) fn open(user_folder: &Path, data_key: &[u8; 32]) -> ClientResult<Self> {
        let key = derive_seal(data_key, "photos");
        let folder = SealedFolder::open(user_folder.join("photos"), "photo", key)?;
        Ok(Self {
            folder,
            added: Notify::new(),
        })
    }

    /// Keeps a photo to be sent. The same photo again stays one.
    pub(crate) fn queue(
        &self,
        record: RecordId,
        field: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> ClientResult<()> {
        let head = blob::check(bytes)?;
        let photo = Photo {
            digest: blob::digest(bytes),
            size: bytes.len() as u64,
            kind: head.kind,
            record,
            field: field.to_owned(),
            made_at: now,
            state: PhotoState::Waiting {
                upload: None,
                put_off: 0,
            },
        };
        self.folder
            .write(&format!("{}{BYTES}", photo.digest), bytes)?;
        self.note(&photo)
    }

    /// Writes down how far a photo has come.
    pub(crate) fn note(&self, photo: &Photo) -> ClientResult<()> {
        let note = serde_json::to_vec(photo).map_err(ClientError::storage)?;
        self.folder.write(&format!("{}{NOTE}", photo.digest), &note)
    }

    /// Every photo, oldest first; a damaged note is passed over and logged.
    pub(crate) fn all(&self) -> ClientResult<Vec<Photo>> {
        let mut photos = Vec::new();
        for digest in self.folder.names(NOTE)? {
            let note = self.folder.read(&format!("{digest}{NOTE}"));
            match note
                .as_ref()
                .map(|note| note.as_ref().map(|note| serde_json::from_slice(note)))
            {
                Ok(Some(Ok(photo))) => photos.push(photo),
                Ok(None) => {}
                _ => tracing::warn!("a photo's note is damaged"),
            }
        }
        photos.sort_by_key(|photo: &Photo| photo.made_at);
        Ok(photos)
    }

    /// Those that wait to be sent.
    pub(crate) fn waiting(&self) -> ClientResult<Vec<Photo>> {
        let mut photos = self.all()?;
        photos.retain(|photo| matches!(photo.state, PhotoState::Waiting { .. }));
        Ok(photos)
    }

    pub(crate) fn bytes(&self, digest: &str) -> ClientResult<Option<Vec<u8>>> {
        self.folder.read(&format!("{digest}{BYTES}"))
    }

    /// Removes a photo from the device.
    pub(crate) fn forget(&self, digest: &str) -> ClientResult<()> {
        self.folder.remove(&format!("{digest}{NOTE}"))?;
        self.forget_bytes(digest)
    }

    /// Removes what a photo shows; its note stays.
    pub(crate) fn forget_bytes(&self, digest: &str) -> ClientResult<()> {
        self.folder.remove(&format!("{digest}{BYTES}"))
    }

    pub(crate) fn wipe(&self) -> ClientResult<()> {
        for name in self.folder.names("")? {
            self.folder.remove(&name)?;
        }
        Ok(())
    }
}
