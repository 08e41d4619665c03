//! What phones and people are told of a check. Texts name no person: the file shows what the reader's right goes to.

use std::collections::BTreeSet;

use doorstep_core::ids::{RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::StateEntry;
use serde_json::json;
use sqlx::PgConnection;

use super::model::CheckRow;
use crate::domains::registry;
use crate::error::ApiResult;
use crate::register;
use crate::state::AppState;

type NewState = (ScopeId, StateEntry);

/// The check as every phone of its area holds it.
pub(super) fn asked(check: &CheckRow) -> ApiResult<NewState> {
    let kind = check.kind()?;
    let json = json!({
        "kind": kind.code(), "label": kind.label(), "question": kind.question(), "resident": check.resident,
        "residence": check.residence, "other": check.other, "area": check.area_code, "opened_at": check.opened_at,
        "due_at": check.due_at, "overdue": check.escalated_at.is_some(),
    });
    state_of(check, json.to_string())
}

/// It is asked no longer.
pub(super) fn withdrawn(check: &CheckRow) -> ApiResult<NewState> {
    state_of(check, String::new())
}

fn state_of(check: &CheckRow, json: String) -> ApiResult<NewState> {
    let key = format!("check/{}", check.id);
    Ok((ScopeId::Area(check.area()?), StateEntry { key, json }))
}

/// A message about a check; a later one takes the place of the one before.
pub(super) fn message(
    state: &AppState,
    to: impl IntoIterator<Item = UserId>,
    check: &CheckRow,
    code: &str,
    text: &str,
) -> Vec<NewState> {
    let about = register::About::Check(RecordId(check.resident));
    let at = state.clock.timestamp();
    to.into_iter()
        .map(|user| register::message(user, check.id, code, text, about, at))
        .collect()
}

/// Reminds those who are asked; gives whom. Where nobody else goes to the doors there, the supervisors are asked.
pub(super) async fn remind(
    tx: &mut PgConnection,
    state: &AppState,
    check: &CheckRow,
    but: &BTreeSet<UserId>,
) -> ApiResult<(BTreeSet<UserId>, Vec<NewState>)> {
    let concerned = registry::service::concerned(tx, state, &check.area()?).await?;
    let mut to: BTreeSet<UserId> = concerned.collectors.difference(but).copied().collect();
    if to.is_empty() {
        to = concerned.supervisors.difference(but).copied().collect();
    }
    let kind = check.kind()?;
    let code = format!("{}_check", kind.code());
    let told = message(state, to.iter().copied(), check, &code, kind.question());
    Ok((to, told))
}
