//! Nonces that a device signs. Each is answered once, within two minutes.

use doorstep_core::crypto::sm2::PublicKey;
use sqlx::PgConnection;

use super::credentials::delta;
use super::model::Challenge;
use super::store;
use crate::error::{ApiError, ApiResult, Kind};
use crate::random;
use crate::state::AppState;

/// Gives out a nonce.
pub(super) async fn issue(state: &AppState) -> ApiResult<Challenge> {
    let nonce: [u8; 32] = random::bytes()?;
    let expires_at = state.clock.now() + delta(state.config.sign_in.challenge_lifetime);
    let mut connection = state.pool.acquire().await?;
    store::issue_challenge(&mut connection, &nonce, expires_at).await?;
    Ok(Challenge {
        nonce: hex::encode(nonce),
        expires_at,
    })
}

/// Takes an answered nonce away and checks its answer: SM2 over `label ‖ nonce ‖ subject`.
/// Commit the transaction even if a later check fails, or the nonce could be used again.
///
/// # Errors
/// `challenge_void` when the nonce was answered before, is too old, or was never given out; `wrong_signature`.
pub async fn answer(
    state: &AppState,
    tx: &mut PgConnection,
    key: &PublicKey,
    label: &[u8],
    nonce: &[u8],
    subject: &[u8],
    signature: &[u8],
) -> ApiResult<()> {
    let expires_at = store::take_challenge(tx, nonce).await?;
    if expires_at.is_none_or(|at| at <= state.clock.now()) {
        return Err(ApiError::new(
            Kind::Unauthenticated,
            "challenge_void",
            "验证已过期或已用过，请重试",
        ));
    }
    key.verify(&[label, nonce, subject].concat(), signature)
        .map_err(|_| {
            ApiError::new(
                Kind::Unauthenticated,
                "wrong_signature",
                "设备签名验证失败，请重新登记设备",
            )
        })
}
