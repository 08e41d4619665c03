//! Sending photos, one after another, oldest first: an upload is opened, and chunks follow from wherever the server
//! says it stands.

use std::sync::Arc;
use std::time::Duration;

use doorstep_core::blob;
use doorstep_core::store::DeviceStore;
use reqwest::{Method, header};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::queue::{Photo, PhotoState};
use crate::backoff::Backoff;
use crate::device::Shared;
use crate::error::{ClientError, ClientResult, Kind};
use crate::events::Event;
use crate::host;
use crate::routes;

/// How often a photo may be put off because the server does not know its record.
const PATIENCE_WITH_RECORD: u32 = 20;
/// How often one photo's upload may be set right within one try.
const CORRECTIONS: u32 = 3;
/// Let the record go up before its photo.
const HEAD_START: Duration = Duration::from_millis(500);
/// With nothing added, how long until the queue is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What one pass over the queue did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) sent: u64,
    pub(crate) refused: u64,
    pub(crate) waiting: u64,
}

/// The server's answer to an upload's beginning and to each chunk.
#[derive(Deserialize)]
struct Upload {
    upload: String,
    offset: u64,
    /// All is there and its digest is right.
    complete: bool,
}

/// Sends what waits, then forgets what nobody has a use of.
pub(crate) async fn send_all<S: DeviceStore + Send + 'static>(
    shared: &Arc<Shared<S>>,
) -> ClientResult<Sent> {
    let sent = send_each(shared).await;
    shared.tidy_photos()?;
    sent
}

/// One photo's trouble holds up no other; a lost connection ends the pass.
async fn send_each<S: DeviceStore + Send + 'static>(shared: &Arc<Shared<S>>) -> ClientResult<Sent> {
    let mut done = Sent::default();
    for mut photo in shared.photos.waiting()? {
        let digest = photo.digest.clone();
        match send(shared, &mut photo).await {
            Ok(()) => {
                shared.photos.forget(&photo)?;
                done.sent += 1;
                shared.tell(Event::PhotoSent { digest });
            }
            Err(error) if matches!(error.kind, Kind::SignIn | Kind::Storage) => return Err(error),
            Err(error) if error.code == "offline" => {
                done.waiting = shared.photos.waiting()?.len() as u64;
                return Ok(done);
            }
            Err(error) if put_off(&mut photo, &error) => {
                shared.photos.note(&photo)?;
                done.waiting += 1;
            }
            Err(error) => {
                photo.state = PhotoState::Refused {
                    code: error.code.to_string(),
                    message: error.message.clone(),
                };
                shared.photos.note(&photo)?;
                done.refused += 1;
                shared.tell(Event::PhotoRefused { digest, error });
            }
        }
    }
    Ok(done)
}

/// Whether to try again later: the server was busy, or does not know the record yet.
fn put_off(photo: &mut Photo, error: &ClientError) -> bool {
    let PhotoState::Waiting { put_off, .. } = &mut photo.state else {
        return false;
    };
    match error.kind {
        Kind::Offline => true,
        _ if error.code == "not_found" => {
            *put_off += 1;
            *put_off < PATIENCE_WITH_RECORD
        }
        _ => false,
    }
}

async fn send<S: DeviceStore + Send + 'static>(
    shared: &Arc<Shared<S>>,
    photo: &mut Photo,
) -> ClientResult<()> {
    let bytes = shared.photos.bytes(&photo.digest)?.ok_or_else(|| {
        ClientError::new(
            Kind::Refused,
            "photo_lost",
            "本机的照片文件已丢失，请重新拍摄",
        )
    })?;
    let mut at = open(shared, photo).await?;
    let mut corrections = 0;
    while !at.complete {
        let Some(rest) = usize::try_from(at.offset)
            .ok()
            .and_then(|offset| bytes.get(offset..))
        else {
            return Err(ClientError::protocol("upload stands beyond its end"));
        };
        let chunk = &rest[..rest.len().min(blob::CHUNK)];
        let path = format!("{}/{}/{}", routes::PHOTOS, at.upload, at.offset);
        let request = shared
            .login
            .http()
            .request(Method::PUT, &path, Some(&shared.login.token()?))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(chunk.to_vec());
        let before = at.offset;
        at = match shared.login.http().json(request).await {
            Ok(at) => at,
            // Its answer was lost, or the upload has ended meanwhile: ask where it stands.
            Err(error) if error.kind == Kind::Refused && corrections < CORRECTIONS => {
                corrections += 1;
                open(shared, photo).await?
            }
            Err(error) => return Err(error),
        };
        if !at.complete && at.offset <= before {
            corrections += 1;
            if corrections > CORRECTIONS {
                return Err(ClientError::new(
                    Kind::Offline,
                    "upload_stuck",
                    "照片上传没有进展，稍后会自动重试",
                ));
            }
        }
    }
    Ok(())
}

/// Opens the photo's upload or finds the one under way: for one digest and record the server keeps one.
async fn open<S: DeviceStore + Send + 'static>(
    shared: &Arc<Shared<S>>,
    photo: &mut Photo,
) -> ClientResult<Upload> {
    let body = json!({
        "digest": photo.digest,
        "size": photo.size,
        "type": photo.kind,
        "record": photo.record,
        "field": photo.field,
    });
    let request = shared
        .login
        .http()
        .request(Method::POST, routes::PHOTOS, Some(&shared.login.token()?))
        .json(&body);
    let opened: Upload = shared.login.http().json(request).await?;
    if let PhotoState::Waiting { upload, .. } = &mut photo.state
        && upload.as_ref() != Some(&opened.upload)
    {
        *upload = Some(opened.upload.clone());
        shared.photos.note(photo)?;
    }
    Ok(opened)
}

/// Sends photos whenever there are some, until told to stop.
pub(crate) async fn send_as_they_come<S: DeviceStore + Send + 'static>(
    shared: Arc<Shared<S>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(shared.options.backoff_least, shared.options.backoff_most);
    let mut wait = HEAD_START;
    loop {
        tokio::select! {
            () = shared.photos.added.notified() => {}
            () = tokio::time::sleep(wait) => {}
            () = host::told(&mut stop) => return,
        }
        let pass = tokio::select! {
            pass = send_all(&shared) => pass,
            () = host::told(&mut stop) => return,
        };
        wait = match pass {
            Ok(Sent { waiting: 0, .. }) => {
                backoff.reset();
                LOOK_AGAIN
            }
            Ok(_) | Err(_) => backoff.next(host::random().map_or(0, u32::from_be_bytes)),
        };
    }
}
