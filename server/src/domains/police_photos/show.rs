//! One photo for one viewer: by right, for a purpose, with name and time over it, in the audit log.

use doorstep_core::ids::RecordId;
use serde_json::json;

use super::service::in_background;
use super::{picture, watermark};
use crate::domains::auth::Actor;
use crate::domains::registry::service::{Purpose, police_photo_file};
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// The watermarked picture, as JPEG.
pub(super) async fn show(
    state: &AppState,
    actor: &Actor,
    resident: RecordId,
    purpose: Purpose,
) -> ApiResult<Vec<u8>> {
    let missing = || ApiError::not_found("这位居民的公安照片");
    let file = police_photo_file(state, actor, resident)
        .await?
        .ok_or_else(missing)?;
    let photo = state
        .police_photos
        .get(&state.keys, &file)
        .await?
        .ok_or_else(missing)?;
    actor
        .trail
        .note_detail(json!({ "purpose": purpose, "watermark": actor.login }));
    let now = state.clock.timestamp().in_shanghai();
    let now = now.map(|local| local.format("%Y-%m-%d %H:%M:%S").to_string());
    let lines = [actor.login.clone(), now.unwrap_or_default()];
    in_background(move || {
        let mut picture = picture::decode(&photo)?;
        watermark::draw(&mut picture, &lines);
        picture::encode(&picture)
    })
    .await
}
