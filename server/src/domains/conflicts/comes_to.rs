//! What a plan comes to, for the decider's eyes: what it writes on which record, and whom it tells what. Changes nothing.

use std::collections::BTreeMap;

use doorstep_core::ids::UserId;
use doorstep_core::records;
use sqlx::PgConnection;

use super::case::{self, Case};
use super::decisions::{DecidedTell, DecidedWrite};
use super::plan::Plan;
use super::values;
use crate::domains::auth::Actor;
use crate::domains::users;
use crate::error::ApiResult;
use crate::state::AppState;

/// What the plan writes, and whom it tells.
pub(super) async fn of(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    case: &Case,
    plan: &Plan,
) -> ApiResult<(Vec<DecidedWrite>, Vec<DecidedTell>)> {
    let tells = tells(tx, state, &plan.told).await?;
    Ok((writes(actor, case, plan)?, tells))
}

/// What the plan writes, each record once for each put.
pub(super) fn writes(actor: &Actor, case: &Case, plan: &Plan) -> ApiResult<Vec<DecidedWrite>> {
    let here = case::sight_in(actor, &case.row.area());
    // As far as the decider's right goes where each record lies; what is made is made here.
    let sight = |id| match case.records.get(id) {
        Some(record) => case::sight_among(actor, &record.areas),
        None => here,
    };
    let title = |id| {
        let record = case.records.get(id);
        record.map(|record| case.title(record, sight(id)))
    };
    let label = |record_type: &str| {
        records::record_type(record_type)
            .map(|declared| declared.label.clone())
            .unwrap_or_default()
    };
    let puts = plan.puts.iter().map(|put| {
        let named = || {
            records::record_type(&put.record_type)
                .map(|declared| values::title_of(declared, &put.fields, here))
        };
        DecidedWrite {
            record: put.record.0,
            label: label(&put.record_type),
            title: title(&put.record).or_else(named).unwrap_or_default(),
            created: plan.created.contains(&put.record),
            merged_into: None,
            fields: values::puts(&put.record_type, &put.fields, sight(&put.record)),
        }
    });
    let merged = plan.merge.iter().map(|(other, survivor)| DecidedWrite {
        record: other.0,
        label: case
            .records
            .get(other)
            .map(|record| label(&record.record_type))
            .unwrap_or_default(),
        title: title(other).unwrap_or_default(),
        created: false,
        merged_into: Some(survivor.0),
        fields: Vec::new(),
    });
    Ok(puts.chain(merged).collect())
}

/// Who is told what.
pub(super) async fn tells(
    tx: &mut PgConnection,
    state: &AppState,
    told: &BTreeMap<UserId, String>,
) -> ApiResult<Vec<DecidedTell>> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<UserId> = told.keys().copied().collect();
    let names = users::service::names_within(tx, state, &ids).await?;
    Ok(told
        .iter()
        .map(|(user, text)| DecidedTell {
            user: user.0,
            user_name: names.get(user).cloned(),
            text: text.clone(),
        })
        .collect())
}
