//! The caller of a request: user, device, grants in force. Checks the first wall (rights) and sets the second
//! (row-level security).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use doorstep_core::rights::{Permission, Role};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::database::{self, Tx};
use crate::domains::audit::Trail;
use crate::domains::users::Grant;
use crate::error::{ApiError, ApiResult};

/// A signed-in caller.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user.
    pub user: UserId,
    /// What the user signed in with.
    pub login: String,
    /// The area that the user belongs to; a right comes from grants alone.
    pub area: AreaCode,
    /// The device that the session is bound to; none for the console.
    pub device: Option<DeviceId>,
    /// The session.
    pub session: Uuid,
    /// What holds now.
    pub grants: Arc<[Grant]>,
    /// Where the request leaves its audit record.
    pub trail: Arc<Trail>,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
}

impl Actor {
    /// The server itself, for commands on its own machine: whoever may read its keys may do everything.
    #[must_use]
    pub fn server(city: AreaCode, at: DateTime<Utc>) -> Self {
        let grant = Grant {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            role: Role::Server,
            area: city,
            ends_on: None,
            granted_by: None,
            granted_at: at,
        };
        Self {
            user: grant.user,
            login: String::new(),
            area: city,
            device: None,
            session: Uuid::nil(),
            grants: Arc::new([grant]),
            trail: Arc::new(Trail::new(String::new(), None)),
            must_change_password: false,
        }
    }

    /// The user, to be written down as who did something; none for the server itself.
    #[must_use]
    pub fn person(&self) -> Option<UserId> {
        (!self.user.0.is_nil()).then_some(self.user)
    }

    /// Refuses unless a grant carries the permission in this area; gives that grant: the reason why.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, permission: Permission, area: &AreaCode) -> ApiResult<&Grant> {
        self.why(permission, area).ok_or_else(ApiError::forbidden)
    }

    /// The grant through which the actor may do it there, if any.
    #[must_use]
    pub fn why(&self, permission: Permission, area: &AreaCode) -> Option<&Grant> {
        self.grants
            .iter()
            .find(|grant| grant.role.may(permission) && grant.area.contains(area))
    }

    /// Refuses unless a grant carries the permission in a part of this area: for lists, which show that part.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_some(&self, permission: Permission, area: &AreaCode) -> ApiResult<()> {
        let overlaps = self
            .areas(permission)
            .iter()
            .any(|own| own.contains(area) || area.contains(own));
        if overlaps {
            Ok(())
        } else {
            Err(ApiError::forbidden())
        }
    }

    /// The area that a list is asked for; refused where the actor sees no part of it.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn area_asked(
        &self,
        permission: Permission,
        area: Option<AreaCode>,
    ) -> ApiResult<Option<AreaCode>> {
        if let Some(area) = &area {
            self.require_some(permission, area)?;
            self.trail.note_area(*area);
        }
        Ok(area)
    }

    /// Whether any grant carries the permission.
    #[must_use]
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| grant.role.may(permission))
    }

    /// Where the actor may do it: these areas and all below them.
    #[must_use]
    pub fn areas(&self, permission: Permission) -> Vec<AreaCode> {
        self.grants
            .iter()
            .filter(|grant| grant.role.may(permission))
            .map(|grant| grant.area)
            .collect()
    }

    /// Puts a transaction that began with wider sight behind the wall of the actor's areas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn narrow(&self, tx: &mut PgConnection, permission: Permission) -> ApiResult<()> {
        Ok(database::narrow(tx, self.areas(permission)).await?)
    }
}

/// A transaction that sees only the areas where the actor has the permission.
///
/// # Errors
/// When the database fails.
pub async fn scoped_tx(pool: &PgPool, actor: &Actor, permission: Permission) -> ApiResult<Tx> {
    Ok(database::area_tx(pool, actor.areas(permission)).await?)
}
