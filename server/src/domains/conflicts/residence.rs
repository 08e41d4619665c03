//! Two communities claim one resident's main residence: the claim is confirmed or denied.

use doorstep_core::ids::RecordId;
use doorstep_core::rights::{Permission, Role};
use doorstep_core::value::{Fields, Value};

use super::case::Case;
use super::plan::Plan;
use crate::domains::users;
use crate::error::{ApiError, ApiResult};
use crate::register::Opened;
use crate::state::AppState;

/// The main residence moves to the claim; every other one stops being the main one.
pub(super) async fn confirm(case: &Case, state: &AppState) -> ApiResult<Plan> {
    let claim = claim(case)?;
    let mut plan = Plan::default();
    for residence in case.residences_of(case.record) {
        let is_claim = residence.id == claim.id;
        if is_claim || is_main(residence) {
            let main = Fields::from([("main".to_owned(), Value::Bool(is_claim))]);
            plan.put(residence.id, &residence.record_type, main);
        }
        if !is_claim && is_main(residence) {
            let text = "一位居民的主要居住地经主管确认已迁到别处，原居住地不再是主要居住地。";
            tell_supervisors(&mut plan, state, residence, text).await?;
        }
    }
    tell_makers(
        &mut plan,
        case,
        "主要居住地的变更已由主管确认，请更新后查看。",
    );
    Ok(plan)
}

/// The claim falls; the main residence stays where it was.
pub(super) async fn deny(case: &Case, state: &AppState) -> ApiResult<Plan> {
    let claim = claim(case)?;
    let mut plan = Plan::default();
    plan.put(
        claim.id,
        &claim.record_type,
        Fields::from([("main".to_owned(), Value::Bool(false))]),
    );
    let held = case
        .residences_of(case.record)
        .find(|residence| residence.id != claim.id && is_main(residence));
    if let Some(held) = held {
        let text = "另一社区对一位居民主要居住地的认领未获确认，主要居住地不变。";
        tell_supervisors(&mut plan, state, held, text).await?;
    }
    tell_makers(
        &mut plan,
        case,
        "主要居住地的变更未获主管确认，主要居住地不变。",
    );
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

fn is_main(residence: &Opened) -> bool {
    residence.registers.get("main") == Some(&Value::Bool(true))
}

fn tell_makers(plan: &mut Plan, case: &Case, text: &str) {
    for user in case.makers() {
        plan.told.insert(user, text.to_owned());
    }
}

/// The supervisors where a residence lies: they lose or keep a resident without having been asked.
async fn tell_supervisors(
    plan: &mut Plan,
    state: &AppState,
    residence: &Opened,
    text: &str,
) -> ApiResult<()> {
    for area in &residence.areas {
        let holders = users::service::holders(state, Permission::DecideConflicts, area).await?;
        for grant in holders
            .iter()
            .filter(|grant| grant.role == Role::Supervisor)
        {
            plan.told.insert(grant.user, text.to_owned());
        }
    }
    Ok(())
}
