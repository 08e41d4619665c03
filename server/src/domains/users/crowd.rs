//! The two columns of a user and a grant that only the server can make: for many users at once, in tests.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, UserId};
use doorstep_core::rights::Role;
use uuid::Uuid;

use super::{grants, name};
use crate::error::ApiResult;
use crate::state::AppState;

/// A name's columns: sealed, the key's version, its token.
pub(crate) async fn sealed_name(
    state: &AppState,
    id: UserId,
    area: AreaCode,
    name: &str,
) -> ApiResult<(Vec<u8>, i32, i64)> {
    let name = name::seal(state, id, area, name).await?;
    Ok((name.sealed, name.key_version, name.token))
}

/// A collector's grant without end: its id, since when, its tag.
pub(crate) fn grant(
    state: &AppState,
    user: UserId,
    area: AreaCode,
) -> ApiResult<(Uuid, DateTime<Utc>, Vec<u8>)> {
    let row = grants::new(state, user, Role::Collector, area, None, None)?;
    Ok((row.id, row.granted_at, row.tag))
}
