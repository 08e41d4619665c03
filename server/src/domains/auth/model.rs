//! Sign-in and sessions as callers see them.

use chrono::{DateTime, Utc};
use doorstep_core::ids::AreaCode;
use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domains::users::Grant;

/// Signing in at the console.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The login.
    pub login: String,
    /// The password.
    pub password: String,
    /// Code of the second factor, once one is enrolled.
    pub code: Option<String>,
}

/// A session that was opened. The token is shown this once and kept nowhere.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionOpened {
    /// Goes into `Authorization: Bearer …`.
    pub token: String,
    /// The user.
    pub user: Uuid,
    /// The session ends then in any case; without use it ends sooner.
    pub expires_at: DateTime<Utc>,
    /// The password must be changed before anything else can be done.
    pub must_change_password: bool,
}

/// Changing one's own password.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present one.
    pub current: String,
    /// The new one.
    pub new: String,
}

/// A nonce to be signed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Challenge {
    /// 32 bytes, hexadecimal.
    pub nonce: String,
    /// Unanswered until then it is void.
    pub expires_at: DateTime<Utc>,
}

/// A grant, as the user it belongs to sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OwnGrant {
    /// The grant.
    pub id: Uuid,
    /// Role's code.
    pub role: &'static str,
    /// Role's name.
    pub role_label: &'static str,
    /// Where.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// The last day on which it holds.
    pub ends_on: Option<chrono::NaiveDate>,
    /// Codes of what it allows there.
    pub permissions: Vec<&'static str>,
}

impl From<&Grant> for OwnGrant {
    fn from(grant: &Grant) -> Self {
        Self {
            id: grant.id,
            role: grant.role.code(),
            role_label: grant.role.label(),
            area: grant.area,
            ends_on: grant.ends_on,
            permissions: Permission::ALL
                .iter()
                .filter(|permission| grant.role.may(**permission))
                .map(|permission| permission.code())
                .collect(),
        }
    }
}

/// The caller.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    /// The user.
    pub id: Uuid,
    /// The login.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// The area that the user belongs to.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// The device of this session.
    pub device: Option<Uuid>,
    /// What holds now.
    pub grants: Vec<OwnGrant>,
    /// The password must be changed first.
    pub must_change_password: bool,
    /// Whether a second factor is enrolled.
    pub second_factor: bool,
}

/// One of the caller's sessions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The session.
    pub id: Uuid,
    /// The device it is bound to; none for the console.
    pub device: Option<Uuid>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_seen_at: DateTime<Utc>,
    /// From which address it was opened.
    pub address: Option<String>,
    /// Whether it is the one asking.
    pub current: bool,
}

/// Beginning to enrol a second factor.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSecondFactor {
    /// The password.
    pub password: String,
}

/// A second factor to be put into an authenticator app.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SecondFactor {
    /// The secret, base32.
    pub secret: String,
    /// For a QR code.
    pub uri: String,
}

/// A code of the authenticator app.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Six digits.
    pub code: String,
}

/// Taking the second factor away.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveSecondFactor {
    /// The password.
    pub password: String,
    /// A code of it.
    pub code: String,
}
