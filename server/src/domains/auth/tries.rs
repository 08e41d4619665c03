//! Tries to sign in, counted before they are made: by login, whether it exists or not, and those of strangers by address.
//! Knows no passwords.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use doorstep_core::ids::UserId;
use serde_json::json;
use sqlx::PgConnection;

use super::credentials::delta;
use super::store;
use super::turns::{Caller, Place, TURNS};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry, Outcome, Trail};
use crate::domains::users;
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// A network of IPv6 sites may fail so many times as often as one of them.
const SITES: u32 = 4;
/// A source with more failures than that waits apart from others.
const UNDOUBTED: u32 = 3;

/// Lifts the lock of a login.
///
/// # Errors
/// When the database fails.
pub async fn forget_failures(
    state: &AppState,
    tx: &mut PgConnection,
    login: &str,
) -> ApiResult<()> {
    Ok(store::forget_tries(tx, login_token(state, login)).await?)
}

/// Until when these logins are locked out, those that are.
///
/// # Errors
/// When the database fails.
pub async fn locked_out(
    state: &AppState,
    tx: &mut PgConnection,
    logins: &[&str],
) -> ApiResult<HashMap<String, DateTime<Utc>>> {
    let tokens: Vec<i64> = logins
        .iter()
        .map(|login| login_token(state, login))
        .collect();
    let locks: HashMap<i64, DateTime<Utc>> = store::locks(tx, &tokens, state.clock.now())
        .await?
        .into_iter()
        .collect();
    let until = |(login, token): (&&str, i64)| Some(((*login).to_owned(), *locks.get(&token)?));
    Ok(logins.iter().zip(tokens).filter_map(until).collect())
}

/// A try that was counted before it is made.
#[derive(Debug)]
pub(super) struct Reserved {
    address_rows: Vec<i64>,
}

/// Counts a try by login, and a stranger's by address, and refuses it when either has had too many. Gives where it may
/// wait for its turn.
pub(super) async fn reserve(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    caller: Caller,
    login: &str,
) -> ApiResult<(Place, Reserved)> {
    let place = match TURNS.enter(caller) {
        Ok(place) => place,
        Err(error) => return Err(shut_out(state, trail, action, error).await),
    };
    let rules = &state.config.sign_in;
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let mut reserved = Reserved {
        address_rows: Vec::new(),
    };
    let mut doubted = false;
    let counted = trail.address.filter(|_| caller == Caller::Stranger);
    for (source, times) in counted.map(sources).into_iter().flatten() {
        let since = now - delta(rules.lockout);
        let (id, tries) = store::note_address(&mut tx, &source, now, since).await?;
        if tries > i64::from(rules.failures_per_address) * i64::from(times) {
            // Not counted: the address gets free again even while it keeps trying.
            drop(tx);
            let seconds = rules.lockout.as_secs();
            let error = ApiError::too_many(
                "too_many_tries",
                seconds,
                "这个网络地址登录失败次数过多，请 15 分钟后再试",
            );
            return Err(shut_out(state, trail, action, error).await);
        }
        doubted |= tries > i64::from(UNDOUBTED * times);
        reserved.address_rows.push(id);
    }
    let allowed = allowed(state);
    let until = now + delta(rules.lockout);
    let (failures, locked_until) =
        store::reserve_try(&mut tx, login_token(state, login), now, until, allowed).await?;
    tx.commit().await?;
    if failures > allowed {
        let seconds = locked_until
            .map_or(1, |until| (until - now).num_seconds().max(1))
            .unsigned_abs();
        let message = format!(
            "失败次数过多，账号已锁定，请约 {} 分钟后再试",
            seconds.div_ceil(60)
        );
        let error = ApiError::too_many("account_locked", seconds, message);
        return Err(shut_out(state, trail, action, error).await);
    }
    if !doubted {
        return Ok((place, reserved));
    }
    match place.apart() {
        Ok(place) => Ok((place, reserved)),
        Err(error) => Err(not_made(state, trail, action, login, reserved, error).await),
    }
}

/// What a try is counted under, each with how many times as much is allowed to it: its network, and the one of many that
/// a customer is given, or a hoster's machine.
fn sources(address: IpAddr) -> Vec<(String, u32)> {
    let mut sources = vec![(audit::network(address).to_string(), 1)];
    if let IpAddr::V6(six) = address {
        let bits = u128::from(six) & (u128::MAX << 80);
        sources.push((format!("{}/48", Ipv6Addr::from(bits)), SITES));
    }
    sources
}

/// Takes back a try that found no turn; gives the error to answer with.
pub(super) async fn not_made(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    login: &str,
    reserved: Reserved,
    error: ApiError,
) -> ApiError {
    let taken_back = async {
        let mut tx = system_tx(&state.pool).await?;
        give_back(state, &mut tx, login, reserved).await?;
        Ok(tx.commit().await?)
    };
    match taken_back.await {
        Ok(()) => shut_out(state, trail, action, error).await,
        Err(failed) => failed,
    }
}

/// The try proved everything: the failures before it are forgotten too.
pub(super) async fn release(
    state: &AppState,
    tx: &mut PgConnection,
    login: &str,
    reserved: Reserved,
) -> ApiResult<()> {
    store::forget_tries(tx, login_token(state, login)).await?;
    forgive_addresses(tx, reserved).await
}

/// The try was no failure, but proved the password alone: the failures before it, which may be guesses at the code, stay
/// counted.
pub(super) async fn give_back(
    state: &AppState,
    tx: &mut PgConnection,
    login: &str,
    reserved: Reserved,
) -> ApiResult<()> {
    let allowed = allowed(state);
    store::return_try(tx, login_token(state, login), allowed).await?;
    forgive_addresses(tx, reserved).await
}

async fn forgive_addresses(tx: &mut PgConnection, reserved: Reserved) -> ApiResult<()> {
    if !reserved.address_rows.is_empty() {
        store::forgive_addresses(tx, &reserved.address_rows).await?;
    }
    Ok(())
}

/// Counts a try that was not even made: whoever is shut out may go on trying, and must not fill the log.
async fn shut_out(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    error: ApiError,
) -> ApiError {
    metrics::counter!("sign_ins_refused_total", "reason" => error.code).increment(1);
    match audit::refused(state, trail, action, error.code).await {
        Ok(()) => {
            trail.keep();
            error
        }
        Err(failed) => failed,
    }
}

/// Writes a refused try to the audit log, and gives the error to answer with.
pub(super) async fn refuse(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    login: &str,
    user: Option<UserId>,
    error: ApiError,
) -> ApiError {
    metrics::counter!("sign_ins_refused_total", "reason" => error.code).increment(1);
    let written = async {
        let mut tx = system_tx(&state.pool).await?;
        let account = users::service::find_account(&mut tx, login).await?;
        let mut entry = Entry::on_trail(trail, state.clock.now(), action)
            .outcome(Outcome::Refused)
            .detail(json!({ "reason": error.code }));
        if let Some(id) = user.or(account.as_ref().map(|account| account.id)) {
            entry = entry.user(id);
        }
        if let Some(account) = &account {
            entry = entry.area(account.area);
        }
        audit::record(&mut tx, entry).await?;
        tx.commit().await?;
        trail.keep();
        Ok::<(), ApiError>(())
    };
    match written.await {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

/// So many failures lock a login.
fn allowed(state: &AppState) -> i32 {
    i32::try_from(state.config.sign_in.failures_allowed).unwrap_or(i32::MAX)
}

/// A login as a number: the guard's table must not hold what someone mistyped, which may be a password.
fn login_token(state: &AppState, login: &str) -> i64 {
    state.keys.blind(&format!("login:{login}"))
}
