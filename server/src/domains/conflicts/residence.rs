//! Two communities claim one resident's main residence: the claim is confirmed or denied. What that writes is the
//! registry's rule; here is who is told and what else it answers.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, RecordId};
use sqlx::PgConnection;

use super::case::Case;
use super::plan::Plan;
use super::reach::is_main;
use super::store;
use crate::domains::registry::service::{MainResidence, concerned, main_residence_changes};
use crate::error::{ApiError, ApiResult};
use crate::register::Opened;
use crate::state::AppState;

/// The main residence moves to the claim; every other one stops being the main one, and other claims fall.
pub(super) async fn confirm(
    tx: &mut PgConnection,
    case: &Case,
    state: &AppState,
) -> ApiResult<Plan> {
    let claim = claim(case)?;
    let mut plan = plan(tx, case, state, MainResidence::MovesTo(claim.id)).await?;
    plan.close = store::open_of_record(tx, case.record.0, &["main_residence"], case.row.id).await?;
    let text = "一位居民的主要居住地经核实已变更，请更新后查看。";
    tell_communities(tx, &mut plan, case, state, text).await?;
    tell_makers(&mut plan, case, "主要居住地的变更已确认，请更新后查看。");
    Ok(plan)
}

/// The claim falls; the main residence stays where it was.
pub(super) async fn deny(tx: &mut PgConnection, case: &Case, state: &AppState) -> ApiResult<Plan> {
    let claim = claim(case)?;
    let mut plan = plan(tx, case, state, MainResidence::IsNot(claim.id)).await?;
    let text = "对一位居民主要居住地的认领未获确认，主要居住地不变。";
    tell_communities(tx, &mut plan, case, state, text).await?;
    tell_makers(
        &mut plan,
        case,
        "主要居住地的变更未获主管确认，主要居住地不变。",
    );
    Ok(plan)
}

async fn plan(
    tx: &mut PgConnection,
    case: &Case,
    state: &AppState,
    becomes: MainResidence,
) -> ApiResult<Plan> {
    let mut plan = Plan::default();
    for (residence, fields) in main_residence_changes(tx, state, case.record, becomes).await? {
        plan.put(residence, "residence", fields);
    }
    Ok(plan)
}

/// The residence that is claimed to be the main one.
fn claim(case: &Case) -> ApiResult<&Opened> {
    let id: Option<RecordId> = case.row.subject.parse().ok();
    case.residences_of(case.record)
        .find(|residence| Some(residence.id) == id)
        .ok_or_else(|| {
            ApiError::conflict(
                "claim_gone",
                "认领的居住关系已终止或已改属他人，请按“无需处理”结束这一事项",
            )
        })
}

fn tell_makers(plan: &mut Plan, case: &Case, text: &str) {
    for user in case.makers() {
        plan.told.insert(user, text.to_owned());
    }
}

/// Collectors, supervisors and police liaisons where the resident lived, lives and is claimed to live.
async fn tell_communities(
    tx: &mut PgConnection,
    plan: &mut Plan,
    case: &Case,
    state: &AppState,
    text: &str,
) -> ApiResult<()> {
    let mains = case
        .residences_of(case.record)
        .filter(|residence| is_main(residence));
    let areas: BTreeSet<AreaCode> = mains
        .flat_map(|residence| residence.areas.clone())
        .collect();
    for area in areas {
        for user in concerned(tx, state, &area).await?.all() {
            plan.told.insert(user, text.to_owned());
        }
    }
    Ok(())
}
