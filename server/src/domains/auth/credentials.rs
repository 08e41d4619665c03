//! Proving who one is: passwords, checked and changed. Counting of tries: `tries`; codes: `second_factor`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use doorstep_core::crypto::password as stored_form;
use doorstep_core::ids::UserId;
use sqlx::PgConnection;

use super::actor::Actor;
use super::model::ChangePassword;
use super::turns::{Caller, TURNS};
use super::{password, second_factor, sessions, store, totp, tries};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry, Trail};
use crate::domains::users::{self, Account, UserStatus};
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::random;
use crate::state::AppState;

/// A password's stored form.
#[derive(Clone, Debug)]
pub struct Credential(String);

/// What someone offers as proof.
#[derive(Clone)]
pub struct Proof {
    /// The login.
    pub login: String,
    /// The password.
    pub password: String,
    /// Code of the second factor, if enrolled.
    pub code: Option<String>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof")
    }
}

/// Someone who proved who they are.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The account.
    pub account: Account,
    /// The password is temporary or too old.
    pub must_change_password: bool,
}

/// Hashes a password under the present rounds.
///
/// # Errors
/// `busy` when too many wait for that; when the machine fails.
pub async fn hash_password(state: &AppState, password: String) -> ApiResult<Credential> {
    let (salt, rounds) = (random::bytes()?, state.config.sign_in.password_rounds);
    let turn = TURNS.enter(Caller::Known)?;
    turn.work(move || Credential(stored_form::hash(&password, salt, rounds)))
        .await
}

/// A password for a first sign-in, with its stored form.
///
/// # Errors
/// As [`hash_password`].
pub async fn temporary_password(state: &AppState) -> ApiResult<(String, Credential)> {
    // No characters that are mistaken for one another when read out.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes: [u8; 14] = random::bytes()?;
    let body: String = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    let text = format!("D{}-{}7", &body[..7], &body[7..]);
    let credential = hash_password(state, text.clone()).await?;
    Ok((text, credential))
}

/// Writes the first credential of a user; the password must be changed at the first sign-in.
///
/// # Errors
/// When the database fails.
pub async fn store_credential(
    tx: &mut PgConnection,
    user: UserId,
    credential: &Credential,
    at: DateTime<Utc>,
) -> ApiResult<()> {
    Ok(store::create_credential(tx, user.0, &credential.0, at).await?)
}

/// Replaces a forgotten password by a temporary one.
///
/// # Errors
/// When the database fails.
pub async fn replace_credential(
    tx: &mut PgConnection,
    user: UserId,
    credential: &Credential,
    at: DateTime<Utc>,
) -> ApiResult<()> {
    let former = store::lock_credential(tx, user.0).await?;
    Ok(store::set_password(tx, user.0, &former, &credential.0, at, true).await?)
}

/// When the user was last given a password by an administrator: what the user changed it to since counts for nothing.
///
/// # Errors
/// When the database fails.
pub async fn handed_out_at(
    tx: &mut PgConnection,
    user: UserId,
) -> ApiResult<Option<DateTime<Utc>>> {
    Ok(store::handed_out_at(tx, user.0).await?)
}

/// Checks a proof. Failures are counted by login, those of strangers also by address, and written to the audit log; an
/// unknown login answers, and takes as long, as a wrong password.
///
/// # Errors
/// `wrong_credentials`, `second_factor_required`, `account_locked`, `too_many_tries`, `account_closed`; `busy` when too
/// many wait for their password to be checked.
pub async fn verify(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    caller: Caller,
    proof: Proof,
) -> ApiResult<Verified> {
    let login = proof.login.trim().to_lowercase();
    let (place, reserved) = tries::reserve(state, trail, action, caller, &login).await?;
    let mut tx = system_tx(&state.pool).await?;
    let account = users::service::find_account(&mut tx, &login).await?;
    let credential = match &account {
        Some(account) => store::credential(&mut tx, account.id.0).await?,
        None => None,
    };
    drop(tx);
    let known = account.zip(credential);
    let stored = match &known {
        Some((_, credential)) => credential.password.clone(),
        None => nobodys_password(state),
    };
    let checked = place.work(move || stored_form::verify(&proof.password, &stored));
    let matches = match checked.await {
        Ok(matches) => matches,
        Err(error) => {
            return Err(tries::not_made(state, trail, action, &login, reserved, error).await);
        }
    };
    let Some((account, credential)) = known.filter(|_| matches) else {
        return Err(tries::refuse(state, trail, action, &login, None, wrong_credentials()).await);
    };
    if account.status == UserStatus::Closed {
        let closed = account_closed();
        return Err(tries::refuse(state, trail, action, &login, Some(account.id), closed).await);
    }
    let mut tx = system_tx(&state.pool).await?;
    if let Some(secret) = second_factor::confirmed_secret(state, account.id, &credential)? {
        let Some(code) = proof.code.filter(|code| !code.is_empty()) else {
            // The password was right: no failure, but no session either.
            tries::give_back(state, &mut tx, &login, reserved).await?;
            tx.commit().await?;
            return Err(ApiError::new(
                Kind::Unauthenticated,
                "second_factor_required",
                "请输入动态验证码",
            ));
        };
        let step = totp::step_of(
            &secret,
            &code,
            state.clock.now().timestamp(),
            credential.totp_last_step,
        );
        let taken = match step {
            Some(step) => store::take_step(&mut tx, account.id.0, step).await?,
            None => false,
        };
        if !taken {
            drop(tx);
            return Err(tries::refuse(
                state,
                trail,
                action,
                &login,
                Some(account.id),
                second_factor::wrong_code(),
            )
            .await);
        }
    }
    tries::release(state, &mut tx, &login, reserved).await?;
    tx.commit().await?;
    let must_change_password =
        credential.must_change_password || is_expired(state, credential.password_set_at);
    Ok(Verified {
        account,
        must_change_password,
    })
}

/// Changes the caller's own password.
pub(super) async fn change_password(
    state: &AppState,
    actor: &Actor,
    input: ChangePassword,
) -> ApiResult<()> {
    let action = Action::ChangePassword;
    let current = require_password(state, actor, action, "current", input.current).await?;
    // Hashes wait for their turn: nothing of the database is held meanwhile.
    let count = i64::from(state.config.sign_in.password_history);
    let mut tx = system_tx(&state.pool).await?;
    let mut earlier =
        store::former_passwords(&mut tx, actor.user.0, count.saturating_sub(1)).await?;
    drop(tx);
    earlier.push(current.clone());
    let new = input.new.clone();
    let turn = TURNS.enter(Caller::Known)?;
    let reused = turn.work(move || {
        let mut earlier = earlier.iter();
        earlier.any(|stored| stored_form::verify(&new, stored))
    });
    let reused = reused.await?;
    let mut problems = Problems::default();
    for problem in password::problems(&input.new, &actor.login) {
        problems.add("new", problem.code, problem.message);
    }
    problems.require(!reused, "new", "reused", "不能使用最近用过的密码，请换一个");
    problems.finish()?;
    let credential = hash_password(state, input.new).await?;
    let at = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let former = store::lock_credential(&mut tx, actor.user.0).await?;
    // Someone else has changed it since it was checked.
    if former.password != current {
        return Err(wrong_password("current"));
    }
    store::set_password(&mut tx, actor.user.0, &former, &credential.0, at, false).await?;
    sessions::end_of_user(&mut tx, actor.user, at, Some(actor.session)).await?;
    let entry = Entry::by(actor, at, action).subject("user", actor.user);
    audit::record(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// Checks the caller's own password, for what a moment at an open screen must not be enough for; gives its stored form.
///
/// # Errors
/// `wrong_password` at the field; `account_locked`, `busy`.
pub(super) async fn require_password(
    state: &AppState,
    actor: &Actor,
    action: Action,
    field: &str,
    password: String,
) -> ApiResult<String> {
    let (trail, login) = (&actor.trail, &actor.login);
    let (place, reserved) = tries::reserve(state, trail, action, Caller::Known, login).await?;
    let mut tx = system_tx(&state.pool).await?;
    let credential = store::credential(&mut tx, actor.user.0).await?;
    drop(tx);
    let stored = credential.ok_or_else(ApiError::unauthenticated)?.password;
    let held = stored.clone();
    let checked = place.work(move || stored_form::verify(&password, &held));
    let matches = match checked.await {
        Ok(matches) => matches,
        Err(error) => {
            return Err(tries::not_made(state, trail, action, login, reserved, error).await);
        }
    };
    if !matches {
        let wrong = wrong_password(field);
        return Err(tries::refuse(state, trail, action, login, Some(actor.user), wrong).await);
    }
    let mut tx = system_tx(&state.pool).await?;
    tries::give_back(state, &mut tx, login, reserved).await?;
    tx.commit().await?;
    Ok(stored)
}

fn wrong_password(field: &str) -> ApiError {
    ApiError::field(field, "wrong_password", "密码不对，请重新输入")
}

pub(super) fn is_expired(state: &AppState, set_at: DateTime<Utc>) -> bool {
    state.clock.now() - set_at > delta(state.config.sign_in.password_lifetime)
}

pub(super) fn delta(duration: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}

/// A stored form that no password gives, and that takes as long to check as anybody's.
fn nobodys_password(state: &AppState) -> String {
    format!(
        "pbkdf2-sm3${}${}${}",
        state.config.sign_in.password_rounds,
        "00".repeat(16),
        "00".repeat(32)
    )
}

/// Refuses who is no longer to come in.
#[must_use]
pub fn account_closed() -> ApiError {
    ApiError::new(
        Kind::Forbidden,
        "account_closed",
        "这个账号已停用，请联系管理员",
    )
}

fn wrong_credentials() -> ApiError {
    ApiError::new(
        Kind::Unauthenticated,
        "wrong_credentials",
        "登录名或密码不对，请重试",
    )
}
