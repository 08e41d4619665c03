//! Sessions: opaque tokens, kept hashed, ended by idleness, age, sign-out, or from above.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use doorstep_core::crypto::sm3;
use doorstep_core::ids::{DeviceId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::actor::Actor;
use super::credentials::{delta, is_expired};
use super::model::{SessionOpened, SessionView};
use super::store::{self, NewSession, SessionRow};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry, Trail};
use crate::domains::users::{self, UserStatus};
use crate::error::{ApiError, ApiResult, Kind};
use crate::random;
use crate::state::AppState;

/// How exactly it is kept when a session was last used; finer would write on every request.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

/// A session to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewToken {
    /// Whose.
    pub user: UserId,
    /// Bound to this device; none for the console.
    pub device: Option<DeviceId>,
    /// When the password was given.
    pub password_at: DateTime<Utc>,
    /// The password must be changed first.
    pub must_change_password: bool,
}

/// Opens a session in the transaction of the sign-in.
///
/// # Errors
/// When the database fails.
pub async fn open(
    state: &AppState,
    tx: &mut PgConnection,
    trail: &Trail,
    new: NewToken,
) -> ApiResult<SessionOpened> {
    let token = URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
    let at = state.clock.now();
    let expires_at = at + delta(state.config.sign_in.session_lifetime);
    let address = trail.address.map(|address| address.to_string());
    let session = NewSession {
        id: random::id(state.clock.timestamp(), UserId::new)?.0,
        token_hash: hash(&token),
        user: new.user.0,
        device: new.device.map(|id| id.0),
        at,
        expires_at,
        password_at: new.password_at,
        address: address.as_deref(),
    };
    store::open_session(tx, &session).await?;
    Ok(SessionOpened {
        token,
        user: new.user.0,
        expires_at,
        must_change_password: new.must_change_password,
    })
}

/// The caller that a token belongs to, with the grants that hold now. Also for websockets, which bring the token in
/// their first frame.
///
/// # Errors
/// `unauthenticated`, `session_ended` or `session_idle` when the token opens nothing any more.
pub async fn actor_of_token(state: &AppState, trail: &Arc<Trail>, token: &str) -> ApiResult<Actor> {
    let mut tx = system_tx(&state.pool).await?;
    let row = session_of(&mut tx, token).await?;
    let actor = actor_of_session(state, &mut tx, trail, row, Use::Counts).await?;
    tx.commit().await?;
    Ok(actor)
}

/// As [`actor_of_token`], in a transaction that asks for more and need write nothing: whoever lets a device in notes
/// that its session was used (`note_used`), with those of others.
///
/// # Errors
/// As [`actor_of_token`].
pub async fn actor_within(
    state: &AppState,
    tx: &mut PgConnection,
    trail: &Arc<Trail>,
    token: &str,
) -> ApiResult<Actor> {
    let row = session_of(tx, token).await?;
    actor_of_session(state, tx, trail, row, Use::None).await
}

async fn session_of(tx: &mut PgConnection, token: &str) -> ApiResult<SessionRow> {
    store::session(tx, &hash(token))
        .await?
        .ok_or_else(ApiError::unauthenticated)
}

/// Notes when sessions were used, of many devices at once. One that somebody is writing to meanwhile is passed over: it
/// ends, or was used.
///
/// # Errors
/// When the database fails.
pub async fn note_used(tx: &mut PgConnection, used: &[(Uuid, DateTime<Utc>)]) -> ApiResult<()> {
    Ok(store::note_used(tx, used, TOUCH_EVERY).await?)
}

/// The caller of an open connection as of now: rights may have changed or ended by their date, the session may have
/// been ended from above. Counts as use of the session. For websockets: on `Notice::RightsChanged`, and every few
/// minutes.
///
/// # Errors
/// As [`actor_of_token`].
pub async fn refresh(state: &AppState, actor: &Actor) -> ApiResult<Actor> {
    let mut tx = system_tx(&state.pool).await?;
    let row = store::session_by_id(&mut tx, actor.session)
        .await?
        .ok_or_else(ApiError::unauthenticated)?;
    let actor = actor_of_session(state, &mut tx, &actor.trail, row, Use::Counts).await?;
    tx.commit().await?;
    Ok(actor)
}

/// As [`refresh`], but no use of the session: for a console's stream, which stays open while nobody is there.
///
/// # Errors
/// As [`actor_of_token`].
pub async fn look(state: &AppState, actor: &Actor) -> ApiResult<Actor> {
    let mut tx = system_tx(&state.pool).await?;
    let row = store::session_by_id(&mut tx, actor.session)
        .await?
        .ok_or_else(ApiError::unauthenticated)?;
    actor_of_session(state, &mut tx, &actor.trail, row, Use::None).await
}

/// Whether asking keeps a session from growing idle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Counts,
    None,
}

async fn actor_of_session(
    state: &AppState,
    tx: &mut PgConnection,
    trail: &Arc<Trail>,
    row: SessionRow,
    usage: Use,
) -> ApiResult<Actor> {
    let now = state.clock.now();
    require_open(state, &row, now)?;
    let user = UserId(row.user_id);
    let (account, grants) = users::service::account_with_grants(state, tx, user)
        .await?
        .ok_or_else(ApiError::unauthenticated)?;
    if account.status == UserStatus::Closed {
        return Err(ended());
    }
    let must_change_password = row.must_change_password || is_expired(state, row.password_set_at);
    if usage == Use::Counts && now - row.last_seen_at >= TOUCH_EVERY {
        store::touch(tx, row.id, now).await?;
    }
    Ok(Actor {
        user,
        login: account.login,
        area: account.area,
        device: row.device_id.map(DeviceId),
        session: row.id,
        grants: grants.into(),
        trail: trail.clone(),
        must_change_password,
    })
}

/// When the password was last given in the session of a device's former token, which may be idle or expired but
/// not ended from above. A device renews its session with it for a while.
///
/// # Errors
/// `unauthenticated` when there is no such token of this device.
pub async fn password_of_former(
    tx: &mut PgConnection,
    device: DeviceId,
    token: &str,
) -> ApiResult<DateTime<Utc>> {
    let row = store::session(tx, &hash(token))
        .await?
        .filter(|row| row.device_id == Some(device.0));
    match row {
        Some(row) if row.ended_at.is_none() => Ok(row.password_at),
        _ => Err(ApiError::unauthenticated()),
    }
}

/// Ends every session of a user.
///
/// # Errors
/// When the database fails.
pub async fn end_sessions_of_user(
    tx: &mut PgConnection,
    user: UserId,
    at: DateTime<Utc>,
) -> ApiResult<()> {
    end_of_user(tx, user, at, None).await
}

/// Ends every session of a device.
///
/// # Errors
/// When the database fails.
pub async fn end_sessions_of_device(
    tx: &mut PgConnection,
    device: DeviceId,
    at: DateTime<Utc>,
) -> ApiResult<()> {
    Ok(store::end_sessions_of_device(tx, device.0, at).await?)
}

pub(super) async fn end_of_user(
    tx: &mut PgConnection,
    user: UserId,
    at: DateTime<Utc>,
    except: Option<Uuid>,
) -> ApiResult<()> {
    Ok(store::end_sessions_of_user(tx, user.0, at, except).await?)
}

/// Ends one of the caller's own sessions.
pub(super) async fn end_own(
    state: &AppState,
    actor: &Actor,
    id: Uuid,
    action: Action,
) -> ApiResult<()> {
    let at = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    if !store::end_session(&mut tx, id, actor.user.0, at).await? {
        return Err(ApiError::not_found("这次登录"));
    }
    audit::record(&mut tx, Entry::by(actor, at, action).subject("session", id)).await?;
    Ok(tx.commit().await?)
}

/// The caller's open sessions.
pub(super) async fn list_own(state: &AppState, actor: &Actor) -> ApiResult<Vec<SessionView>> {
    let now = state.clock.now();
    let rules = &state.config.sign_in;
    let longest = delta(rules.session_idle.max(rules.device_session_idle));
    let mut tx = system_tx(&state.pool).await?;
    let rows = store::sessions_of(&mut tx, actor.user.0, now, now - longest).await?;
    let view = |row: store::SessionListRow| SessionView {
        current: row.id == actor.session,
        id: row.id,
        device: row.device_id,
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
        address: row.address,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Removes tries, nonces and sessions that no longer bear on anything; run now and then.
///
/// # Errors
/// When the database fails.
pub async fn prune(state: &AppState) -> ApiResult<()> {
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    // Nonces long after their time: another node's clock may be behind this one's.
    store::prune(
        &mut tx,
        now - TimeDelta::hours(1),
        now - TimeDelta::days(1),
        now - TimeDelta::days(90),
    )
    .await?;
    Ok(tx.commit().await?)
}

fn require_open(state: &AppState, row: &SessionRow, now: DateTime<Utc>) -> ApiResult<()> {
    let rules = &state.config.sign_in;
    let idle = if row.device_id.is_some() {
        rules.device_session_idle
    } else {
        rules.session_idle
    };
    if row.ended_at.is_some() || row.expires_at <= now || row.device_stopped {
        return Err(ended());
    }
    if now - row.last_seen_at > delta(idle) {
        return Err(ApiError::new(
            Kind::Unauthenticated,
            "session_idle",
            "长时间未操作，请重新登录",
        ));
    }
    Ok(())
}

fn ended() -> ApiError {
    ApiError::new(
        Kind::Unauthenticated,
        "session_ended",
        "登录已失效，请重新登录",
    )
}

pub(crate) fn hash(token: &str) -> [u8; 32] {
    sm3::digest(&[b"doorstep-token-v1", token.as_bytes()])
}
