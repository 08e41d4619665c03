//! What a device may hold: which logs it follows, where they end, what its user's scope says of rights, and what it
//! must purge. Knows no sign-in.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ScopeId, UserId};
use doorstep_core::protocol::frames::{Cursor, Hello, StateEntry, Welcome};
use doorstep_core::rights::Permission;
use doorstep_core::sync::server::Allowed;

use super::{Session, SignedIn, Start};
use crate::database::{Tx, system_tx};
use crate::domains::{areas, audit, devices, users};
use crate::error::{ApiError, ApiResult};
use crate::register;
use crate::state::AppState;

/// The most areas one device follows: a street has some twenty, the largest some sixty.
const MOST_AREAS: usize = 200;

impl Session {
    /// Works out what the device may hold now. Follows first and reads the logs' ends afterwards, so that nothing
    /// committed in between is missed. Notes whether the device still has to purge something.
    pub(super) async fn welcome(
        &mut self,
        mut tx: Tx,
        hello: Option<&Hello>,
        owes_purge: bool,
    ) -> ApiResult<(Welcome, Vec<Start>)> {
        let Some(who) = &self.who else {
            return Err(ApiError::unauthenticated());
        };
        let (user, device, grants) = (who.actor.user, who.device, who.actor.grants.clone());
        let held: Vec<ScopeId> = match hello {
            Some(hello) => hello.scopes.iter().map(|(scope, _)| *scope).collect(),
            None => self.machine.scopes().collect(),
        };
        let places = who.actor.areas(Permission::Sync);
        let villages = areas::service::villages_within(&mut tx, &places).await?;
        let granted = villages.len();
        let mut scopes = vec![ScopeId::Common, ScopeId::User(user)];
        scopes.extend(followed(villages, &held));
        let dropped = held.into_iter().filter(|held| !scopes.contains(held));
        for scope in dropped {
            self.seat.unfollow(scope);
            self.purging.insert(scope);
        }
        for scope in &scopes {
            self.seat.follow(*scope);
        }
        let rights = rights_state(&grants, granted);
        let whose = (device, user);
        let mut standing = register::standing(&mut tx, whose, &scopes, &rights).await?;
        if !standing.told {
            tx = tell_rights(&self.state, tx, user, &rights).await?;
            standing = register::standing(&mut tx, whose, &scopes, &rights).await?;
        }
        let next_envelope = standing.next_envelope;
        let ends: HashMap<ScopeId, Cursor> = standing.ends.into_iter().collect();
        let mut allowed: Vec<Allowed> = scopes
            .into_iter()
            .map(|scope| Allowed {
                scope,
                end: ends.get(&scope).copied().unwrap_or_default(),
                bundle: None,
            })
            .collect();
        if !self.purging.is_empty() {
            devices::service::note_purge_owed(&mut tx, device, self.state.clock.now()).await?;
        } else if owes_purge {
            devices::service::note_purged(&mut tx, device, self.state.clock.now()).await?;
        }
        tx.commit().await.map_err(ApiError::from)?;
        if hello.is_some()
            && let Some(who) = &self.who
        {
            let entry = signed_in(who, &allowed, self.state.clock.now());
            self.sync.contacts.log(entry);
        }
        for state in &mut allowed {
            let at = hello
                .and_then(|hello| hello.scopes.iter().find(|(scope, _)| *scope == state.scope));
            let behind = state.end.seq.saturating_sub(at.map_or(0, |(_, at)| at.seq));
            let new = hello.is_some() && at.is_none_or(|(_, at)| at.seq == 0);
            if new || behind > doorstep_core::sync::server::BUNDLE_BEHIND {
                state.bundle = self
                    .sync
                    .bundles
                    .offer(&self.state, state.scope, state.end)
                    .await?;
            }
        }
        let now = self.state.clock.timestamp();
        let (welcome, from) = match hello {
            Some(hello) => self.machine.welcome(hello, &allowed, next_envelope, now),
            None => self.machine.change(&allowed, next_envelope, now),
        };
        let starts = from.into_iter().map(|(scope, from)| Start {
            scope,
            from,
            end: ends.get(&scope).copied().unwrap_or_default(),
        });
        Ok((welcome, starts.collect()))
    }
}

/// What the log says of a device that comes: it may have from now on what these areas hold.
fn signed_in(who: &SignedIn, allowed: &[Allowed], now: DateTime<Utc>) -> audit::Entry {
    let areas: Vec<AreaCode> = allowed
        .iter()
        .filter_map(|state| match state.scope {
            ScopeId::Area(area) => Some(area),
            _ => None,
        })
        .collect();
    audit::Entry::by(&who.actor, now, audit::Action::OpenSync)
        .detail(serde_json::json!({ "areas": areas }))
}

/// The logs of villages that a device follows: all, or as many as it may, first those that it holds already.
fn followed(villages: Vec<AreaCode>, held: &[ScopeId]) -> Vec<ScopeId> {
    let scopes = villages.into_iter().map(ScopeId::Area);
    if scopes.len() <= MOST_AREAS {
        return scopes.collect();
    }
    let (mut held, others): (Vec<_>, Vec<_>) = scopes.partition(|scope| held.contains(scope));
    held.extend(others);
    held.truncate(MOST_AREAS);
    held
}

/// What a user's scope says of the rights that hold now, and whether they reach further than a device does.
fn rights_state(grants: &[users::Grant], granted: usize) -> StateEntry {
    let list: Vec<serde_json::Value> = grants
        .iter()
        .map(|grant| {
            serde_json::json!({
                "role": grant.role, "label": grant.role.label(), "area": grant.area, "ends_on": grant.ends_on,
            })
        })
        .collect();
    let mut json = serde_json::json!({ "grants": list });
    if granted > MOST_AREAS {
        json["areas"] = serde_json::json!({ "followed": MOST_AREAS, "granted": granted });
    }
    StateEntry {
        key: "rights".to_owned(),
        json: json.to_string(),
    }
}

/// Puts the rights that hold now into the user's scope. Commits, and gives a new transaction.
async fn tell_rights(
    state: &AppState,
    mut tx: Tx,
    user: UserId,
    rights: &StateEntry,
) -> ApiResult<Tx> {
    let entry = (ScopeId::User(user), rights.clone());
    let told = register::append_states(&mut tx, vec![entry], state.clock.now()).await?;
    tx.commit().await?;
    told.to(&state.hub);
    Ok(system_tx(&state.pool).await?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_holds_stays_when_there_is_more_than_it_follows() {
        let village = |number: usize| format!("310115{number:06}").parse::<AreaCode>().unwrap();
        let all: Vec<AreaCode> = (1001..1001 + MOST_AREAS + 50).map(village).collect();
        let first = followed(all.clone(), &[]);
        assert_eq!(first.len(), MOST_AREAS);
        let mut more = vec![village(1)];
        more.extend(all.iter().copied());
        let mut then = followed(more, &first);
        then.sort();
        assert_eq!(then, first, "a village with a lower code pushes none out");
        let few = followed(all[..3].to_vec(), &[ScopeId::Area(all[2])]);
        assert_eq!(few.len(), 3);
    }
}
