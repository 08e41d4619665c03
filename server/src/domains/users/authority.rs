//! Graded administration: who stands above whom. Knows no database.

use doorstep_core::ids::AreaCode;
use doorstep_core::rights::{Permission, Role};

use super::model::Grant;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Kind};

/// Whether `grant` reaches a holder of `role` in `area`: within its own area, and administrators only below its
/// own level.
fn reaches(grant: &Grant, role: Role, area: &AreaCode) -> bool {
    grant.role == Role::Server
        || grant.area.contains(area)
            && (!role.is_administrator() || area.level() > grant.area.level())
}

/// Whether the actor gives and takes `role` in `area`.
pub(super) fn may_grant(actor: &Actor, role: Role, area: &AreaCode) -> bool {
    actor.grants.iter().any(|grant| {
        grant.role.may(Permission::GrantRoles)
            && grant.role.may_grant(role)
            && reaches(grant, role, area)
    })
}

/// Refuses to give or take what is beyond the actor's own area or level.
pub(super) fn require_grant(actor: &Actor, role: Role, area: &AreaCode) -> ApiResult<()> {
    if may_grant(actor, role, area) {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Forbidden,
        "beyond_own_level",
        format!(
            "您不能在这里授予或收回“{}”：只能在自己的区划内、对下级办理",
            role.label()
        ),
    ))
}

/// Refuses to touch the account or the devices of someone who holds a role that the actor does not stand above. Who guards
/// rights or reads the audit is touched only by those who could give that role: none of the three administrators stops
/// another.
///
/// # Errors
/// `outranked`.
pub fn require_above(actor: &Actor, theirs: &[Grant]) -> ApiResult<()> {
    let above = |held: &Grant| {
        actor.grants.iter().any(|grant| {
            grant.role.may(Permission::ManageUsers) && reaches(grant, held.role, &held.area)
        })
    };
    let apart = |held: &&Grant| held.role.stands_alone();
    if !theirs.iter().all(above) {
        return Err(outranked());
    }
    let managed = |held: &Grant| may_grant(actor, held.role, &held.area);
    if theirs.iter().filter(apart).all(managed) {
        Ok(())
    } else {
        Err(ApiError::new(
            Kind::Forbidden,
            "outranked",
            "这个用户担任安全管理员或审计员，请由上级安全管理员办理",
        ))
    }
}

/// As `require_above`, and every role must be one that the actor could give: to set a password is to become the user.
pub(super) fn require_could_grant_all(actor: &Actor, theirs: &[Grant]) -> ApiResult<()> {
    let could = theirs
        .iter()
        .all(|held| may_grant(actor, held.role, &held.area));
    if could { Ok(()) } else { Err(outranked()) }
}

fn outranked() -> ApiError {
    ApiError::new(
        Kind::Forbidden,
        "outranked",
        "这个用户的权限不低于您，请由上级管理员办理",
    )
}
