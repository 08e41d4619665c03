//! What nobody answered in time goes to the supervisors, once; those who were asked can still answer.

use std::collections::BTreeSet;

use doorstep_core::ids::UserId;
use serde_json::json;

use super::model::CheckRow;
use super::{store, tell};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::registry;
use crate::error::ApiResult;
use crate::register;
use crate::state::AppState;

const TEXT: &str = "一项核查已过期限仍无人反馈，请督促采集员，或自己核查后确认、否认或退回。";

/// Tells supervisors of every check that is overdue, each in a transaction of its own.
pub(super) async fn escalate(state: &AppState) -> ApiResult<()> {
    while escalate_next(state).await? {}
    Ok(())
}

async fn escalate_next(state: &AppState) -> ApiResult<bool> {
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let Some(check) = store::overdue(&mut tx, now).await? else {
        return Ok(false);
    };
    let area = check.area()?;
    let supervisors: BTreeSet<UserId> = registry::service::concerned(&mut tx, state, &area)
        .await?
        .supervisors;
    let count = supervisors.len();
    let check = CheckRow {
        escalated_at: Some(now),
        ..check
    };
    store::escalate(&mut tx, check.id, now).await?;
    let mut told = tell::message(state, supervisors, &check, "check_overdue", TEXT);
    told.push(tell::asked(&check)?);
    let told = register::append_states(&mut tx, told, now).await?;
    let entry = Entry::by_server(now, Action::EscalateCheck)
        .subject("check", check.id)
        .area(area)
        .detail(json!({ "told": count }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    told.to(&state.hub);
    Ok(true)
}
