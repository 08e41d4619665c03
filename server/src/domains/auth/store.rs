//! SQL of credentials, sessions, guards and challenges.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

const CREATE_CREDENTIAL: &str = "INSERT INTO credentials (user_id, password, password_set_at, must_change_password, \
     handed_out_at) VALUES ($1, $2, $3, true, $3)";
const CREDENTIAL: &str = "SELECT password, password_set_at, must_change_password, totp_sealed, totp_confirmed_at, \
     totp_last_step FROM credentials WHERE user_id = $1";
const LOCK_CREDENTIAL: &str = "SELECT password, password_set_at, must_change_password, totp_sealed, \
     totp_confirmed_at, totp_last_step FROM credentials WHERE user_id = $1 FOR UPDATE";
const SET_PASSWORD: &str = "UPDATE credentials SET password = $2, password_set_at = $3, must_change_password = $4, \
     handed_out_at = CASE WHEN $4 THEN $3 ELSE handed_out_at END WHERE user_id = $1";
const HANDED_OUT_AT: &str =
    "SELECT coalesce(handed_out_at, password_set_at) FROM credentials WHERE user_id = $1";
const KEEP_FORMER: &str =
    "INSERT INTO former_passwords (user_id, set_at, password) VALUES ($1, $2, $3)";
const FORMER: &str =
    "SELECT password FROM former_passwords WHERE user_id = $1 ORDER BY id DESC LIMIT $2";
const TAKE_STEP: &str =
    "UPDATE credentials SET totp_last_step = $2 WHERE user_id = $1 AND totp_last_step < $2";
const SET_TOTP: &str = "UPDATE credentials SET totp_sealed = $2, totp_confirmed_at = NULL, totp_last_step = 0 \
     WHERE user_id = $1";
const CLEAR_TOTP: &str = "UPDATE credentials SET totp_sealed = NULL, totp_confirmed_at = NULL, totp_last_step = 0 \
     WHERE user_id = $1 AND totp_confirmed_at IS NOT NULL";
const ENROLLED: &str =
    "SELECT user_id FROM credentials WHERE user_id = ANY ($1) AND totp_confirmed_at IS NOT NULL";
const CONFIRM_TOTP: &str =
    "UPDATE credentials SET totp_confirmed_at = $2, totp_last_step = $3 WHERE user_id = $1";

const RESERVE_TRY: &str = include_str!("sql/reserve_try.sql");
const LOCKS: &str = "SELECT login_token, locked_until FROM sign_in_guards WHERE login_token = ANY ($1) AND locked_until > $2";
const RETURN_TRY: &str = include_str!("sql/return_try.sql");
const FORGET_TRIES: &str = "DELETE FROM sign_in_guards WHERE login_token = $1";
const NOTE_ADDRESS: &str = "INSERT INTO failed_sign_ins (address, at) VALUES ($1, $2) RETURNING id";
const TRIES_OF_ADDRESS: &str =
    "SELECT count(*) FROM failed_sign_ins WHERE address = $1 AND at > $2";
const FORGIVE_ADDRESSES: &str = "DELETE FROM failed_sign_ins WHERE id = ANY ($1)";

const OPEN_SESSION: &str = "INSERT INTO sessions (id, token_hash, user_id, device_id, created_at, last_seen_at, \
     expires_at, password_at, address) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8)";
const SESSION: &str = include_str!("sql/session.sql");
const SESSION_BY_ID: &str = include_str!("sql/session_by_id.sql");
const TOUCH: &str = "UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2";
const NOTE_USED: &str = include_str!("sql/note_used.sql");
const SESSIONS_OF: &str = "SELECT id, device_id, created_at, last_seen_at, address FROM sessions \
     WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND last_seen_at > $3 ORDER BY last_seen_at DESC";
const END_SESSION: &str =
    "UPDATE sessions SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
const END_OF_USER: &str = "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3";
const END_OF_DEVICE: &str =
    "UPDATE sessions SET ended_at = $2 WHERE device_id = $1 AND ended_at IS NULL";

const TAKE_CHALLENGE: &str =
    "INSERT INTO challenges (nonce, expires_at) VALUES ($1, $2) ON CONFLICT (nonce) DO NOTHING";

const PRUNE_CHALLENGES: &str = "DELETE FROM challenges WHERE expires_at < $1";
const PRUNE_ADDRESSES: &str = "DELETE FROM failed_sign_ins WHERE at < $1";
const PRUNE_GUARDS: &str =
    "DELETE FROM sign_in_guards WHERE last_at < $1 AND (locked_until IS NULL OR locked_until < $1)";
const PRUNE_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at < $1 OR ended_at < $1";

/// What a user proves with.
#[derive(Clone, Debug, FromRow)]
pub(super) struct CredentialRow {
    pub(super) password: String,
    pub(super) password_set_at: DateTime<Utc>,
    pub(super) must_change_password: bool,
    pub(super) totp_sealed: Option<Vec<u8>>,
    pub(super) totp_confirmed_at: Option<DateTime<Utc>>,
    pub(super) totp_last_step: i64,
}

/// A session with what of the credential bears on it.
#[derive(Clone, Debug, FromRow)]
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) device_id: Option<Uuid>,
    pub(super) last_seen_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) password_at: DateTime<Utc>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) must_change_password: bool,
    pub(super) password_set_at: DateTime<Utc>,
    /// Its device was stopped, whether or not the session was there to be ended then.
    pub(super) device_stopped: bool,
}

/// A session in a list.
#[derive(Clone, Debug, FromRow)]
pub(super) struct SessionListRow {
    pub(super) id: Uuid,
    pub(super) device_id: Option<Uuid>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) last_seen_at: DateTime<Utc>,
    pub(super) address: Option<String>,
}

/// A session to be written.
#[derive(Debug)]
pub(super) struct NewSession<'a> {
    pub(super) id: Uuid,
    pub(super) token_hash: [u8; 32],
    pub(super) user: Uuid,
    pub(super) device: Option<Uuid>,
    pub(super) at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) password_at: DateTime<Utc>,
    pub(super) address: Option<&'a str>,
}

pub(super) async fn create_credential(
    tx: &mut PgConnection,
    user: Uuid,
    password: &str,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(CREATE_CREDENTIAL)
        .bind(user)
        .bind(password)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn credential(
    tx: &mut PgConnection,
    user: Uuid,
) -> sqlx::Result<Option<CredentialRow>> {
    sqlx::query_as(CREDENTIAL)
        .bind(user)
        .fetch_optional(tx)
        .await
}

pub(super) async fn lock_credential(
    tx: &mut PgConnection,
    user: Uuid,
) -> sqlx::Result<CredentialRow> {
    sqlx::query_as(LOCK_CREDENTIAL)
        .bind(user)
        .fetch_one(tx)
        .await
}

/// When the user was last given a password by someone else.
pub(super) async fn handed_out_at(
    tx: &mut PgConnection,
    user: Uuid,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar(HANDED_OUT_AT)
        .bind(user)
        .fetch_optional(tx)
        .await
}

/// Sets a password and keeps the one before among the former ones. One that must be changed was handed out.
pub(super) async fn set_password(
    tx: &mut PgConnection,
    user: Uuid,
    former: &CredentialRow,
    password: &str,
    at: DateTime<Utc>,
    must_change: bool,
) -> sqlx::Result<()> {
    sqlx::query(KEEP_FORMER)
        .bind(user)
        .bind(former.password_set_at)
        .bind(&former.password)
        .execute(&mut *tx)
        .await?;
    sqlx::query(SET_PASSWORD)
        .bind(user)
        .bind(password)
        .bind(at)
        .bind(must_change)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn former_passwords(
    tx: &mut PgConnection,
    user: Uuid,
    count: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(FORMER)
        .bind(user)
        .bind(count)
        .fetch_all(tx)
        .await
}

/// Whether the step was not taken before.
pub(super) async fn take_step(tx: &mut PgConnection, user: Uuid, step: i64) -> sqlx::Result<bool> {
    Ok(sqlx::query(TAKE_STEP)
        .bind(user)
        .bind(step)
        .execute(tx)
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn set_totp(
    tx: &mut PgConnection,
    user: Uuid,
    sealed: Option<&[u8]>,
) -> sqlx::Result<()> {
    sqlx::query(SET_TOTP)
        .bind(user)
        .bind(sealed)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether there was one in force.
pub(super) async fn clear_totp(tx: &mut PgConnection, user: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query(CLEAR_TOTP).bind(user).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Those of these users who have a second factor in force.
pub(super) async fn enrolled(tx: &mut PgConnection, users: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(ENROLLED).bind(users).fetch_all(tx).await
}

pub(super) async fn confirm_totp(
    tx: &mut PgConnection,
    user: Uuid,
    at: DateTime<Utc>,
    step: i64,
) -> sqlx::Result<()> {
    sqlx::query(CONFIRM_TOTP)
        .bind(user)
        .bind(at)
        .bind(step)
        .execute(tx)
        .await?;
    Ok(())
}

/// Counts a try before it is made: failures so far with this one, and until when the login is locked.
pub(super) async fn reserve_try(
    tx: &mut PgConnection,
    login_token: i64,
    now: DateTime<Utc>,
    locked_until: DateTime<Utc>,
    allowed: i32,
) -> sqlx::Result<(i32, Option<DateTime<Utc>>)> {
    sqlx::query_as(RESERVE_TRY)
        .bind(login_token)
        .bind(now)
        .bind(locked_until)
        .bind(allowed)
        .fetch_one(tx)
        .await
}

/// When the locks of logins that are locked now end.
pub(super) async fn locks(
    tx: &mut PgConnection,
    login_tokens: &[i64],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(i64, DateTime<Utc>)>> {
    sqlx::query_as(LOCKS)
        .bind(login_tokens)
        .bind(now)
        .fetch_all(tx)
        .await
}

/// Takes one try back; `allowed` failures lock the login.
pub(super) async fn return_try(
    tx: &mut PgConnection,
    login_token: i64,
    allowed: i32,
) -> sqlx::Result<()> {
    sqlx::query(RETURN_TRY)
        .bind(login_token)
        .bind(allowed)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn forget_tries(tx: &mut PgConnection, login_token: i64) -> sqlx::Result<()> {
    sqlx::query(FORGET_TRIES)
        .bind(login_token)
        .execute(tx)
        .await?;
    Ok(())
}

/// Counts a try of an address before it is made: its row, and the tries since `since`.
pub(super) async fn note_address(
    tx: &mut PgConnection,
    address: &str,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
) -> sqlx::Result<(i64, i64)> {
    let id = sqlx::query_scalar(NOTE_ADDRESS)
        .bind(address)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
    let count = sqlx::query_scalar(TRIES_OF_ADDRESS)
        .bind(address)
        .bind(since)
        .fetch_one(tx)
        .await?;
    Ok((id, count))
}

pub(super) async fn forgive_addresses(tx: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query(FORGIVE_ADDRESSES).bind(ids).execute(tx).await?;
    Ok(())
}

pub(super) async fn open_session(
    tx: &mut PgConnection,
    session: &NewSession<'_>,
) -> sqlx::Result<()> {
    sqlx::query(OPEN_SESSION)
        .bind(session.id)
        .bind(&session.token_hash[..])
        .bind(session.user)
        .bind(session.device)
        .bind(session.at)
        .bind(session.expires_at)
        .bind(session.password_at)
        .bind(session.address)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn session(
    tx: &mut PgConnection,
    token_hash: &[u8],
) -> sqlx::Result<Option<SessionRow>> {
    sqlx::query_as(SESSION)
        .bind(token_hash)
        .fetch_optional(tx)
        .await
}

pub(super) async fn session_by_id(
    tx: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Option<SessionRow>> {
    sqlx::query_as(SESSION_BY_ID)
        .bind(id)
        .fetch_optional(tx)
        .await
}

pub(super) async fn touch(tx: &mut PgConnection, id: Uuid, at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(TOUCH).bind(id).bind(at).execute(tx).await?;
    Ok(())
}

pub(super) async fn note_used(
    tx: &mut PgConnection,
    used: &[(Uuid, DateTime<Utc>)],
    every: TimeDelta,
) -> sqlx::Result<()> {
    let (ids, at): (Vec<Uuid>, Vec<DateTime<Utc>>) = used.iter().copied().unzip();
    sqlx::query(NOTE_USED)
        .bind(ids)
        .bind(at)
        .bind(every.as_seconds_f64())
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn sessions_of(
    tx: &mut PgConnection,
    user: Uuid,
    now: DateTime<Utc>,
    seen_after: DateTime<Utc>,
) -> sqlx::Result<Vec<SessionListRow>> {
    sqlx::query_as(SESSIONS_OF)
        .bind(user)
        .bind(now)
        .bind(seen_after)
        .fetch_all(tx)
        .await
}

/// Whether there was such an open session of the user.
pub(super) async fn end_session(
    tx: &mut PgConnection,
    id: Uuid,
    user: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    Ok(sqlx::query(END_SESSION)
        .bind(id)
        .bind(user)
        .bind(at)
        .execute(tx)
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn end_sessions_of_user(
    tx: &mut PgConnection,
    user: Uuid,
    at: DateTime<Utc>,
    except: Option<Uuid>,
) -> sqlx::Result<()> {
    sqlx::query(END_OF_USER)
        .bind(user)
        .bind(at)
        .bind(except)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn end_sessions_of_device(
    tx: &mut PgConnection,
    device: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(END_OF_DEVICE)
        .bind(device)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps a nonce as answered; whether it was not before.
pub(super) async fn take_challenge(
    tx: &mut PgConnection,
    nonce: &[u8],
    expires_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    Ok(sqlx::query(TAKE_CHALLENGE)
        .bind(nonce)
        .bind(expires_at)
        .execute(tx)
        .await?
        .rows_affected()
        == 1)
}

/// Removes what no longer bears on anything.
pub(super) async fn prune(
    tx: &mut PgConnection,
    challenges_before: DateTime<Utc>,
    tries_before: DateTime<Utc>,
    sessions_before: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(PRUNE_CHALLENGES)
        .bind(challenges_before)
        .execute(&mut *tx)
        .await?;
    sqlx::query(PRUNE_ADDRESSES)
        .bind(tries_before)
        .execute(&mut *tx)
        .await?;
    sqlx::query(PRUNE_GUARDS)
        .bind(tries_before)
        .execute(&mut *tx)
        .await?;
    sqlx::query(PRUNE_SESSIONS)
        .bind(sessions_before)
        .execute(tx)
        .await?;
    Ok(())
}
