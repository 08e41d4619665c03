//! The reminders of expected returns, on the phones of those who were told: one for each resident, withdrawn as soon as
//! there is nothing to ask about. Knows no list of who is away and no file's change.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use doorstep_core::ids::{RecordId, ScopeId};
use doorstep_core::protocol::frames::StateEntry;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::view::Open;
use super::{away, store};
use crate::database::system_tx;
use crate::error::{ApiError, ApiResult};
use crate::register::{self, Told};
use crate::state::AppState;

const RETURN: &str = "reminder/return/";

/// Reminders looked at in one transaction.
const STEP: i64 = 200;

/// The key of the reminder of a resident's return.
pub(super) fn key(resident: RecordId) -> String {
    format!("{RETURN}{resident}")
}

/// Takes the reminders of these residents' returns off all phones that have them.
pub(super) async fn withdraw(
    tx: &mut PgConnection,
    state: &AppState,
    residents: &[RecordId],
) -> ApiResult<Told> {
    let keys: Vec<String> = residents.iter().map(|id| key(*id)).collect();
    let mut states: Vec<(ScopeId, StateEntry)> = Vec::new();
    for (scope, key) in store::reminded(tx, &keys).await? {
        let json = String::new();
        let scope = scope.parse().map_err(ApiError::internal)?;
        states.push((scope, StateEntry { key, json }));
    }
    if states.is_empty() {
        return Ok(Told::default());
    }
    register::append_states(tx, states, state.clock.now()).await
}

/// Withdraws what is over without anyone having said so here: a phone wrote that the person is back, or until when it
/// is now; files were merged.
pub(super) async fn withdraw_over(state: &AppState, today: NaiveDate) -> ApiResult<()> {
    let mut after = (String::new(), String::new());
    loop {
        let mut tx = system_tx(&state.pool).await?;
        let some = store::reminders(&mut tx, RETURN, &after, STEP).await?;
        let Some(last) = some.last() else {
            return Ok(());
        };
        after = last.clone();
        let over = over_of(&mut tx, state, some, today).await?;
        let withdrawn = withdraw(&mut tx, state, &over).await?;
        tx.commit().await?;
        withdrawn.to(&state.hub);
    }
}

/// Whose reminders, of these, ask about nothing any more.
async fn over_of(
    tx: &mut PgConnection,
    state: &AppState,
    reminders: Vec<(String, String)>,
    today: NaiveDate,
) -> ApiResult<Vec<RecordId>> {
    let mut told: Vec<(RecordId, Option<NaiveDate>)> = Vec::new();
    for (key, json) in reminders {
        let said: Value = serde_json::from_str(&json).unwrap_or_default();
        let due = said["due"].as_str().and_then(|day| day.parse().ok());
        if let Some(id) = key.strip_prefix(RETURN).and_then(|id| id.parse().ok()) {
            told.push((id, due));
        }
    }
    let ids: Vec<Uuid> = told.iter().map(|(id, _)| id.0).collect();
    let rows = store::records(tx, &ids).await?;
    let mut stands = BTreeSet::new();
    for open in Open::all(state, rows).await? {
        let due = away::due(&open).filter(|day| *day <= today);
        if let Some(due) = due {
            stands.insert((RecordId(open.row.sealed.id), Some(due)));
        }
    }
    told.retain(|reminder| !stands.contains(reminder));
    Ok(told.into_iter().map(|(id, _)| id).collect())
}
