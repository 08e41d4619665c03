//! The second factor of a user: enrolled, confirmed by a code, asked for, taken away.

use std::collections::HashSet;

use doorstep_core::crypto::seal::Place;
use doorstep_core::ids::UserId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::actor::Actor;
use super::credentials::{self, Proof};
use super::model::{BeginSecondFactor, Code, RemoveSecondFactor, SecondFactor};
use super::store::{self, CredentialRow};
use super::totp;
use super::turns::Caller;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::error::{ApiError, ApiResult, Kind};
use crate::random;
use crate::state::AppState;

/// Makes a secret for the caller's authenticator app; in force once a code of it was given. Needs the password: whoever
/// finds a console open must not shut its owner out.
pub(super) async fn begin(
    state: &AppState,
    actor: &Actor,
    input: BeginSecondFactor,
) -> ApiResult<SecondFactor> {
    if is_enrolled(state, actor.user).await? {
        return Err(enrolled_already());
    }
    let action = Action::BeginSecondFactor;
    credentials::require_password(state, actor, action, "password", input.password).await?;
    let secret: totp::Secret = random::bytes()?;
    let sealed = state
        .keys
        .provider()
        .wrap(secret_place(&actor.user), &secret)
        .map_err(ApiError::internal)?;
    let mut tx = system_tx(&state.pool).await?;
    let credential = store::lock_credential(&mut tx, actor.user.0).await?;
    if credential.totp_confirmed_at.is_some() {
        return Err(enrolled_already());
    }
    store::set_totp(&mut tx, actor.user.0, Some(&sealed)).await?;
    audit::record(
        &mut tx,
        Entry::by(actor, state.clock.now(), Action::BeginSecondFactor),
    )
    .await?;
    tx.commit().await?;
    Ok(SecondFactor {
        secret: totp::text(&secret),
        uri: totp::uri(&secret, &actor.login),
    })
}

/// Puts the secret in force.
pub(super) async fn confirm(state: &AppState, actor: &Actor, input: Code) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    let credential = store::lock_credential(&mut tx, actor.user.0).await?;
    if credential.totp_confirmed_at.is_some() {
        return Err(ApiError::conflict("already_enrolled", "您已启用动态验证码"));
    }
    let secret = open_secret(state, actor.user, &credential)?
        .ok_or_else(|| ApiError::conflict("not_begun", "请先获取动态验证码密钥"))?;
    let at = state.clock.now();
    let step = totp::step_of(&secret, &input.code, at.timestamp(), 0).ok_or_else(|| {
        ApiError::field("code", "wrong_code", "动态验证码不对，请核对手机时间后重试")
    })?;
    store::confirm_totp(&mut tx, actor.user.0, at, step).await?;
    audit::record(&mut tx, Entry::by(actor, at, Action::ConfirmSecondFactor)).await?;
    Ok(tx.commit().await?)
}

/// Takes the second factor away; needs password and code.
pub(super) async fn remove(
    state: &AppState,
    actor: &Actor,
    input: RemoveSecondFactor,
) -> ApiResult<()> {
    let proof = Proof {
        login: actor.login.clone(),
        password: input.password,
        code: Some(input.code),
    };
    let action = Action::RemoveSecondFactor;
    credentials::verify(state, &actor.trail, action, Caller::Known, proof).await?;
    let mut tx = system_tx(&state.pool).await?;
    store::set_totp(&mut tx, actor.user.0, None).await?;
    audit::record(
        &mut tx,
        Entry::by(actor, state.clock.now(), Action::RemoveSecondFactor),
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Takes the second factor of a user away who can't give a code of it any more; whether there was one in force.
///
/// # Errors
/// When the database fails.
pub async fn clear(tx: &mut PgConnection, user: UserId) -> ApiResult<bool> {
    Ok(store::clear_totp(tx, user.0).await?)
}

/// Which of these users have a second factor in force.
///
/// # Errors
/// When the database fails.
pub async fn enrolled(tx: &mut PgConnection, users: &[Uuid]) -> ApiResult<HashSet<Uuid>> {
    Ok(store::enrolled(tx, users).await?.into_iter().collect())
}

/// Whether the user has a second factor in force.
pub(super) async fn is_enrolled(state: &AppState, user: UserId) -> ApiResult<bool> {
    let mut tx = system_tx(&state.pool).await?;
    let credential = store::credential(&mut tx, user.0).await?;
    Ok(credential.is_some_and(|credential| credential.totp_confirmed_at.is_some()))
}

/// The secret that a code is asked of, if the user has one in force.
pub(super) fn confirmed_secret(
    state: &AppState,
    user: UserId,
    credential: &CredentialRow,
) -> ApiResult<Option<totp::Secret>> {
    if credential.totp_confirmed_at.is_none() {
        return Ok(None);
    }
    open_secret(state, user, credential)
}

fn open_secret(
    state: &AppState,
    user: UserId,
    credential: &CredentialRow,
) -> ApiResult<Option<totp::Secret>> {
    let Some(sealed) = &credential.totp_sealed else {
        return Ok(None);
    };
    state
        .keys
        .provider()
        .unwrap(secret_place(&user), sealed)
        .map(Some)
        .map_err(ApiError::internal)
}

fn secret_place(user: &UserId) -> Place<'_> {
    Place {
        table: "credentials",
        row: user.as_bytes(),
        column: "totp_sealed",
        version: 1,
    }
}

fn enrolled_already() -> ApiError {
    ApiError::conflict("already_enrolled", "您已启用动态验证码；如需更换，请先停用")
}

pub(super) fn wrong_code() -> ApiError {
    ApiError::new(
        Kind::Unauthenticated,
        "wrong_code",
        "动态验证码不对或已用过，请等待下一个验证码",
    )
}
