//! A resident's main residence: claimed, compared, moved in one step. A claim beside another main residence becomes an
//! item of the conflict queue, where a supervisor confirms or denies it; here both communities learn of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, RecordId, UserId};
use doorstep_core::rights::Permission;
use doorstep_core::value::Fields;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::edit;
use super::mains::{MainResidence, main_residence_changes, mains};
use super::model::TieView;
use super::view;
use super::{checks, file, notify, store};
use crate::database::system_tx;
use crate::domains::audit::Action;
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiError, ApiResult, Problems};
use crate::register::{self, Applied, Put, SERVER_DEVICE, Submitter};
use crate::state::AppState;

/// The main residences that are held and claimed, side by side.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Comparison {
    /// The resident.
    pub resident: Uuid,
    /// Those that say to be the main one; more than one: a claim is open.
    pub candidates: Vec<Candidate>,
}

/// A residence that says to be the main one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Candidate {
    /// The residence.
    pub residence: TieView,
    /// Whether it is the claim, not the one held.
    pub claim: bool,
    /// The item in the conflict queue, for a claim.
    pub conflict: Option<Uuid>,
    /// Who said so.
    pub by: Option<Uuid>,
    /// That person's name.
    pub by_name: Option<String>,
    /// On which device; none: on the console or by a decision.
    pub device: Option<Uuid>,
    /// When, by the device's clock.
    pub made_at: Option<DateTime<Utc>>,
    /// When the server took it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When the residence was last verified.
    pub last_verified: Option<String>,
    /// Digests of photos that show it.
    pub evidence: Vec<String>,
}

/// What is claimed to be the main residence, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimMainResidence {
    /// One of the resident's residences, in the claimer's area.
    pub residence: Uuid,
    /// Digests of photos that show it.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// In words.
    pub note: Option<String>,
}

/// Which residence becomes the main one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveMainResidence {
    /// One of the resident's residences.
    pub residence: Uuid,
}

/// The comparison, with claims from other areas: whoever has the resident in the own area sees where else the resident
/// is claimed to live, addresses masked.
pub(super) async fn compare(
    state: &AppState,
    actor: &Actor,
    resident: RecordId,
) -> ApiResult<Comparison> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    file::find(&mut tx, actor, resident, Some("resident")).await?;
    drop(tx);
    let mut tx = system_tx(&state.pool).await?;
    let ties = mains(state, &mut tx, resident).await?;
    let claims: BTreeMap<String, Uuid> = store::open_claims(&mut tx, resident.0)
        .await?
        .into_iter()
        .map(|(id, residence)| (residence, id))
        .collect();
    let hashes: Vec<Vec<u8>> = ties.iter().filter_map(|tie| tie.put_by.clone()).collect();
    let makers = store::makers(&mut tx, &hashes).await?;
    drop(tx);
    let users: BTreeSet<UserId> = makers
        .iter()
        .filter_map(|maker| maker.user_id.map(UserId))
        .collect();
    let names = users::service::names(state, &users.into_iter().collect::<Vec<_>>()).await?;
    let mut candidates = Vec::with_capacity(ties.len());
    for main in ties {
        let maker = main
            .put_by
            .as_ref()
            .and_then(|hash| makers.iter().find(|maker| maker.hash == *hash));
        let by = maker.and_then(|maker| maker.user_id);
        let conflict = claims.get(&main.tie.sealed.id.to_string()).copied();
        candidates.push(Candidate {
            claim: conflict.is_some(),
            conflict,
            by,
            by_name: by.and_then(|user| names.get(&UserId(user)).cloned()),
            device: maker
                .map(|maker| maker.device_id)
                .filter(|device| *device != SERVER_DEVICE.0),
            made_at: maker.map(|maker| maker.made_at),
            accepted_at: maker.map(|maker| maker.accepted_at),
            last_verified: view::beside("residence", &main.fields, "last_verified"),
            evidence: elements(&main.fields, "evidence"),
            residence: view::tie(state, main.tie).await?,
        });
    }
    candidates.sort_by_key(|candidate| candidate.claim);
    Ok(Comparison {
        resident: resident.0,
        candidates,
    })
}

/// Says that a residence is the main one. Where another is held, the register opens an item for a supervisor, and the
/// checks' job asks those responsible for the addresses, as for a claim that a phone makes.
pub(super) async fn claim(
    state: &AppState,
    actor: &Actor,
    resident: RecordId,
    input: ClaimMainResidence,
) -> ApiResult<Comparison> {
    let mut tx = system_tx(&state.pool).await?;
    let held = mains(state, &mut tx, resident).await?;
    let open = edit::lock(
        &mut tx,
        state,
        actor,
        RecordId(input.residence),
        Some("residence"),
    )
    .await?;
    let fits =
        open.text("resident") == Some(resident.to_string().as_str()) && !open.row.sealed.cancelled;
    let mut problems = Problems::default();
    problems.require(
        fits,
        "residence",
        "not_the_residents",
        "请选择此人名下有效的居住关系",
    );
    problems.finish()?;
    if open.yes("main") {
        return Err(ApiError::conflict(
            "already_main",
            "这处已经登记为主要居住地",
        ));
    }
    let mut fields = Fields::from([("main".to_owned(), true.into())]);
    fields.extend(
        input
            .evidence
            .iter()
            .map(|digest| (format!("evidence/{digest}"), true.into())),
    );
    if let Some(note) = input.note.filter(|note| !note.trim().is_empty()) {
        fields.insert("remark".to_owned(), note.trim().into());
    }
    let (errors, _) = checks::problems(
        view::declared("residence")?,
        &open.fields,
        &fields,
        state.clock.today(),
    );
    Problems::from(errors).finish()?;
    let applied = edit::put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![open.put(fields)],
    )
    .await?;
    let detail = json!({ "residence": input.residence, "evidence": input.evidence.len(), "others": held.len() });
    edit::finish(
        state,
        actor,
        tx,
        applied,
        resident,
        Action::ClaimMainResidence,
        detail,
    )
    .await?;
    compare(state, actor, resident).await
}

/// Makes a residence the main one and all others of the resident not, in one step. For one who decides in both areas;
/// an open claim is decided in the queue.
pub(super) async fn move_main(
    state: &AppState,
    actor: &Actor,
    resident: RecordId,
    input: MoveMainResidence,
) -> ApiResult<Comparison> {
    let mut tx = system_tx(&state.pool).await?;
    let row = store::record(&mut tx, resident.0)
        .await?
        .filter(|row| row.sealed.record_type == "resident");
    let areas = row.as_ref().map_or(&[][..], |row| row.sealed.areas());
    actor.trail.note_subject("record", resident);
    if !areas
        .iter()
        .any(|area| actor.why(Permission::ReadRegister, area).is_some())
    {
        return Err(ApiError::not_found("这份档案"));
    }
    if !store::open_claims(&mut tx, resident.0).await?.is_empty() {
        return Err(ApiError::conflict(
            "claim_open",
            "主要居住地正待裁决，请在待裁决事项中确认或驳回",
        ));
    }
    let to = RecordId(input.residence);
    let mut concerned = BTreeSet::new();
    for main in mains(state, &mut tx, resident).await? {
        concerned.insert(main.tie.sealed.area());
    }
    let target = store::ties(&mut tx, &[resident.0], false)
        .await?
        .into_iter()
        .find(|tie| tie.sealed.id == to.0);
    let target = target.ok_or_else(|| {
        ApiError::field(
            "residence",
            "not_the_residents",
            "请选择此人名下有效的居住关系",
        )
    })?;
    concerned.insert(target.sealed.area());
    for area in &concerned {
        actor.require(Permission::DecideConflicts, area)?;
    }
    let told = told_moved(&mut tx, state, actor, resident, &concerned).await?;
    let mut applied = move_main_residence(
        &mut tx,
        state,
        Submitter::server(state, actor.user),
        resident,
        to,
    )
    .await?;
    applied
        .told
        .add(register::append_states(&mut tx, told, state.clock.now()).await?);
    let detail = json!({ "residence": to });
    edit::finish(
        state,
        actor,
        tx,
        applied,
        resident,
        Action::MoveMainResidence,
        detail,
    )
    .await?;
    compare(state, actor, resident).await
}

async fn told_moved(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    resident: RecordId,
    areas: &BTreeSet<AreaCode>,
) -> ApiResult<
    Vec<(
        doorstep_core::ids::ScopeId,
        doorstep_core::protocol::frames::StateEntry,
    )>,
> {
    let mut to = BTreeSet::new();
    for area in areas {
        to.extend(notify::concerned(tx, state, area).await?.all());
    }
    to.remove(&actor.user);
    let text = "一位居民的主要居住地已变更，请更新后查看。";
    notify::messages(state, to, "main_residence_moved", text, resident)
}

/// Makes `to` the resident's main residence and every other one not, in one step, in the caller's transaction. The
/// caller has checked the right and audits it, and tells those online after the commit.
///
/// # Errors
/// `not_the_residents` when the residence is another's or ended; when the database fails.
pub async fn move_main_residence(
    tx: &mut PgConnection,
    state: &AppState,
    who: Submitter,
    resident: RecordId,
    to: RecordId,
) -> ApiResult<Applied> {
    let changes = main_residence_changes(tx, state, resident, MainResidence::MovesTo(to)).await?;
    let put = |(record, fields)| Put {
        record,
        record_type: "residence".to_owned(),
        fields,
    };
    edit::put(tx, state, who, changes.into_iter().map(put).collect()).await
}

fn elements(fields: &Fields, name: &str) -> Vec<String> {
    let element = |key: &String| key.strip_prefix(name)?.strip_prefix('/').map(str::to_owned);
    fields.keys().filter_map(element).collect()
}
