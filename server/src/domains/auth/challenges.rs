//! Nonces that a device signs. Each is answered once, within two minutes. Nothing is kept of those that are given out, for
//! anybody may ask for as many as they like: a nonce says itself until when it is good, and that this server gave it.
//! Kept are those that were answered, and only by someone who proved more than a key of their own making.

use chrono::{DateTime, SubsecRound, Utc};
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::crypto::sm3;
use sqlx::PgConnection;
use subtle::ConstantTimeEq;

use super::credentials::delta;
use super::model::Challenge;
use super::store;
use crate::error::{ApiError, ApiResult, Kind};
use crate::keys::MacPurpose;
use crate::random;
use crate::state::AppState;

/// The end of its time (Unix seconds, big endian) and chance, before the first half of their HMAC.
const SAID: usize = 16;
const NONCE: usize = 32;

/// A nonce whose answer was right. It is good until it is taken.
#[derive(Debug)]
pub struct Answered {
    nonce: [u8; NONCE],
    expires_at: DateTime<Utc>,
}

/// Gives out a nonce.
pub(super) fn issue(state: &AppState) -> ApiResult<Challenge> {
    let lifetime = delta(state.config.sign_in.challenge_lifetime);
    let expires_at = (state.clock.now() + lifetime).trunc_subsecs(0);
    let mut said = [0; SAID];
    said[..8].copy_from_slice(&expires_at.timestamp().to_be_bytes());
    said[8..].copy_from_slice(&random::bytes::<8>()?);
    Ok(Challenge {
        nonce: hex::encode(nonce(state, said)),
        expires_at,
    })
}

/// What is said, with the server's mark.
fn nonce(state: &AppState, said: [u8; SAID]) -> [u8; NONCE] {
    let key = state.keys.provider().mac_key(MacPurpose::Nonces);
    let mac = sm3::hmac(key, &[&said]);
    let mut nonce = [0; NONCE];
    nonce[..SAID].copy_from_slice(&said);
    nonce[SAID..].copy_from_slice(&mac[..NONCE - SAID]);
    nonce
}

/// Until when a nonce is good; nothing when this server never gave it out.
fn end_of(state: &AppState, given: &[u8; NONCE]) -> Option<DateTime<Utc>> {
    let (said, _) = given.split_first_chunk::<SAID>()?;
    let is_ours: bool = nonce(state, *said).ct_eq(given).into();
    let (end, _) = said.split_first_chunk::<8>().filter(|_| is_ours)?;
    DateTime::from_timestamp(i64::from_be_bytes(*end), 0)
}

/// Checks the answer to a nonce: SM2 over `label ‖ nonce ‖ subject`. It is no good before it is taken.
///
/// # Errors
/// `challenge_void` when the nonce is too old, or was never given out; `wrong_signature`.
pub fn check(
    state: &AppState,
    key: &PublicKey,
    label: &[u8],
    nonce: &[u8],
    subject: &[u8],
    signature: &[u8],
) -> ApiResult<Answered> {
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| void())?;
    let end = end_of(state, &nonce);
    let expires_at = end
        .filter(|end| *end > state.clock.now())
        .ok_or_else(void)?;
    key.verify(&[label, &nonce, subject].concat(), signature)
        .map_err(|_| {
            ApiError::new(
                Kind::Unauthenticated,
                "wrong_signature",
                "设备签名验证失败，请重新登记设备",
            )
        })?;
    Ok(Answered { nonce, expires_at })
}

/// Takes an answered nonce: it is good no more once the transaction is committed.
///
/// # Errors
/// `challenge_void` when it was taken before.
pub async fn take(tx: &mut PgConnection, answered: &Answered) -> ApiResult<()> {
    let Answered { nonce, expires_at } = answered;
    match store::take_challenge(tx, nonce, *expires_at).await? {
        true => Ok(()),
        false => Err(void()),
    }
}

/// Checks the answer of a device whose key is known, and takes the nonce.
/// Commit the transaction even if a later check fails, or the nonce could be used again.
///
/// # Errors
/// As [`check`] and [`take`].
pub async fn answer(
    state: &AppState,
    tx: &mut PgConnection,
    key: &PublicKey,
    label: &[u8],
    nonce: &[u8],
    subject: &[u8],
    signature: &[u8],
) -> ApiResult<()> {
    let answered = check(state, key, label, nonce, subject, signature)?;
    take(tx, &answered).await
}

fn void() -> ApiError {
    ApiError::new(
        Kind::Unauthenticated,
        "challenge_void",
        "验证已过期或已用过，请重试",
    )
}
