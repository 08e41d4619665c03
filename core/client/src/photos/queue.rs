//! The photos that wait on the device, sealed: the bytes of each once, and a note for each field of a record that it
//! belongs to, of how far it has come there. The server keeps them so, too: each record's sealed under its own key.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use doorstep_core::blob::{self, BlobType};
use doorstep_core::ids::RecordId;
use doorstep_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::error::{ClientError, ClientResult, Kind};
use crate::sealed::{SealedFolder, derive_seal};

/// Ending of a photo's bytes.
const BYTES: &str = ".photo";
/// Ending of its note. Written last, removed first: bytes without a note are nobody's.
const NOTE: &str = ".note";
/// The code of a photo's refusal because its record was erased.
const ERASED: &str = "record_erased";

/// What is said of a photo whose record was erased, as the server says it.
pub(crate) fn erased() -> ClientError {
    ClientError::new(Kind::Refused, ERASED, "这份档案已被彻底删除，照片不再上传")
}

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

impl Photo {
    fn waits(&self) -> bool {
        matches!(self.state, PhotoState::Waiting { .. })
    }

    /// Of someone erased nothing is kept, only that their photo was refused.
    fn needs_bytes(&self) -> bool {
        !matches!(&self.state, PhotoState::Refused { code, .. } if code == ERASED)
    }

    /// Whether both are one photo of one field.
    fn is(&self, other: &Self) -> bool {
        (&self.digest, self.record, &self.field) == (&other.digest, other.record, &other.field)
    }
}

/// What queueing a photo did, so that it can be taken back.
pub(crate) struct Queued {
    photo: Photo,
    before: Option<Photo>,
}

/// The queue.
pub(crate) struct Photos {
    folder: SealedFolder,
    /// Held while notes and bytes change, which go together.
    changing: Mutex<()>,
    /// Something was added.
    pub(crate) added: Notify,
}

impl Photos {
    pub(crate) fn open(user_folder: &Path, data_key: &[u8; 32]) -> ClientResult<Self> {
        let key = derive_seal(data_key, "photos");
        let folder = SealedFolder::open(user_folder.join("photos"), "photo", key)?;
        Ok(Self {
            folder,
            changing: Mutex::new(()),
            added: Notify::new(),
        })
    }

    fn hold(&self) -> MutexGuard<'_, ()> {
        self.changing
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Keeps a photo to be sent. The same photo of the same field again stays one.
    pub(crate) fn queue(
        &self,
        record: RecordId,
        field: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> ClientResult<Queued> {
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
        let _held = self.hold();
        let name = self.name(&photo);
        let before = self.read(&name).ok().flatten();
        self.folder
            .write(&format!("{}{BYTES}", photo.digest), bytes)?;
        if !before.as_ref().is_some_and(Photo::waits) {
            self.write(&name, &photo)?;
        }
        Ok(Queued { photo, before })
    }

    /// Undoes a `queue`, and nothing that was there before it: the same photo may wait for another record.
    pub(crate) fn take_back(&self, queued: &Queued) -> ClientResult<()> {
        let _held = self.hold();
        match &queued.before {
            None => self.remove(&queued.photo),
            Some(before) if before.waits() => Ok(()),
            Some(before) => {
                self.write(&self.name(before), before)?;
                self.release(&before.digest)
            }
        }
    }

    /// Writes down how far a photo has come. One that waits no longer stays as it is: it was settled meanwhile.
    pub(crate) fn note(&self, photo: &Photo) -> ClientResult<()> {
        let _held = self.hold();
        let name = self.name(photo);
        match self.read(&name)? {
            Some(held) if held.waits() => {
                self.write(&name, photo)?;
                // One that waits needs its bytes.
                if photo.waits() {
                    return Ok(());
                }
                self.release(&photo.digest)
            }
            _ => Ok(()),
        }
    }

    /// Every photo, oldest first; a damaged note is passed over and logged.
    pub(crate) fn all(&self) -> ClientResult<Vec<Photo>> {
        let mut photos = Vec::new();
        for stem in self.folder.names(NOTE)? {
            match self.read(&format!("{stem}{NOTE}")) {
                Ok(photo) => photos.extend(photo),
                Err(_) => tracing::warn!("a photo's note is damaged"),
            }
        }
        photos.sort_by_key(|photo: &Photo| photo.made_at);
        Ok(photos)
    }

    /// Those that wait to be sent.
    pub(crate) fn waiting(&self) -> ClientResult<Vec<Photo>> {
        let mut photos = self.all()?;
        photos.retain(Photo::waits);
        Ok(photos)
    }

    pub(crate) fn bytes(&self, digest: &str) -> ClientResult<Option<Vec<u8>>> {
        self.folder.read(&format!("{digest}{BYTES}"))
    }

    /// Removes a photo of one field.
    pub(crate) fn forget(&self, photo: &Photo) -> ClientResult<()> {
        let _held = self.hold();
        self.remove(photo)
    }

    /// Removes a photo wherever it was refused.
    pub(crate) fn forget_refused(&self, digest: &str) -> ClientResult<()> {
        let _held = self.hold();
        let photos = self.all()?.into_iter();
        for photo in photos.filter(|photo| photo.digest == digest && !photo.waits()) {
            self.folder.remove(&self.name(&photo))?;
        }
        self.release(digest)
    }

    /// Refuses the photos of records that were erased. Gives those that were still waiting.
    pub(crate) fn erased(&self, records: &[RecordId]) -> ClientResult<Vec<Photo>> {
        let _held = self.hold();
        let mut photos = self.all()?;
        photos.retain(|photo| records.contains(&photo.record));
        let said = erased();
        for photo in &photos {
            let state = PhotoState::Refused {
                code: said.code.to_string(),
                message: said.message.clone(),
            };
            let refused = Photo {
                state,
                ..photo.clone()
            };
            self.write(&self.name(photo), &refused)?;
            self.release(&photo.digest)?;
        }
        photos.retain(Photo::waits);
        Ok(photos)
    }

    /// Removes bytes of photos that were refused where nobody `has_use` of their record, and what a crash left without a
    /// note.
    pub(crate) fn tidy(
        &self,
        has_use: impl Fn(RecordId) -> ClientResult<bool>,
    ) -> ClientResult<()> {
        let _held = self.hold();
        let needed = self.needed(|photo| Ok(photo.waits() || has_use(photo.record)?))?;
        for digest in self.folder.names(BYTES)? {
            if !needed.contains(&digest) {
                self.folder.remove(&format!("{digest}{BYTES}"))?;
            }
        }
        Ok(())
    }

    /// Removes everything.
    pub(crate) fn wipe(&self) -> ClientResult<()> {
        let _held = self.hold();
        for name in self.folder.names("")? {
            self.folder.remove(&name)?;
        }
        Ok(())
    }

    /// The file of a photo's note. Older versions named it by the digest alone; such a one keeps its name.
    fn name(&self, photo: &Photo) -> String {
        let former = format!("{}{NOTE}", photo.digest);
        match self.read(&former) {
            Ok(Some(held)) if held.is(photo) => former,
            _ => format!("{}.{}.{}{NOTE}", photo.digest, photo.record, photo.field),
        }
    }

    fn read(&self, name: &str) -> ClientResult<Option<Photo>> {
        let note = self.folder.read(name)?;
        note.map(|note| serde_json::from_slice(&note).map_err(ClientError::storage))
            .transpose()
    }

    fn write(&self, name: &str, photo: &Photo) -> ClientResult<()> {
        let note = serde_json::to_vec(photo).map_err(ClientError::storage)?;
        self.folder.write(name, &note)
    }

    fn remove(&self, photo: &Photo) -> ClientResult<()> {
        self.folder.remove(&self.name(photo))?;
        self.release(&photo.digest)
    }

    /// Removes a photo's bytes when no note needs them.
    fn release(&self, digest: &str) -> ClientResult<()> {
        if self.needed(|_| Ok(true))?.contains(digest) {
            return Ok(());
        }
        self.folder.remove(&format!("{digest}{BYTES}"))
    }

    /// The digests of which some note may need the bytes. One that can't be read may.
    fn needed(
        &self,
        needs: impl Fn(&Photo) -> ClientResult<bool>,
    ) -> ClientResult<BTreeSet<String>> {
        let mut needed = BTreeSet::new();
        for stem in self.folder.names(NOTE)? {
            let may_need = match self.read(&format!("{stem}{NOTE}")) {
                Ok(Some(photo)) => photo.needs_bytes() && needs(&photo)?,
                Ok(None) => false,
                Err(_) => true,
            };
            if may_need {
                let digest = stem.split('.').next().unwrap_or_default();
                needed.insert(digest.to_owned());
            }
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0sum.\
        \0\0\0\0IENDsum.";

    fn record(n: u8) -> RecordId {
        RecordId(uuid::Uuid::from_bytes([n; 16]))
    }

    fn queue() -> (tempfile::TempDir, Photos) {
        let dir = tempfile::tempdir().unwrap();
        let photos = Photos::open(dir.path(), &[7; 32]).unwrap();
        (dir, photos)
    }

    fn records(photos: &Photos) -> Vec<RecordId> {
        let all = photos.all().unwrap().into_iter();
        all.map(|photo| photo.record).collect()
    }

    #[test]
    fn notes_of_older_versions_are_read_and_settled() {
        let (_dir, photos) = queue();
        let queued = photos
            .queue(record(1), "portrait", PNG, Timestamp(1))
            .unwrap();
        let (mut photo, digest) = (queued.photo.clone(), queued.photo.digest.clone());
        photos.folder.remove(&photos.name(&photo)).unwrap();
        let former = format!("{digest}{NOTE}");
        photos.write(&former, &photo).unwrap();
        assert_eq!(photos.waiting().unwrap(), [photo.clone()]);

        photos
            .queue(record(1), "portrait", PNG, Timestamp(2))
            .unwrap();
        photos
            .queue(record(2), "portrait", PNG, Timestamp(3))
            .unwrap();
        assert_eq!(records(&photos), [record(1), record(2)]);
        photo.state = PhotoState::Waiting {
            upload: Some("1".into()),
            put_off: 3,
        };
        photos.note(&photo).unwrap();
        assert_eq!(photos.read(&former).unwrap(), Some(photo.clone()));
        photos.forget(&photo).unwrap();
        assert_eq!(records(&photos), [record(2)]);
        assert!(photos.bytes(&digest).unwrap().is_some());
    }

    #[test]
    fn bytes_go_with_the_last_note_that_needs_them() {
        let (_dir, photos) = queue();
        let queued = [1, 2, 3].map(|n| {
            let queued = photos.queue(record(n), "photos", PNG, Timestamp(i64::from(n)));
            queued.unwrap().photo
        });
        let [mut refused, mut erased, sent] = queued;
        let digest = sent.digest.clone();
        for (photo, code) in [(&mut refused, "photo_damaged"), (&mut erased, ERASED)] {
            photo.state = PhotoState::Refused {
                code: code.to_owned(),
                message: String::new(),
            };
            photos.note(photo).unwrap();
        }
        photos.forget(&sent).unwrap();
        assert!(photos.bytes(&digest).unwrap().is_some());

        // Queued anew, and taken back: as it was.
        let again = photos.queue(record(1), "photos", PNG, Timestamp(9));
        photos.take_back(&again.unwrap()).unwrap();
        assert_eq!(photos.all().unwrap(), [refused.clone(), erased.clone()]);
        photos.forget(&refused).unwrap();
        assert_eq!(photos.bytes(&digest).unwrap(), None);
        let again = photos.queue(record(2), "photos", PNG, Timestamp(9));
        photos.take_back(&again.unwrap()).unwrap();
        assert_eq!(photos.all().unwrap(), [erased]);
        assert_eq!(photos.bytes(&digest).unwrap(), None);
    }

    #[test]
    fn what_was_settled_meanwhile_is_not_noted_as_waiting_again() {
        let (_dir, photos) = queue();
        let queued = photos.queue(record(1), "photos", PNG, Timestamp(1));
        let photo = queued.unwrap().photo;
        photos.forget(&photo).unwrap();
        photos.note(&photo).unwrap();
        assert_eq!(photos.all().unwrap(), []);
    }
}
