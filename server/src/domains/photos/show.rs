//! A photo or its thumbnail, for those who may read a field that names it. What is masked is shown for a purpose, and
//! the log names it; a device sees what it holds in clear anyway.

use doorstep_core::blob;
use doorstep_core::mask::HIDDEN;
use doorstep_core::records::{Field, Mask};
use doorstep_core::rights::Permission;
use serde_json::json;

use super::model::PhotoRow;
use super::objects::Part;
use super::{sealing, store};
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::registry::service::Purpose;
use crate::error::{ApiError, ApiResult, Kind};
use crate::register::{self, Holder};
use crate::state::AppState;

/// A photo as it is shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// The type, as its bytes say.
    pub(super) media_type: String,
    /// The bytes; `None` for a caller who has them.
    pub(super) bytes: Option<Vec<u8>>,
}

/// On what ground someone sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ground {
    /// The field is not masked.
    Open,
    /// A device that holds the record.
    Device,
    /// A purpose was named.
    Purpose(Purpose),
}

/// Whether a field's photos are hidden from those who name no purpose.
pub(super) fn is_masked(field: &Field) -> bool {
    field.mask == Mask::All
}

/// Finds a photo and opens it, unless the caller has it.
pub(super) async fn show(
    state: &AppState,
    actor: &Actor,
    digest: &str,
    part: Part,
    purpose: Option<Purpose>,
    has_it: bool,
) -> ApiResult<Shown> {
    if !blob::is_digest(digest) {
        return Err(not_found());
    }
    let bytes = hex::decode(digest).map_err(ApiError::internal)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let mut refused = None;
    let mut found = None;
    for photo in store::named(&mut tx, &bytes).await? {
        let record = photo.record_id.into();
        let Some(holder) = register::holder(&mut tx, &state.keys, record).await? else {
            continue;
        };
        match ground(actor, &holder, digest, purpose) {
            Some(Ok(ground)) => {
                found = Some((photo, holder, ground));
                break;
            }
            Some(Err(error)) => refused = Some((holder, error)),
            None => {}
        }
    }
    drop(tx);
    let Some((photo, holder, ground)) = found else {
        return Err(refused.map_or_else(not_found, |(holder, error)| {
            note(actor, &holder);
            error
        }));
    };
    note(actor, &holder);
    let said = match ground {
        Ground::Open => json!({}),
        Ground::Device => json!({ "ground": "device" }),
        Ground::Purpose(purpose) => json!({ "purpose": purpose }),
    };
    let mut detail = json!({ "photo": photo.id, "part": part.name() });
    if let (Some(detail), Some(said)) = (detail.as_object_mut(), said.as_object()) {
        detail.extend(said.clone());
    }
    actor.trail.note_detail(detail);
    let bytes = if has_it {
        None
    } else {
        Some(fetch(state, &photo, &holder, part).await?)
    };
    Ok(Shown {
        media_type: match part {
            Part::Whole => photo.media_type,
            Part::Thumbnail => "image/jpeg".to_owned(),
        },
        bytes,
    })
}

fn not_found() -> ApiError {
    ApiError::not_found("这张照片")
}

fn note(actor: &Actor, holder: &Holder) {
    actor.trail.note_subject("record", holder.id);
    actor.trail.note_area(holder.area);
}

/// On what ground the actor sees it there; `None` where the record does not name it.
fn ground(
    actor: &Actor,
    holder: &Holder,
    digest: &str,
    purpose: Option<Purpose>,
) -> Option<ApiResult<Ground>> {
    let fields: Vec<&Field> = holder
        .photos()
        .into_iter()
        .filter(|(_, named)| named == digest)
        .map(|(field, _)| field)
        .collect();
    if fields.is_empty() {
        return None;
    }
    if fields.iter().any(|field| !is_masked(field)) {
        return Some(Ok(Ground::Open));
    }
    let may = |permission| {
        let mut areas = holder.areas.iter();
        areas.any(|area| actor.why(permission, area).is_some())
    };
    if actor.device.is_some() && may(Permission::Sync) {
        return Some(Ok(Ground::Device));
    }
    if !may(Permission::RevealSecrets) {
        return Some(Err(ApiError::forbidden()));
    }
    Some(match purpose {
        Some(purpose) => Ok(Ground::Purpose(purpose)),
        None => Err(ApiError::new(
            Kind::Forbidden,
            "purpose_required",
            format!("这张照片平时不显示（{HIDDEN}），请先选择查看用途，系统会记录"),
        )),
    })
}

async fn fetch(
    state: &AppState,
    photo: &PhotoRow,
    holder: &Holder,
    part: Part,
) -> ApiResult<Vec<u8>> {
    let key = holder.key().ok_or_else(not_found)?;
    let sealed = state.photos.part(photo.id(), part).await?;
    let (record, digest) = (holder.id, photo.digest.clone());
    let opened = tokio::task::spawn_blocking(move || {
        sealing::open_part(&key, part, record, &digest, &sealed)
    });
    opened.await.map_err(ApiError::internal)?
}
