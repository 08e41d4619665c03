//! Opens the checks of new claims: one for each address that says to be the main one. The claim itself is the word of
//! those who go to the doors there, so its own address is asked only where someone else made it.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, EventId, RecordId, UserId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{CheckRow, Kind};
use super::store::{self, NewCheck};
use super::tell;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::conflicts::service::Claim;
use crate::domains::registry;
use crate::error::ApiResult;
use crate::random;
use crate::register;
use crate::state::AppState;

/// How long those who are asked have.
const DUE: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// What is to be asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) area: AreaCode,
    pub(super) resident: RecordId,
    pub(super) residence: Option<RecordId>,
    pub(super) conflict: Option<Uuid>,
    pub(super) other: Option<RecordId>,
    pub(super) household: Option<i64>,
}

/// Writes a check; none where the same is open already.
pub(super) async fn ask(
    tx: &mut PgConnection,
    state: &AppState,
    ask: &Ask,
) -> ApiResult<Option<CheckRow>> {
    let opened_at = state.clock.now();
    let new = NewCheck {
        id: random::id(state.clock.timestamp(), EventId::new)?.0,
        kind: ask.kind.code(),
        area: ask.area.to_string(),
        resident: ask.resident.0,
        residence: ask.residence.map(|id| id.0),
        conflict: ask.conflict,
        other: ask.other.map(|id| id.0),
        household: ask.household,
        opened_at,
        due_at: opened_at + DUE,
    };
    Ok(store::insert(tx, &new).await?)
}

/// Opens the checks of every claim that has none yet, each claim's in a transaction of its own.
pub(super) async fn open_for_claims(state: &AppState) -> ApiResult<()> {
    while open_next(state).await? {}
    Ok(())
}

async fn open_next(state: &AppState) -> ApiResult<bool> {
    let mut tx = system_tx(&state.pool).await?;
    let Some(claim) = Claim::next_unchecked(&mut tx, state).await? else {
        return Ok(false);
    };
    let now = state.clock.now();
    let (mut told, mut asked) = (Vec::new(), BTreeSet::new());
    let mut others = BTreeSet::new();
    let mut opened = Vec::new();
    for (residence, area) in
        registry::service::main_residences(&mut tx, state, claim.resident()).await?
    {
        let concerned = registry::service::concerned(&mut tx, state, &area).await?;
        others.extend(concerned.supervisors);
        others.extend(concerned.liaisons);
        let own_word = residence == claim.residence()
            && claim
                .makers()
                .iter()
                .any(|maker| concerned.collectors.contains(maker));
        if own_word {
            continue;
        }
        let ask_here = Ask {
            kind: Kind::MainResidence,
            area,
            resident: claim.resident(),
            residence: Some(residence),
            conflict: Some(claim.item().0),
            other: None,
            household: None,
        };
        let Some(check) = ask(&mut tx, state, &ask_here).await? else {
            continue;
        };
        let (to, messages) = tell::remind(&mut tx, state, &check, &claim.makers()).await?;
        told.push(tell::asked(&check)?);
        told.extend(messages);
        asked.extend(to);
        opened.push(check.id);
    }
    let to: BTreeSet<UserId> = others
        .into_iter()
        .filter(|user| !asked.contains(user) && !claim.makers().contains(user))
        .collect();
    told.extend(claim.tell_concerned(state, to));
    claim.note_checked(&mut tx, now).await?;
    let told = register::append_states(&mut tx, told, now).await?;
    let entry = Entry::by_server(now, Action::OpenChecks)
        .subject("conflict", claim.item())
        .area(claim.area())
        .detail(json!({ "checks": opened, "asked": asked.len() }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    told.to(&state.hub);
    Ok(true)
}
