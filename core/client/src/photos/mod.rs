//! Photos: a lane of their own beside records. What can't be taken is said before it is queued, one that is refused
//! later holds up no other, and each goes up in chunks and goes on where it stopped.

mod gone;
mod lane;
mod queue;

pub(crate) use lane::{send_all, send_as_they_come};
pub(crate) use queue::Photos;
pub use queue::{Photo, PhotoState};

use doorstep_core::blob;
use doorstep_core::ids::{AreaCode, EventId, RecordId};
use doorstep_core::records::{self, FieldKind, SetOf};
use doorstep_core::store::DeviceStore;
use doorstep_core::sync::edit;
use doorstep_core::value::{Fields, Value};
use reqwest::Method;

use crate::device::Device;
use crate::error::{ClientError, ClientResult, Kind};
use crate::host;
use crate::routes;

impl<S: DeviceStore + Send + 'static> Device<S> {
    /// Adds a photo to a record's field (`portrait`, `photos`): what cameras write beside the pixels is left out, the rest
    /// is checked, sealed and queued, and the record is edited to name it. Gives the digest of what is kept.
    ///
    /// # Errors
    /// `photo_too_large`, `photo_type`, `photo_dimensions`, `photo_empty`, `photo_unreadable`; `not_a_photo_field`; as
    /// `update`.
    pub fn add_photo(&self, record: RecordId, field: &str, bytes: &[u8]) -> ClientResult<String> {
        let record_type = self.record(record)?.record_type;
        let bytes = blob::bare(bytes)?;
        let (key, value, digest) = named(&record_type, field, &bytes)?;
        let photos = &self.shared.photos;
        let queued = photos.queue(record, field, &bytes, host::now())?;
        if let Err(error) = self.update(record, &Fields::from([(key, value)])) {
            photos.take_back(&queued)?;
            return Err(error);
        }
        photos.added.notify_one();
        Ok(digest)
    }

    /// Notes an event with photos: pairs of field and bytes. See `record_event` and `add_photo`.
    ///
    /// # Errors
    /// As those two.
    pub fn record_event_with_photos(
        &self,
        event_type: &str,
        area: AreaCode,
        mut fields: Fields,
        photos: &[(String, Vec<u8>)],
    ) -> ClientResult<EventId> {
        let mut bare = Vec::new();
        for (field, bytes) in photos {
            let bytes = blob::bare(bytes)?;
            let (key, value, _) = named(event_type, field, &bytes)?;
            fields.insert(key, value);
            bare.push((field, bytes));
        }
        let now = host::now();
        let id = EventId::new(now, host::random()?);
        let queue = &self.shared.photos;
        let mut queued = Vec::new();
        let note = || -> ClientResult<()> {
            for (field, bytes) in &bare {
                queued.push(queue.queue(id.into(), field, bytes, now)?);
            }
            let who = self.shared.login.who();
            let mut store = self.shared.store();
            edit::record_event(&mut *store, who, id, event_type, area, fields, now)?;
            Ok(())
        };
        if let Err(error) = note() {
            for queued in &queued {
                queue.take_back(queued)?;
            }
            return Err(error);
        }
        self.shared.edited.notify_one();
        queue.added.notify_one();
        Ok(id)
    }

    /// The photos on this device that were not sent yet, or were refused, oldest first.
    ///
    /// # Errors
    /// The storage's.
    pub fn photos(&self) -> ClientResult<Vec<Photo>> {
        self.shared.photos.all()
    }

    /// Forgets a photo that was refused, once its user has seen why. Where the same photo still waits, it goes on.
    ///
    /// # Errors
    /// The storage's.
    pub fn dismiss_photo(&self, digest: &str) -> ClientResult<()> {
        self.shared.photos.forget_refused(digest)
    }

    /// A photo's bytes: from here while it is not sent yet, else from the server, checked. Kept nowhere.
    ///
    /// # Errors
    /// `offline`; `not_found`; `photo_damaged` when the bytes are not those of the digest.
    pub async fn photo(&self, digest: &str) -> ClientResult<Vec<u8>> {
        if !blob::is_digest(digest) {
            return Err(ClientError::new(
                Kind::Invalid,
                "photo_digest",
                "照片编号应为 64 位十六进制数字",
            ));
        }
        if let Some(bytes) = self.shared.photos.bytes(digest)? {
            return Ok(bytes);
        }
        let token = self.shared.login.token()?;
        let request = self.shared.login.http().request(
            Method::GET,
            &format!("{}/{digest}", routes::PHOTOS),
            Some(&token),
        );
        let response = self.shared.login.http().send(request).await?;
        let most = usize::try_from(blob::MAX_BYTES).unwrap_or(usize::MAX);
        let bytes = self.shared.login.http().body(response, most).await?;
        if blob::digest(&bytes) != digest {
            return Err(ClientError::new(
                Kind::Protocol,
                "photo_damaged",
                "下载的照片已损坏，请重试",
            ));
        }
        Ok(bytes)
    }
}

/// Checks a photo and gives what names it in a record: key, value, digest.
fn named(record_type: &str, field: &str, bytes: &[u8]) -> ClientResult<(String, Value, String)> {
    blob::check(bytes)?;
    let declared = records::record_type(record_type).and_then(|declared| declared.named(field));
    let digest = blob::digest(bytes);
    match declared.map(|field| &field.kind) {
        Some(FieldKind::Blob) => Ok((field.to_owned(), digest.clone().into(), digest)),
        Some(FieldKind::Set(SetOf::Blob)) => Ok((format!("{field}/{digest}"), true.into(), digest)),
        _ => Err(ClientError::new(
            Kind::Invalid,
            "not_a_photo_field",
            format!("“{field}”不是放照片的项目：居民可用 portrait、photos，其余可用 photos"),
        )),
    }
}
