//! The photos that a record or event names, and how far each has come.

use std::collections::BTreeMap;

use doorstep_core::ids::RecordId;
use doorstep_core::rights::Permission;

use super::model::{PhotoState, PhotoView};
use super::show::is_masked;
use super::store;
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiError, ApiResult};
use crate::register;
use crate::state::AppState;

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
) -> ApiResult<Vec<PhotoView>> {
    actor.trail.note_subject("record", id);
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let holder = register::holder(&mut tx, &state.keys, id)
        .await?
        .filter(|holder| holder.key().is_some())
        .ok_or_else(|| ApiError::not_found("这份档案"))?;
    actor.trail.note_area(holder.area);
    let named = holder.photos();
    let digests: Vec<Vec<u8>> = named
        .iter()
        .filter_map(|(_, digest)| hex::decode(digest).ok())
        .collect();
    let arrived: BTreeMap<String, _> = store::arrived(&mut tx, &digests)
        .await?
        .into_iter()
        .map(|photo| (hex::encode(&photo.digest), photo))
        .collect();
    // The furthest of several comes last.
    let arriving: BTreeMap<String, _> = store::arriving(&mut tx, id)
        .await?
        .into_iter()
        .map(|upload| (hex::encode(&upload.digest), upload))
        .collect();
    let view = |(field, digest): (&doorstep_core::records::Field, String)| {
        let photo = arrived.get(&digest);
        let upload = arriving.get(&digest).filter(|_| photo.is_none());
        let size = photo.map(|photo| photo.size);
        PhotoView {
            field: field.name.clone(),
            label: field.label.clone(),
            masked: is_masked(field),
            state: match (photo, upload) {
                (Some(_), _) => PhotoState::Arrived,
                (None, Some(_)) => PhotoState::Arriving,
                (None, None) => PhotoState::OnPhone,
            },
            received: size.or(upload.map(|upload| upload.received)).map(i64::from),
            size: size.or(upload.map(|upload| upload.size)).map(i64::from),
            media_type: photo.map(|photo| photo.media_type.clone()),
            width: photo.map(|photo| photo.width),
            height: photo.map(|photo| photo.height),
            arrived_at: photo.map(|photo| photo.arrived_at),
            uploaded_by: photo.map(|photo| photo.uploaded_by),
            digest,
        }
    };
    Ok(named.into_iter().map(view).collect())
}
