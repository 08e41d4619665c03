//! Taking a chunk; with the last one the photo is put together, checked, sealed and kept.
//!
//! A request holds its upload's row, so two for one upload take turns, on whatever node. What counts is `received`: it
//! moves when a chunk lies in the store, so a node that dies in between loses nothing but that request.

use std::time::Instant;

use doorstep_core::blob;
use doorstep_core::crypto::seal::SealKey;
use doorstep_core::ids::{PhotoId, RecordId};
use serde_json::json;
use sqlx::PgConnection;

use super::model::{PhotoRow, UploadRow, UploadView};
use super::objects::Part;
use super::picture::{self, Picture, Refused};
use super::{open, sealing, store, tidy};
use crate::database::{Tx, system_tx};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, FieldProblem, Kind};
use crate::register::{self, Holder};
use crate::state::AppState;

/// Takes the bytes that follow `offset`.
pub(super) async fn take(
    state: &AppState,
    actor: &Actor,
    id: PhotoId,
    offset: i64,
    bytes: Vec<u8>,
) -> ApiResult<UploadView> {
    actor.trail.note_subject("photo", id);
    let _writer = state.photos.writers.acquire().await;
    let mut tx = system_tx(&state.pool).await?;
    let Some(upload) = store::lock(&mut tx, id, actor.user).await? else {
        // The answer to the last chunk may have been lost.
        let photo = store::of_upload(&mut tx, id, actor.user).await?;
        return photo
            .map(|photo| photo.view())
            .ok_or_else(|| ApiError::not_found("这次照片上传，请重新开始"));
    };
    let record = RecordId(upload.record_id);
    let holder = open::still_writable(&mut tx, state, actor, record, &upload.field).await?;
    let key = holder
        .key()
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("a holder without a key")))?;
    if !is_next(&upload, offset)? {
        return Ok(upload.view());
    }
    check_length(&upload, bytes.len())?;
    let received = upload.received + i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    if received == upload.size {
        return finish(state, actor, tx, upload, holder, key, bytes).await;
    }
    let sealed = sealing::seal_chunk(&key, id, upload.received, &bytes)?;
    state.photos.put_chunk(id, upload.received, sealed).await?;
    advance(state, tx, upload, received).await
}

async fn advance(
    state: &AppState,
    mut tx: Tx,
    mut upload: UploadRow,
    received: i32,
) -> ApiResult<UploadView> {
    store::advance(&mut tx, upload.id(), received, state.clock.now()).await?;
    tx.commit().await?;
    upload.received = received;
    Ok(upload.view())
}

/// Whether the chunk is the next one; one that is there already is passed over.
fn is_next(upload: &UploadRow, offset: i64) -> ApiResult<bool> {
    let received = i64::from(upload.received);
    let at_a_chunk = offset >= 0 && offset % blob::CHUNK as i64 == 0;
    if offset == received {
        Ok(true)
    } else if offset < received && at_a_chunk {
        Ok(false)
    } else {
        Err(ApiError::conflict(
            "wrong_offset",
            format!("照片应从第 {received} 字节继续上传，请重新查询进度"),
        ))
    }
}

fn check_length(upload: &UploadRow, length: usize) -> ApiResult<()> {
    let rest = usize::try_from(upload.size - upload.received).unwrap_or(0);
    let expected = rest.min(blob::CHUNK);
    if length == expected {
        return Ok(());
    }
    Err(refusal(Refused {
        code: "chunk_size",
        field: "body",
        message: "照片每次上传 262144 字节，最后一次上传余下的部分，请更新应用后重试",
    }))
}

fn refusal(refused: Refused) -> ApiError {
    let mut error = ApiError::new(Kind::Invalid, refused.code, refused.message);
    error.fields.push(FieldProblem {
        path: refused.field.into(),
        code: refused.code.into(),
        message: refused.message.into(),
    });
    error
}

/// What looking at a whole photo came to.
enum Looked {
    /// Good, and sealed: photo, thumbnail.
    Good(Picture, Vec<u8>, Vec<u8>),
    /// Not to be taken.
    Refused(Refused),
    /// The chunk that begins there is not what was sent.
    Lost(i32),
}

async fn finish(
    state: &AppState,
    actor: &Actor,
    mut tx: Tx,
    upload: UploadRow,
    holder: Holder,
    key: SealKey,
    last: Vec<u8>,
) -> ApiResult<UploadView> {
    let looked = look(state, &upload, key, last).await?;
    let (picture, whole, thumbnail) = match looked {
        Looked::Good(picture, whole, thumbnail) => (picture, whole, thumbnail),
        Looked::Lost(offset) => return advance(state, tx, upload, offset).await,
        Looked::Refused(refused) => {
            discard(state, tx, upload.id()).await?;
            metrics::counter!("doorstep_photos_refused_total", "code" => refused.code).increment(1);
            return Err(refusal(refused));
        }
    };
    let (id, now) = (upload.id(), state.clock.now());
    state.photos.put_part(id, Part::Whole, whole).await?;
    state
        .photos
        .put_part(id, Part::Thumbnail, thumbnail)
        .await?;
    if !register::keep(&mut tx, &holder).await? {
        discard(state, tx, id).await?;
        return Err(ApiError::not_found("照片所属的档案或走访"));
    }
    let photo = PhotoRow {
        id: id.0,
        record_id: upload.record_id,
        digest: upload.digest,
        media_type: upload.media_type,
        size: upload.size,
        width: i32::try_from(picture.head.width).unwrap_or(0),
        height: i32::try_from(picture.head.height).unwrap_or(0),
        uploaded_by: actor.user.0,
        arrived_at: now,
    };
    if !store::keep(&mut tx, &photo, holder.area.as_str()).await? {
        // Another upload of the same photo was faster: its photo stands.
        let stands = store::stored(&mut tx, holder.id, &photo.digest).await?;
        discard(state, tx, id).await?;
        return stands
            .map(|stands| stands.view())
            .ok_or_else(|| ApiError::not_found("这次照片上传，请重新开始"));
    }
    store::end(&mut tx, id).await?;
    let detail = json!({
        "digest": hex::encode(&photo.digest), "record": photo.record_id, "field": upload.field,
        "type": photo.media_type, "size": photo.size,
    });
    let entry = Entry::by(actor, now, Action::StorePhoto)
        .subject("photo", id)
        .area(holder.area);
    audit::record(&mut tx, entry.detail(detail)).await?;
    tx.commit().await?;
    metrics::counter!("doorstep_photos_stored_total").increment(1);
    metrics::counter!("doorstep_photo_bytes_total").increment(photo.size.unsigned_abs().into());
    if let Err(error) = state.photos.remove_chunks(id).await {
        // They are sealed and small; with the photo, or as strays, they go later.
        tracing::warn!(%error, photo = %id, "chunks were left");
    }
    Ok(photo.view())
}

/// Ends an upload that comes to nothing, and its objects.
async fn discard(state: &AppState, mut tx: Tx, id: PhotoId) -> ApiResult<()> {
    let connection: &mut PgConnection = &mut tx;
    store::end(connection, id).await?;
    store::remove(connection, id, state.clock.now()).await?;
    tx.commit().await?;
    tidy::remove_soon(state);
    Ok(())
}

async fn look(
    state: &AppState,
    upload: &UploadRow,
    key: SealKey,
    last: Vec<u8>,
) -> ApiResult<Looked> {
    let id = upload.id();
    let chunk = i32::try_from(blob::CHUNK).unwrap_or(i32::MAX);
    let mut sealed = Vec::new();
    let mut at = 0;
    while at < upload.received {
        match state.photos.chunk(id, at).await? {
            Some(bytes) => sealed.push((at, bytes)),
            None => return Ok(Looked::Lost(at)),
        }
        at += chunk;
    }
    let (record, digest) = (RecordId(upload.record_id), upload.digest.clone());
    let media_type = upload.media_type.clone();
    let decoder = state.photos.decoders.clone().acquire_owned().await;
    let work = move || -> ApiResult<Looked> {
        // Held by the work, not by the request: a caller who hangs up frees nobody's turn.
        let _decoder = decoder;
        let started = Instant::now();
        let mut bytes = Vec::new();
        for (at, sealed) in sealed {
            match sealing::open_chunk(&key, id, at, &sealed) {
                Ok(plain) => bytes.extend(plain),
                Err(_) => return Ok(Looked::Lost(at)),
            }
        }
        bytes.extend(last);
        let picture = match picture::examine(&bytes, &hex::encode(&digest), &media_type) {
            Ok(picture) => picture,
            Err(refused) => return Ok(Looked::Refused(refused)),
        };
        metrics::histogram!("doorstep_photo_check_seconds").record(started.elapsed().as_secs_f64());
        let seal = |part, plain: &[u8]| sealing::seal_part(&key, part, record, &digest, plain);
        let whole = seal(Part::Whole, &bytes)?;
        let thumbnail = seal(Part::Thumbnail, &picture.thumbnail)?;
        Ok(Looked::Good(picture, whole, thumbnail))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(looked) => looked,
        // A decoder that panics on a photo has judged it.
        Err(error) if error.is_panic() => Ok(Looked::Refused(picture::UNREADABLE)),
        Err(error) => Err(ApiError::internal(error)),
    }
}
