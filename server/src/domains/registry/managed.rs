//! Houses that a village takes under management (纳管): claimed, managed, released. They are listed as houses are,
//! narrowed by `managed`.

use chrono::NaiveDate;
use doorstep_core::ids::RecordId;
use doorstep_core::value::Fields;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::edit;
use super::model::RecordView;
use super::view;
use crate::database::system_tx;
use crate::domains::audit::Action;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::register::Submitter;
use crate::state::AppState;

/// A step of management.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManageStep {
    /// 认领
    Claim,
    /// 纳管
    Manage,
    /// 解除
    Release,
}

impl ManageStep {
    /// The code of the table `house_managed` that it leads to.
    fn leads_to(self) -> &'static str {
        match self {
            Self::Claim => "claimed",
            Self::Manage => "managed",
            Self::Release => "released",
        }
    }

    /// Whether it can follow the present state.
    fn follows(self, present: &str) -> bool {
        match self {
            Self::Claim => matches!(present, "none" | "released"),
            Self::Manage => present == "claimed",
            Self::Release => matches!(present, "claimed" | "managed"),
        }
    }
}

/// What to do with a house.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManageHouse {
    /// The step.
    pub step: ManageStep,
    /// On which day; today unless told.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub on: Option<NaiveDate>,
}

pub(super) async fn manage(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: ManageHouse,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<RecordView> {
    let today = state.clock.today();
    let on = input.on.unwrap_or(today);
    let mut problems = Problems::default();
    problems.require(on <= today, "on", "in_future", "日期不能晚于今天");
    problems.finish()?;
    let mut tx = system_tx(&state.pool).await?;
    let open = edit::lock(&mut tx, state, actor, id, Some("house")).await?;
    unchanged(&open.row.sealed.version.to_string())?;
    let present = open.text("managed").unwrap_or("none");
    if open.row.sealed.cancelled || !input.step.follows(present) {
        let message = format!(
            "这套房屋现在是“{}”，不能办理这一步",
            view::label("house_managed", present)
        );
        return Err(ApiError::conflict("wrong_step", message));
    }
    let fields = Fields::from([
        ("managed".to_owned(), input.step.leads_to().into()),
        ("managed_on".to_owned(), on.to_string().into()),
    ]);
    let applied = edit::put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![open.put(fields)],
    )
    .await?;
    edit::finish(
        state,
        actor,
        tx,
        applied,
        id,
        Action::ManageHouse,
        json!({ "step": input.step }),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_one_another_and_lead_to_codes_of_the_table() {
        let table = doorstep_core::codes::table("house_managed");
        for step in [ManageStep::Claim, ManageStep::Manage, ManageStep::Release] {
            assert!(table.is_some_and(|table| table.known(step.leads_to())));
            assert!(!step.follows(step.leads_to()), "not twice");
        }
        assert!(ManageStep::Claim.follows("none") && ManageStep::Manage.follows("claimed"));
        assert!(!ManageStep::Manage.follows("none") && !ManageStep::Release.follows("none"));
    }
}
