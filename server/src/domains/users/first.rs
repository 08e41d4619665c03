//! The first administrators of a city: made by a command on the server's machine, since nobody stands above them.

use doorstep_core::ids::{AreaLevel, UserId};
use doorstep_core::rights::Role;
use serde_json::json;

use super::store::{self, NewUser};
use super::{fields, grants, name};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth;
use crate::error::{ApiError, ApiResult, Problems};
use crate::random;
use crate::state::AppState;

/// Who the first administrator is to be.
#[derive(Clone, Debug)]
pub struct NewAdministrator {
    /// What to sign in with.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// The first password; must be changed at the first sign-in.
    pub password: String,
    /// `area_administrator`, `security_administrator` or `auditor`.
    pub role: Role,
}

/// Creates the city's first administrator of a kind. Nobody above could do it, so it is done by a command on the
/// server's machine, once for each of the three kinds; later ones are granted from above.
///
/// # Errors
/// When there is one already, no areas were imported yet, or login or password break a rule.
pub async fn create_first_administrator(
    state: &AppState,
    new: NewAdministrator,
) -> ApiResult<UserId> {
    let mut problems = Problems::default();
    let login = fields::check_login(&mut problems, &new.login);
    let name = fields::check_name(&mut problems, &new.name);
    problems.require(
        new.role.is_administrator() && new.role != Role::Server,
        "role",
        "no_administrator",
        "第一个管理员只能是区划管理员、安全管理员或审计员",
    );
    for problem in auth::password::problems(&new.password, &login) {
        problems.add("password", problem.code, problem.message);
    }
    problems.finish()?;
    let city = crate::domains::areas::service::city(state).await?;
    let id = random::id(state.clock.timestamp(), UserId::new)?;
    let sealed = name::seal(state, id, city, &name).await?;
    let credential = auth::service::hash_password(state, new.password).await?;
    let at = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let held = grants::live_of_role(state, &mut tx, new.role).await?;
    if held
        .iter()
        .any(|grant| grant.area.level() == AreaLevel::City)
    {
        return Err(ApiError::conflict(
            "administrator_exists",
            format!(
                "全市已有{}：如需增加，请由上级在系统中授权",
                new.role.label()
            ),
        ));
    }
    let user = NewUser {
        id: id.0,
        login: &login,
        name: sealed,
        area: city.as_str(),
        at,
        by: None,
    };
    store::create(&mut tx, &user).await?;
    auth::service::store_credential(&mut tx, id, &credential, at).await?;
    grants::insert(state, &mut tx, id, new.role, city, None, None).await?;
    let entry = Entry::by_server(at, Action::CreateFirstAdministrator)
        .subject("user", id)
        .area(city);
    audit::record(&mut tx, entry.detail(json!({ "role": new.role }))).await?;
    tx.commit().await?;
    Ok(id)
}
