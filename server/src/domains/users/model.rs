//! Users and grants as rows, as the rest of the server sees them, and as callers see them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::ids::{AreaCode, UserId};
use doorstep_core::records::{self, Field, Mask, RecordKind, RecordType};
use doorstep_core::rights::{Permission, Role};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// 正常
    Active,
    /// 已停用
    Closed,
}

impl UserStatus {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
        }
    }

    fn of_column(text: &str) -> Self {
        if text == Self::Active.code() {
            Self::Active
        } else {
            Self::Closed
        }
    }
}

/// A user, as far as sign-in and rights go.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// What the user signs in with; lower case.
    pub login: String,
    /// The area that the user belongs to.
    pub area: AreaCode,
    /// Whether it can be used.
    pub status: UserStatus,
}

/// A role in an area, until a day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The grant.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// Which role.
    pub role: Role,
    /// Where: this area and all below it.
    pub area: AreaCode,
    /// The last day on which it holds (Shanghai); none: until taken back.
    pub ends_on: Option<NaiveDate>,
    /// Who gave it; none: the server itself.
    pub granted_by: Option<UserId>,
    /// When.
    pub granted_at: DateTime<Utc>,
}

#[derive(Clone, Debug, FromRow)]
pub(super) struct UserRow {
    pub(super) id: Uuid,
    pub(super) login: String,
    pub(super) name_sealed: Vec<u8>,
    pub(super) name_key_version: i32,
    #[sqlx(try_from = "String")]
    pub(super) area_code: AreaCode,
    pub(super) status: String,
    pub(super) version: i32,
    pub(super) created_at: DateTime<Utc>,
}

impl UserRow {
    pub(super) fn status(&self) -> UserStatus {
        UserStatus::of_column(&self.status)
    }

    pub(super) fn account(&self) -> Account {
        Account {
            id: UserId(self.id),
            login: self.login.clone(),
            area: self.area_code,
            status: self.status(),
        }
    }
}

/// A grant's columns, before its tag is checked: not a right yet.
#[derive(Clone, Debug, FromRow)]
pub(super) struct GrantRow {
    pub(super) id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) role: String,
    pub(super) area_code: String,
    pub(super) ends_on: Option<NaiveDate>,
    pub(super) granted_by: Option<Uuid>,
    pub(super) granted_at: DateTime<Utc>,
    pub(super) revoked_by: Option<Uuid>,
    pub(super) revoked_at: Option<DateTime<Utc>>,
    pub(super) tag: Vec<u8>,
}

/// An account's columns beside those of one of its grants.
#[derive(Debug)]
pub(super) struct HolderRow {
    pub(super) account: Account,
    pub(super) grant: Option<GrantRow>,
}

impl FromRow<'_, PgRow> for HolderRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let area: String = row.try_get("account_area")?;
        let status: String = row.try_get("status")?;
        Ok(Self {
            account: Account {
                id: UserId(row.try_get("account_id")?),
                login: row.try_get("login")?,
                area: area
                    .parse()
                    .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                status: UserStatus::of_column(&status),
            },
            grant: match row.try_get::<Option<Uuid>, _>("id")? {
                Some(_) => Some(GrantRow::from_row(row)?),
                None => None,
            },
        })
    }
}

/// What to create a user from.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// What the user will sign in with: 3 to 64 letters, digits, `.`, `_`, `-`.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// The area that the user belongs to, 12 digits.
    pub area: String,
}

/// A new user, with the password for the first sign-in. It is shown once and must be changed then.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserCreated {
    /// The user.
    pub user: UserView,
    /// For the first sign-in only.
    pub temporary_password: String,
}

/// What to change of a user; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    /// The person's name.
    pub name: Option<String>,
    /// The area that the user belongs to.
    pub area: Option<String>,
    /// Close or reopen the account.
    pub status: Option<UserStatus>,
}

/// A user as callers see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserView {
    /// The user.
    pub id: Uuid,
    /// What the user signs in with.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// The area that the user belongs to.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// Whether the account can be used.
    pub status: UserStatus,
    /// For If-Match.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Roles that hold now.
    pub roles: Vec<HeldRole>,
    /// Locked out by failed tries to sign in, until then.
    pub locked_until: Option<DateTime<Utc>>,
    /// Whether the caller may change, close or unlock the account.
    pub manageable: bool,
    /// Whether the caller may set a new password, or take the second factor away: to do so is to become the user.
    pub resettable: bool,
    /// Whether signing in needs a code of a second factor.
    pub second_factor: bool,
}

/// A role that a user holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HeldRole {
    /// Role's code.
    pub role: &'static str,
    /// Role's name.
    pub label: &'static str,
    /// Where: this area and all below it.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// The last day on which it holds.
    pub ends_on: Option<NaiveDate>,
}

impl From<&Grant> for HeldRole {
    fn from(grant: &Grant) -> Self {
        Self {
            role: grant.role.code(),
            label: grant.role.label(),
            area: grant.area,
            ends_on: grant.ends_on,
        }
    }
}

/// Where roles are to be given.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RoleQuery {
    /// Says of each role whether the caller may give it in this area.
    pub area: Option<String>,
}

/// Which users to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Of this area and below.
    pub area: Option<String>,
    /// Beginning of the login, or the whole name.
    pub text: Option<String>,
    /// With this role.
    pub role: Option<String>,
    /// With this status.
    pub status: Option<UserStatus>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// What to grant.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRole {
    /// Role's code, such as `collector`.
    pub role: String,
    /// Where: this area and all below it.
    pub area: String,
    /// The last day on which it holds; none: until taken back.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub ends_on: Option<NaiveDate>,
}

/// What a grant is worth now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// It holds.
    InForce,
    /// Its last day is over.
    Ended,
    /// It was taken back.
    Revoked,
    /// Its row was edited past the server: it gives no right.
    Tampered,
}

/// A grant as callers see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GrantView {
    /// The grant.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// Role's code.
    pub role: String,
    /// Role's name.
    pub role_label: String,
    /// Where.
    pub area: String,
    /// The last day on which it holds.
    pub ends_on: Option<NaiveDate>,
    /// Who gave it; none: the command line.
    pub granted_by: Option<Uuid>,
    /// That person's name.
    pub granted_by_name: Option<String>,
    /// When.
    pub granted_at: DateTime<Utc>,
    /// What it is worth now.
    pub state: GrantState,
    /// Whether the caller may take it back.
    pub revocable: bool,
}

/// One thing a user may do, where, and through which grant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RightView {
    /// Permission's code.
    pub permission: &'static str,
    /// Permission's name.
    pub label: &'static str,
    /// Where: this area and all below it.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// The role that carries it.
    pub role: &'static str,
    /// Role's name.
    pub role_label: &'static str,
    /// The grant that gives it.
    pub grant: Uuid,
    /// The grant's last day.
    pub ends_on: Option<NaiveDate>,
    /// The fields of each type of record that the right goes to, where it doesn't go to all: those that are shown whole
    /// (`register.read`), shown whole for a purpose (`register.reveal`), or may be written (`register.write`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<FieldName>>)]
    pub fields: BTreeMap<&'static str, Vec<FieldName>>,
}

/// A field that a right goes to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldName {
    /// Its key.
    pub name: &'static str,
    /// Its Chinese label.
    pub label: &'static str,
}

/// The fields that a role's permission goes to, by type of record; empty for a permission that is about none.
fn fields(role: Role, permission: Permission) -> BTreeMap<&'static str, Vec<FieldName>> {
    let goes_to = |field: &Field| match permission {
        Permission::ReadRegister => field.mask == Mask::None,
        Permission::RevealSecrets => field.mask != Mask::None,
        Permission::WriteRegister => field.may_write(role),
        _ => false,
    };
    let named = |declared: &'static RecordType| {
        let fields = declared.fields.iter().filter(|field| goes_to(field));
        let names = fields.map(|field| FieldName {
            name: &field.name,
            label: &field.label,
        });
        (declared.name.as_str(), names.collect::<Vec<_>>())
    };
    let records = records::all()
        .iter()
        .filter(|declared| declared.kind == RecordKind::Record);
    records
        .map(named)
        .filter(|(_, names)| !names.is_empty())
        .collect()
}

impl RightView {
    /// Everything that grants give.
    #[must_use]
    pub fn of(grants: &[Grant]) -> Vec<Self> {
        let right = |grant: &Grant, permission: &Permission| Self {
            permission: permission.code(),
            label: permission.label(),
            area: grant.area,
            role: grant.role.code(),
            role_label: grant.role.label(),
            grant: grant.id,
            ends_on: grant.ends_on,
            fields: fields(grant.role, *permission),
        };
        Permission::ALL
            .iter()
            .flat_map(|permission| {
                grants
                    .iter()
                    .filter(|grant| grant.role.may(*permission))
                    .map(move |grant| right(grant, permission))
            })
            .collect()
    }
}
