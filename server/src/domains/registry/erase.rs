//! Erasing a person for good: what the law wants forgotten is forgotten in the history too.

use std::collections::BTreeSet;

use doorstep_core::ids::RecordId;
use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::model::RecordRow;
use super::view::Open;
use super::{reminders, store};
use crate::database::{Tx, system_tx};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::domains::{checks, imports, photos, police_photos};
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::register::{self, Told};
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
    /// The record, those that were merged into it or it into, and, of a resident, the residences.
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
    register::read_refused(state).await?;
    imports::service::read_numbers(state).await?;
    let (mut tx, person, records) = hold(state, id).await?;
    let rows = store::records(&mut tx, &person).await?;
    let row = rows
        .iter()
        .find(|row| row.sealed.id == id.0)
        .ok_or_else(|| ApiError::not_found("这份档案"))?;
    require_right(actor, row, &rows)?;
    let area = row.sealed.area();
    let entry = Entry::by(actor, state.clock.now(), Action::EraseRecord)
        .subject("record", id)
        .area(area)
        .detail(
            json!({ "ground": input.ground, "type": row.sealed.record_type,
            "records": records.len(), "merged": rows.len() - 1 }),
        );
    let mut photos = BTreeSet::new();
    for open in Open::all(state, rows).await? {
        photos.extend(open.text("photo_file").map(str::to_owned));
    }
    let (scopes, told) = destroy(&mut tx, state, &records).await?;
    audit::record(&mut tx, entry).await?;
    // Before the commit: a photo that nobody's file names any more would lie there for good.
    for file in photos {
        police_photos::service::forget(state, &file).await?;
    }
    tx.commit().await?;
    told.to(&state.hub);
    photos::service::remove_soon(state);
    Ok(Erased {
        records: records.into_iter().map(|id| id.0).collect(),
        scopes,
    })
}

/// Erases records, with whatever else tells of them: events, reminders, open checks, photos, rows of files. Gives how many scopes'
/// devices are to purge, and what goes to those online.
async fn destroy(
    tx: &mut PgConnection,
    state: &AppState,
    records: &[RecordId],
) -> ApiResult<(usize, Told)> {
    // Numbers that rows of files are found by go with the records.
    let numbers = register::tokens_of_residents(tx, records).await?;
    let register::Erasure { events, mut told } = register::erase(tx, state, records).await?;
    let scopes = told.scopes();
    told.add(reminders::withdraw(tx, state, records).await?);
    let ended = checks::service::close_about(tx, state, records).await?;
    told.add(register::append_states(tx, ended, state.clock.now()).await?);
    let events = events.into_iter().map(RecordId::from);
    let gone: Vec<RecordId> = records.iter().copied().chain(events).collect();
    photos::service::forget(tx, state, &gone).await?;
    imports::service::forget(tx, records, &numbers).await?;
    Ok((scopes, told))
}

/// The records of the person, those that were merged into one among them, and with them the residences: all locked in
/// the order of their ids, so that none is merged and no residence made while they are erased.
async fn hold(state: &AppState, id: RecordId) -> ApiResult<(Tx, Vec<Uuid>, Vec<RecordId>)> {
    loop {
        let mut tx = system_tx(&state.pool).await?;
        let (person, records) = all_of(&mut tx, id).await?;
        let ids: Vec<Uuid> = records.iter().map(|id| id.0).collect();
        store::lock_all(&mut tx, &ids).await?;
        // What was made before the locks were had is seen now; then once more, with all of it.
        if all_of(&mut tx, id).await? == (person.clone(), records.clone()) {
            return Ok((tx, person, records));
        }
    }
}

/// The records of the person, and these after the residences.
async fn all_of(tx: &mut PgConnection, id: RecordId) -> ApiResult<(Vec<Uuid>, Vec<RecordId>)> {
    let person = store::chain(tx, id.0).await?;
    let ties = store::ties(tx, &person, true).await?;
    let ties = ties.into_iter().map(|tie| tie.sealed.id);
    let records = ties.chain(person.iter().copied()).map(RecordId).collect();
    Ok((person, records))
}

/// The right to erase, in every area that holds one of the person's records.
fn require_right(actor: &Actor, row: &RecordRow, all: &[RecordRow]) -> ApiResult<()> {
    for area in row.sealed.areas() {
        if actor.why(Permission::ReadRegister, area).is_none() {
            return Err(ApiError::not_found("这份档案"));
        }
        actor.require(Permission::EraseRecords, area)?;
    }
    for area in all.iter().map(|row| row.sealed.areas()) {
        if area
            .iter()
            .any(|area| actor.why(Permission::EraseRecords, area).is_none())
        {
            return Err(ApiError::new(
                Kind::Forbidden,
                "beyond_own_area",
                "此人另有一份已合并的档案不在您的区划内，请由管辖两地的上级管理员办理",
            ));
        }
    }
    Ok(())
}

/// Erases records that a restored backup brought back: their keys are gone, and what they sealed goes too; with them
/// what was merged into them, and the residences of all. Gives how many there were.
///
/// # Errors
/// When the database fails.
pub async fn erase_again(state: &AppState, records: &[RecordId]) -> ApiResult<u64> {
    let mut again = 0;
    register::read_refused(state).await?;
    imports::service::read_numbers(state).await?;
    for some in records.chunks(AGAIN_AT_ONCE) {
        let mut tx = system_tx(&state.pool).await?;
        let mut ids: Vec<Uuid> = some.iter().map(|id| id.0).collect();
        ids.extend(store::aliases(&mut tx, &ids).await?);
        let ties = store::ties(&mut tx, &ids, true).await?;
        ids.extend(ties.iter().map(|tie| tie.sealed.id));
        let there: Vec<RecordId> = store::not_erased(&mut tx, &ids)
            .await?
            .into_iter()
            .map(RecordId)
            .collect();
        if there.is_empty() {
            continue;
        }
        let (_, told) = destroy(&mut tx, state, &there).await?;
        for id in &there {
            let entry =
                Entry::by_server(state.clock.now(), Action::EraseAgain).subject("record", id);
            audit::record(&mut tx, entry).await?;
        }
        tx.commit().await?;
        told.to(&state.hub);
        again += there.len() as u64;
    }
    Ok(again)
}
