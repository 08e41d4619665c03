//! Enrolling and signing in devices: two factors, one of them cryptographic.

use std::sync::Arc;

use chrono::TimeDelta;
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::ids::{DeviceId, UserId};
use serde_json::json;
use sqlx::PgConnection;

use super::model::{Device, DeviceEnrolled, DeviceRow, DeviceStatus, EnrolDevice, SignInDevice};
use super::store;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry, Outcome, Trail};
use crate::domains::auth::service::{self as auth, NewToken};
use crate::domains::auth::{Caller, Proof, SessionOpened};
use crate::domains::users::{self, UserStatus};
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::random;
use crate::register;
use crate::state::AppState;

const ENROL: &[u8] = b"doorstep-enrol-v1";
const SIGN_IN: &[u8] = b"doorstep-sign-in-v1";

/// What the user's other devices are told.
const ENROLLED: &str =
    "您的账号刚登记了一台新设备；如不是您本人办理，请立即联系管理员停用那台设备并重置密码。";

/// How long a device renews its session by key and former token, before the password is asked again.
const PASSWORD_GOOD_FOR: TimeDelta = TimeDelta::days(14);

/// Enrols a device for the user whose password it brings, and signs it in.
pub(super) async fn enrol(
    state: &AppState,
    trail: &Arc<Trail>,
    input: EnrolDevice,
) -> ApiResult<DeviceEnrolled> {
    let mut problems = Problems::default();
    let public_key = hex::decode(&input.public_key)
        .ok()
        .and_then(|bytes| PublicKey::from_bytes(&bytes).ok());
    problems.require(
        public_key.is_some(),
        "public_key",
        "key_form",
        "设备公钥无效，请升级应用后重试",
    );
    let (nonce, signature) = (
        bytes(&mut problems, "nonce", &input.nonce),
        bytes(&mut problems, "signature", &input.signature),
    );
    let name = text(&mut problems, "name", &input.name);
    let platform = text(&mut problems, "platform", &input.platform);
    problems.finish()?;
    let Some(key) = public_key else {
        return Err(ApiError::unauthenticated());
    };

    // Taken once the password is proved, with the device that comes of it: anybody can make a key and sign with it.
    let answered = match auth::check_answer(state, &key, ENROL, &nonce, key.as_bytes(), &signature)
    {
        Ok(answered) => answered,
        Err(error) => return Err(stranger(state, trail, Action::EnrolDevice, error).await),
    };
    let proof = Proof {
        login: input.login,
        password: input.password,
        code: input.code,
    };
    let verified = auth::verify(state, trail, Action::EnrolDevice, Caller::Stranger, proof).await?;
    let user = verified.account.id;
    let at = state.clock.now();
    let id = random::id(state.clock.timestamp(), DeviceId::new)?;
    let row = DeviceRow {
        id: id.0,
        user_id: user.0,
        area_code: verified.account.area,
        public_key: key.as_bytes().to_vec(),
        name,
        platform,
        status: DeviceStatus::Active.code().into(),
        status_set_at: at,
        status_reason: String::new(),
        enrolled_at: at,
        last_contact_at: Some(at),
        last_sync_at: None,
        unsent: 0,
        unsent_since: None,
        purge_owed_since: None,
    };
    let mut tx = system_tx(&state.pool).await?;
    let room = match auth::take_answered(&mut tx, &answered).await {
        Ok(()) => room_for_one(state, &mut tx, user).await,
        Err(error) => Err(error),
    };
    let others = match room {
        Ok(others) => others,
        Err(error) => {
            drop(tx);
            let entry = Entry::on_trail(trail, at, Action::EnrolDevice).user(user);
            return Err(refused(state, trail, entry.area(row.area_code), error).await);
        }
    };
    store::create(&mut tx, &row).await?;
    let told = if others > 0 {
        let about = register::About::Device;
        let stamp = state.clock.timestamp();
        vec![register::message(
            user,
            id.0,
            "device_enrolled",
            ENROLLED,
            about,
            stamp,
        )]
    } else {
        Vec::new()
    };
    let told = register::append_states(&mut tx, told, at).await?;
    let new = NewToken {
        user,
        device: Some(id),
        password_at: at,
        must_change_password: verified.must_change_password,
    };
    let session = auth::open_session(state, &mut tx, trail, new).await?;
    let entry = Entry::on_trail(trail, at, Action::EnrolDevice)
        .user(user)
        .device(id)
        .area(verified.account.area)
        .subject("device", id)
        .detail(json!({ "platform": row.platform }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    told.to(&state.hub);
    let server_key = hex::encode(state.keys.provider().server_key().public().as_bytes());
    Ok(DeviceEnrolled {
        device: id.0,
        server_key,
        session,
    })
}

/// How many devices the user has, if there is room for one more.
///
/// # Errors
/// `password_reset_required` where one was stopped since the user was given the password: whoever has that device may have
/// the password as well. `too_many_devices`, `account_closed`.
async fn room_for_one(state: &AppState, tx: &mut PgConnection, user: UserId) -> ApiResult<i64> {
    // Held: of two that are enrolled at once the second counts the first.
    let held = users::service::hold_account(tx, user).await?;
    if held.is_none_or(|account| account.status != UserStatus::Active) {
        return Err(auth::account_closed());
    }
    let (active, stopped_at) = store::of_user(tx, user.0).await?;
    let handed_out_at = auth::handed_out_at(tx, user).await?;
    if stopped_at > handed_out_at {
        return Err(ApiError::new(
            Kind::Forbidden,
            "password_reset_required",
            "您有设备被停用或要求清除过，登记新设备前请先联系管理员重置密码，再用新密码登记",
        ));
    }
    if active >= i64::from(state.config.user_devices) {
        return Err(ApiError::conflict(
            "too_many_devices",
            format!(
                "您正在使用的设备已有 {active} 台，不能再登记；请先联系管理员停用不再使用的设备，并重置密码"
            ),
        ));
    }
    Ok(active)
}

/// Signs a device in by its key and the password, or a former token for a while.
pub(super) async fn sign_in(
    state: &AppState,
    trail: &Arc<Trail>,
    input: SignInDevice,
) -> ApiResult<SessionOpened> {
    let mut problems = Problems::default();
    let (nonce, signature) = (
        bytes(&mut problems, "nonce", &input.nonce),
        bytes(&mut problems, "signature", &input.signature),
    );
    let proofs = usize::from(input.password.is_some()) + usize::from(input.token.is_some());
    problems.require(
        proofs == 1,
        "password",
        "proof",
        "请提供密码，或上次登录的凭证",
    );
    problems.finish()?;

    let id = DeviceId(input.device);
    let mut tx = system_tx(&state.pool).await?;
    let Some(row) = store::by_id(&mut tx, id.0).await? else {
        drop(tx);
        return Err(stranger(state, trail, Action::SignInDevice, unknown()).await);
    };
    let device = device(&row)?;
    let answered = auth::answer_challenge(
        state,
        &mut tx,
        &device.key,
        SIGN_IN,
        &nonce,
        id.as_bytes(),
        &signature,
    )
    .await;
    tx.commit().await?;
    if let Err(error) = answered {
        return Err(stranger(state, trail, Action::SignInDevice, error).await);
    }
    // Only after the key was proved: a stranger learns nothing about a device.
    if let Err(error) = require_active(&device) {
        let mut tx = system_tx(&state.pool).await?;
        store::note_contact(&mut tx, id.0, state.clock.now()).await?;
        tx.commit().await?;
        return Err(refuse(state, trail, &row, error).await);
    }
    let at = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let account = users::service::account(&mut tx, device.user)
        .await?
        .ok_or_else(unknown)?;
    let former = match input.token {
        Some(token) => auth::password_of_former(&mut tx, id, &token).await.ok(),
        None => None,
    };
    // Checking a password takes connections of its own, and waits for its turn.
    drop(tx);
    let (password_at, must_change_password) = match input.password {
        Some(password) => {
            let proof = Proof {
                login: account.login.clone(),
                password,
                code: input.code,
            };
            let action = Action::SignInDevice;
            let verified = auth::verify(state, trail, action, Caller::Known, proof).await?;
            (at, verified.must_change_password)
        }
        None => {
            let good = former.filter(|password_at| {
                account.status == UserStatus::Active && at - *password_at <= PASSWORD_GOOD_FOR
            });
            let Some(password_at) = good else {
                let error =
                    ApiError::new(Kind::Unauthenticated, "password_required", "请重新输入密码");
                return Err(refuse(state, trail, &row, error).await);
            };
            (password_at, false)
        }
    };
    let mut tx = system_tx(&state.pool).await?;
    // Looked at again, and held: either may have been stopped while the password waited for its turn.
    let held = users::service::hold_account(&mut tx, device.user).await?;
    let row = store::lock(&mut tx, id.0).await?.ok_or_else(unknown)?;
    let stands = match held.map(|account| account.status) {
        Some(UserStatus::Active) => require_active(&self::device(&row)?),
        _ => Err(auth::account_closed()),
    };
    if let Err(error) = stands {
        drop(tx);
        return Err(refuse(state, trail, &row, error).await);
    }
    store::note_contact(&mut tx, id.0, at).await?;
    let new = NewToken {
        user: device.user,
        device: Some(id),
        password_at,
        must_change_password,
    };
    let session = auth::open_session(state, &mut tx, trail, new).await?;
    let entry = Entry::on_trail(trail, at, Action::SignInDevice)
        .user(device.user)
        .device(id)
        .area(account.area);
    audit::record(&mut tx, entry.subject("device", id)).await?;
    tx.commit().await?;
    Ok(session)
}

/// Refuses a device that was stopped. `device_wiped` tells it to wipe what it holds.
///
/// # Errors
/// `device_revoked` or `device_wiped`.
pub fn require_active(device: &Device) -> ApiResult<()> {
    match device.status {
        DeviceStatus::Active => Ok(()),
        DeviceStatus::Revoked => Err(ApiError::new(
            Kind::Forbidden,
            "device_revoked",
            "这台设备已被停用，请联系管理员",
        )),
        DeviceStatus::WipeOrdered | DeviceStatus::Wiped => Err(ApiError::new(
            Kind::Forbidden,
            "device_wiped",
            "这台设备已被要求清除数据，请联系管理员",
        )),
    }
}

pub(super) fn device(row: &DeviceRow) -> ApiResult<Device> {
    Ok(Device {
        id: DeviceId(row.id),
        user: UserId(row.user_id),
        key: PublicKey::from_bytes(&row.public_key).map_err(ApiError::internal)?,
        status: row.status(),
        purge_owed_since: row.purge_owed_since,
    })
}

/// A device that signed something: its key and whether it may connect.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut PgConnection, id: DeviceId) -> ApiResult<Option<Device>> {
    store::by_id(tx, id.0)
        .await?
        .as_ref()
        .map(device)
        .transpose()
}

pub(super) fn unknown() -> ApiError {
    ApiError::new(
        Kind::Unauthenticated,
        "unknown_device",
        "这台设备还没有登记，请先登记",
    )
}

/// Leaves the record of a refusal that anyone can cause, no key being proved yet; gives the error to answer with.
pub(super) async fn stranger(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    error: ApiError,
) -> ApiError {
    match audit::refused(state, trail, action, error.code).await {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

async fn refuse(
    state: &AppState,
    trail: &Arc<Trail>,
    row: &DeviceRow,
    error: ApiError,
) -> ApiError {
    let entry = Entry::on_trail(trail, state.clock.now(), Action::SignInDevice)
        .user(UserId(row.user_id))
        .device(DeviceId(row.id))
        .area(row.area_code)
        .subject("device", row.id);
    refused(state, trail, entry, error).await
}

/// Writes down what was refused to someone who proved a key or a password; gives the error to answer with.
async fn refused(state: &AppState, trail: &Arc<Trail>, entry: Entry, error: ApiError) -> ApiError {
    let written = async {
        let mut tx = system_tx(&state.pool).await?;
        let entry = entry
            .outcome(Outcome::Refused)
            .detail(json!({ "reason": error.code }));
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

pub(super) fn bytes(problems: &mut Problems, path: &str, text: &str) -> Vec<u8> {
    let bytes = hex::decode(text)
        .ok()
        .filter(|bytes| (16..=64).contains(&bytes.len()));
    problems.require(bytes.is_some(), path, "hexadecimal", "应为十六进制");
    bytes.unwrap_or_default()
}

fn text(problems: &mut Problems, path: &str, text: &str) -> String {
    let text = text.trim();
    let fits = (1..=60).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    problems.require(fits, path, "text_form", "请填写 1 到 60 个字");
    text.to_owned()
}
