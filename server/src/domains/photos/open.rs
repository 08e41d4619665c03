//! Opening an upload, or finding the one under way; and whether a user may add a photo to a record's field.

use chrono::Duration;
use doorstep_core::blob::{self, BlobType};
use doorstep_core::ids::{PhotoId, RecordId};
use doorstep_core::rights::Permission;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{OpenUpload, UploadView};
use super::store::{self, NewUpload};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::random;
use crate::register::{self, Holder};
use crate::state::AppState;

/// Uploads that one user may have under way: a phone sends one after another.
const MOST_UNDER_WAY: i64 = 20;
/// What one user may send within a day, in megabytes, unless told: a hundred large photos, more than a day's honest work.
pub const DAILY_MEGABYTES: u32 = 500;

/// What a request says, as far as it can be read without the register.
struct Wanted {
    digest: Vec<u8>,
    record: Option<RecordId>,
    media_type: Option<&'static str>,
    size: i32,
}

fn read(input: &OpenUpload, problems: &mut Problems) -> Wanted {
    problems.require(
        blob::is_digest(&input.digest),
        "digest",
        "digest_form",
        "照片编号应为 64 位小写十六进制数字（SM3）",
    );
    let most = i64::try_from(blob::MAX_BYTES).unwrap_or(i64::MAX);
    if input.size < 1 {
        problems.add("size", "photo_empty", "照片是空的，请重新拍摄或选择");
    } else if input.size > most {
        let error = blob::BlobError::TooLarge;
        problems.add("size", error.code(), error.message());
    }
    let kinds = [BlobType::Jpeg, BlobType::Png, BlobType::Webp];
    let media_type = kinds
        .map(BlobType::media_type)
        .into_iter()
        .find(|known| *known == input.media_type);
    if media_type.is_none() {
        let error = blob::BlobError::Unsupported;
        problems.add("type", error.code(), error.message());
    }
    let record = input.record.parse::<Uuid>().ok().map(RecordId);
    problems.require(
        record.is_some(),
        "record",
        "record_form",
        "请填写照片所属档案或走访的编号",
    );
    Wanted {
        digest: hex::decode(&input.digest).unwrap_or_default(),
        record,
        media_type,
        size: i32::try_from(input.size).unwrap_or(0),
    }
}

pub(super) async fn open(
    state: &AppState,
    actor: &Actor,
    input: OpenUpload,
) -> ApiResult<UploadView> {
    let mut problems = Problems::default();
    let wanted = read(&input, &mut problems);
    let mut tx = system_tx(&state.pool).await?;
    let holder = match wanted.record {
        Some(record) => {
            actor.trail.note_subject("record", record);
            readable(&mut tx, state, actor, record).await?
        }
        None => None,
    };
    if let Some(holder) = &holder {
        check_field(holder, &input, &mut problems);
    }
    problems.finish()?;
    let (Some(holder), Some(media_type)) = (holder, wanted.media_type) else {
        return Err(unknown_record());
    };
    require_writer(actor, &holder, &input.field)?;
    if let Some(photo) = store::stored(&mut tx, holder.id, &wanted.digest).await? {
        return Ok(photo.view());
    }
    let new = NewUpload {
        id: random::id(state.clock.timestamp(), PhotoId::new)?,
        digest: &wanted.digest,
        record: holder.id,
        field: &input.field,
        area: holder.area.as_str(),
        owner: actor.user,
        media_type,
        size: wanted.size,
        at: state.clock.now(),
    };
    let upload = store::open(&mut tx, &new).await?;
    if upload.id != new.id.0 {
        tx.commit().await?;
        return Ok(upload.view());
    }
    if store::under_way(&mut tx, actor.user).await? > MOST_UNDER_WAY {
        return Err(ApiError::too_many(
            "too_many_uploads",
            60,
            format!("同时上传的照片最多 {MOST_UNDER_WAY} 张，请等前面的传完，稍后会自动继续"),
        ));
    }
    let most = state.config.photo_megabytes;
    let sent = store::sent(&mut tx, actor.user, new.at - Duration::days(1)).await?;
    if sent > i64::from(most) * 1_000_000 {
        return Err(ApiError::too_many(
            "too_many_photos",
            3_600,
            format!(
                "一天最多上传 {most} MB 照片，这张照片先留在手机上，稍后会自动继续；确有需要请联系管理员"
            ),
        ));
    }
    let entry = Entry::by(actor, new.at, Action::OpenPhoto)
        .subject("record", holder.id)
        .area(holder.area);
    let detail = json!({ "upload": upload.id, "field": input.field, "size": upload.size });
    audit::record(&mut tx, entry.detail(detail)).await?;
    tx.commit().await?;
    metrics::counter!("doorstep_photo_uploads_total").increment(1);
    Ok(upload.view())
}

/// The record or event, when it is there for this user to know; an erased one is said to be.
async fn readable(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    id: RecordId,
) -> ApiResult<Option<Holder>> {
    let holder = register::holder(tx, &state.keys, id).await?;
    let may_read = |holder: &Holder| {
        let mut areas = holder.areas.iter();
        areas.any(|area| actor.why(Permission::ReadRegister, area).is_some())
    };
    let Some(holder) = holder.filter(may_read) else {
        return Ok(None);
    };
    actor.trail.note_area(holder.area);
    if holder.key().is_none() {
        return Err(ApiError::conflict(
            "record_erased",
            "这份档案已被彻底删除，照片不再上传",
        ));
    }
    Ok(Some(holder))
}

fn unknown_record() -> ApiError {
    ApiError::not_found("照片所属的档案或走访")
}

fn check_field(holder: &Holder, input: &OpenUpload, problems: &mut Problems) {
    if holder.photo_field(&input.field).is_none() {
        problems.add(
            "field",
            "not_a_photo_field",
            format!("{}的这个项目不放照片", holder.declared.label),
        );
    } else if holder.maker.is_some()
        && !holder
            .photos()
            .iter()
            .any(|(field, digest)| field.name == input.field && *digest == input.digest)
    {
        // An event never changes: what it doesn't name now it never will.
        problems.add("digest", "not_named", "这次走访没有提到这张照片");
    }
}

/// Whether the actor may write this field there; an event is its maker's alone.
fn require_writer(actor: &Actor, holder: &Holder, field: &str) -> ApiResult<()> {
    if holder.maker.is_some_and(|maker| maker != actor.user) {
        return Err(ApiError::forbidden());
    }
    let declared = holder.photo_field(field).ok_or_else(unknown_record)?;
    let mut grants = actor.grants.iter().filter(|grant| {
        let covers = holder.areas.iter().any(|area| grant.area.contains(area));
        covers && grant.role.may(Permission::WriteRegister)
    });
    if grants.any(|grant| declared.writers.contains(&grant.role)) {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Forbidden,
        "field_not_writable",
        format!("您没有为「{}」添加照片的权限，请联系主管", declared.label),
    ))
}

/// The record of an upload under way, if the actor still may write there.
pub(super) async fn still_writable(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    record: RecordId,
    field: &str,
) -> ApiResult<Holder> {
    let holder = readable(tx, state, actor, record)
        .await?
        .ok_or_else(unknown_record)?;
    require_writer(actor, &holder, field)?;
    Ok(holder)
}
