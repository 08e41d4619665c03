//! Devices as rows, as the sync engine sees them, and as callers see them.

use chrono::{DateTime, Utc};
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::domains::auth::SessionOpened;

/// Whether a device may connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStatus {
    /// 正常
    Active,
    /// 已停用：its key is refused.
    Revoked,
    /// 待擦除：refused, and told to wipe at its next contact.
    WipeOrdered,
    /// 已擦除：it said that it wiped.
    Wiped,
}

impl DeviceStatus {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::WipeOrdered => "wipe_ordered",
            Self::Wiped => "wiped",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "wipe_ordered" => Self::WipeOrdered,
            "wiped" => Self::Wiped,
            _ => Self::Revoked,
        }
    }
}

/// A device, for checking what it signed.
#[derive(Clone, Debug)]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// Its SM2 key.
    pub key: PublicKey,
    /// Whether it may connect.
    pub status: DeviceStatus,
    /// Since when it owes a purge; see [`DeviceView`].
    pub purge_owed_since: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, FromRow)]
pub(super) struct DeviceRow {
    pub(super) id: Uuid,
    pub(super) user_id: Uuid,
    #[sqlx(try_from = "String")]
    pub(super) area_code: AreaCode,
    pub(super) public_key: Vec<u8>,
    pub(super) name: String,
    pub(super) platform: String,
    pub(super) status: String,
    pub(super) status_set_at: DateTime<Utc>,
    pub(super) status_reason: String,
    pub(super) enrolled_at: DateTime<Utc>,
    pub(super) last_contact_at: Option<DateTime<Utc>>,
    pub(super) last_sync_at: Option<DateTime<Utc>>,
    pub(super) unsent: i32,
    pub(super) unsent_since: Option<DateTime<Utc>>,
    pub(super) purge_owed_since: Option<DateTime<Utc>>,
}

impl DeviceRow {
    /// Since when it has something unsent; as long as it is there, where that isn't known.
    pub(super) fn waits_since(&self) -> DateTime<Utc> {
        self.unsent_since.unwrap_or(self.enrolled_at)
    }

    pub(super) fn status(&self) -> DeviceStatus {
        DeviceStatus::parse(&self.status)
    }
}

/// Enrolling a device: the password proves the user, the signature the key.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolDevice {
    /// The user's login.
    pub login: String,
    /// The user's password.
    pub password: String,
    /// Code of the second factor, if enrolled.
    pub code: Option<String>,
    /// The device's SM2 public key: 65 bytes, SEC1 uncompressed, hexadecimal.
    pub public_key: String,
    /// The nonce of a challenge, hexadecimal.
    pub nonce: String,
    /// SM2 signature (64 bytes, hexadecimal) over `doorstep-enrol-v1` ‖ nonce ‖ public key.
    pub signature: String,
    /// What people call it.
    pub name: String,
    /// Such as `android`, `ios`, `miniprogram`, `cli`.
    pub platform: String,
}

/// Signing a device in: its key, and the password or a former token of the device.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInDevice {
    /// The device.
    pub device: Uuid,
    /// The nonce of a challenge, hexadecimal.
    pub nonce: String,
    /// SM2 signature (64 bytes, hexadecimal) over `doorstep-sign-in-v1` ‖ nonce ‖ the 16 bytes of the device's id.
    pub signature: String,
    /// The user's password.
    pub password: Option<String>,
    /// Code of the second factor, if enrolled and the password is given.
    pub code: Option<String>,
    /// Instead of the password: the device's last token, if the password was given within the last two weeks.
    pub token: Option<String>,
}

/// A device says that it wiped everything, as it was ordered to.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmWipe {
    /// The device.
    pub device: Uuid,
    /// The nonce of a challenge, hexadecimal.
    pub nonce: String,
    /// SM2 signature (64 bytes, hexadecimal) over `doorstep-wiped-v1` ‖ nonce ‖ the 16 bytes of the device's id.
    pub signature: String,
}

/// A device that was enrolled, and signed in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeviceEnrolled {
    /// The device's id from now on.
    pub device: Uuid,
    /// The server's SM2 public key, hexadecimal: keep it, it signs bundles and decisions.
    pub server_key: String,
    /// The session.
    #[serde(flatten)]
    pub session: SessionOpened,
}

/// Why a device is stopped.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopDevice {
    /// What happened: lost, replaced, left the service.
    pub reason: String,
}

/// A device as callers see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeviceView {
    /// The device.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// The user's name.
    pub user_name: String,
    /// The area that the user belongs to.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// What people call it.
    pub name: String,
    /// Its kind.
    pub platform: String,
    /// Whether it may connect.
    pub status: DeviceStatus,
    /// Since when.
    pub status_set_at: DateTime<Utc>,
    /// Why.
    pub status_reason: String,
    /// When it was enrolled.
    pub enrolled_at: DateTime<Utc>,
    /// When it last signed in or synced.
    pub last_contact_at: Option<DateTime<Utc>>,
    /// When it last had everything.
    pub last_sync_at: Option<DateTime<Utc>>,
    /// Changes that it had not sent when it last synced.
    pub unsent: i32,
    /// Since when there are some.
    pub unsent_since: Option<DateTime<Utc>>,
    /// Since when it has not said that it purged what its user may no longer hold: from the end of the right, or from
    /// when it was told. None: it owes nothing.
    pub purge_owed_since: Option<DateTime<Utc>>,
}

/// Which devices to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeviceQuery {
    /// Of this area and below.
    pub area: Option<String>,
    /// Of this user.
    pub user: Option<Uuid>,
    /// With this status.
    pub status: Option<DeviceStatus>,
    /// Only those that had changes to send when they last synced, who has had them longest first.
    pub unsent: Option<bool>,
    /// Only those that have not said yet that they purged what their users may no longer hold.
    pub purge_owed: Option<bool>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}
