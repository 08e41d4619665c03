//! What other domains, the guard and websockets may ask of sign-in; and signing in at the console.

use std::sync::Arc;

use serde_json::json;

pub use super::challenges::{
    answer as answer_challenge, check as check_answer, take as take_answered,
};
pub use super::credentials::{
    account_closed, handed_out_at, hash_password, replace_credential, store_credential,
    temporary_password, verify,
};
pub use super::second_factor::{clear as clear_second_factor, enrolled as with_second_factor};
pub use super::sessions::{
    NewToken, actor_of_token, actor_within, end_sessions_of_device, end_sessions_of_user, look,
    note_used, open as open_session, password_of_former, prune, refresh,
};
pub use super::tries::{forget_failures, locked_out};
#[cfg(feature = "testing")]
pub use super::turns::{occupy_turns, waiting_for_turns};

use super::credentials::Proof;
use super::model::{SessionOpened, SignIn};
use super::turns::Caller;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry, Trail};
use crate::error::ApiResult;
use crate::state::AppState;

/// Opens a console session.
pub(super) async fn sign_in(
    state: &AppState,
    trail: &Arc<Trail>,
    input: SignIn,
) -> ApiResult<SessionOpened> {
    let SignIn {
        login,
        password,
        code,
    } = input;
    let verified = verify(
        state,
        trail,
        Action::SignIn,
        Caller::Stranger,
        Proof {
            login,
            password,
            code,
        },
    )
    .await?;
    let at = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let new = NewToken {
        user: verified.account.id,
        device: None,
        password_at: at,
        must_change_password: verified.must_change_password,
    };
    let opened = open_session(state, &mut tx, trail, new).await?;
    let entry = Entry::on_trail(trail, at, Action::SignIn)
        .user(verified.account.id)
        .area(verified.account.area);
    audit::record(&mut tx, entry.detail(json!({ "kind": "console" }))).await?;
    tx.commit().await?;
    Ok(opened)
}

/// The code that an authenticator app would show, for tests.
#[cfg(feature = "testing")]
#[must_use]
pub fn code_of_secret(secret: &str, unix_seconds: i64) -> Option<String> {
    let bytes = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).ok()?;
    Some(super::totp::code_at(&bytes, unix_seconds))
}
