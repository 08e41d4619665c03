//! What other domains may ask of alarms.

use doorstep_core::ids::{AreaCode, UserId};
use sqlx::PgConnection;

use super::store;
use crate::error::ApiResult;

/// Moves the alarms of a user's devices to the area that the user belongs to now, as the devices move.
///
/// # Errors
/// When the database fails.
pub async fn follow_user(tx: &mut PgConnection, user: UserId, area: &AreaCode) -> ApiResult<()> {
    Ok(store::follow_user(tx, user.0, area.as_str()).await?)
}
