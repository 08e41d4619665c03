//! Erasing a person for good: what the law wants forgotten is forgotten in the history too.

use doorstep_core::ids::RecordId;
use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::view::Open;
use super::{reminders, store};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::domains::photos;
use crate::domains::police_photos;
use crate::error::{ApiError, ApiResult, Problems};
use crate::register;
use crate::state::AppState;

/// Records that are erased again in one transaction.
const AGAIN_AT_ONCE: usize = 100;

/// On what ground a record is erased.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// 本人要求删除
    Request,
    /// 保存期限届满
    RetentionOver,
    /// 违法或错误采集
    UnlawfulCollection,
    /// 法院或主管机关要求
    Order,
}

/// What to erase, confirmed by its id.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseRecord {
    /// On what ground.
    pub ground: Ground,
    /// The record's id once more: erasing can't be undone.
    pub confirm: Uuid,
}

/// What was erased.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Erased {
    /// The record and, of a resident, the residences.
    pub records: Vec<Uuid>,
    /// How many scopes' devices are told to purge.
    pub scopes: usize,
}

pub(super) async fn erase(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: EraseRecord,
) -> ApiResult<Erased> {
    actor.trail.note_subject("record", id);
    let mut problems = Problems::default();
    problems.require(
        input.confirm == id.0,
        "confirm",
        "not_the_same",
        "请再次输入要彻底删除的档案编号",
    );
    problems.finish()?;
    let mut tx = system_tx(&state.pool).await?;
    let row = store::record(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这份档案"))?;
    for area in row.sealed.areas()? {
        if actor.why(Permission::ReadRegister, &area).is_none() {
            return Err(ApiError::not_found("这份档案"));
        }
        actor.require(Permission::EraseRecords, &area)?;
    }
    let photo = Open::new(state, row.clone())
        .await?
        .text("photo_file")
        .map(str::to_owned);
    let mut records: Vec<RecordId> = store::ties(&mut tx, &[id.0], true)
        .await?
        .into_iter()
        .map(|tie| RecordId(tie.sealed.id))
        .collect();
    records.push(id);
    let mut erasure = register::erase(&mut tx, state, &records).await?;
    let withdrawn = reminders::withdraw(&mut tx, state, &records).await?;
    let scopes = erasure.slices.len();
    erasure.slices.extend(withdrawn);
    let mut gone = records.clone();
    gone.extend(erasure.events.iter().map(|event| RecordId::from(*event)));
    photos::service::forget(&mut tx, state, &gone).await?;
    let area = row.sealed.area()?;
    let entry = Entry::by(actor, state.clock.now(), Action::EraseRecord)
        .subject("record", id)
        .area(area);
    let detail =
        json!({ "ground": input.ground, "type": row.sealed.record_type, "records": records.len() });
    audit::record(&mut tx, entry.detail(detail)).await?;
    // Before the commit: a photo that nobody's file names any more would lie there for good.
    if let Some(file) = photo {
        police_photos::service::forget(state, &file).await?;
    }
    tx.commit().await?;
    for slice in erasure.slices {
        state.hub.publish(slice);
    }
    photos::service::remove_soon(state);
    Ok(Erased {
        records: records.into_iter().map(|id| id.0).collect(),
        scopes,
    })
}

/// Erases records that a restored backup brought back: their keys are gone, and what they sealed goes too. Gives how
/// many there were.
///
/// # Errors
/// When the database fails.
pub async fn erase_again(state: &AppState, records: &[RecordId]) -> ApiResult<u64> {
    let mut again = 0;
    for some in records.chunks(AGAIN_AT_ONCE) {
        let mut tx = system_tx(&state.pool).await?;
        let ids: Vec<Uuid> = some.iter().map(|id| id.0).collect();
        let there: Vec<RecordId> = store::not_erased(&mut tx, &ids)
            .await?
            .into_iter()
            .map(RecordId)
            .collect();
        if there.is_empty() {
            continue;
        }
        let erasure = register::erase(&mut tx, state, &there).await?;
        reminders::withdraw(&mut tx, state, &there).await?;
        let mut gone = there.clone();
        gone.extend(erasure.events.iter().map(|event| RecordId::from(*event)));
        photos::service::forget(&mut tx, state, &gone).await?;
        for id in &there {
            let entry =
                Entry::by_server(state.clock.now(), Action::EraseAgain).subject("record", id);
            audit::record(&mut tx, entry).await?;
        }
        tx.commit().await?;
        again += there.len() as u64;
    }
    Ok(again)
}
