//! A user's name: sealed under the key of the user's area, found by its blind form.

use doorstep_core::ids::{AreaCode, UserId};

use super::model::UserRow;
use super::store::SealedName;
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

const TABLE: &str = "users";
const NAME: &str = "name_sealed";

/// Blind form of a whole name.
pub(super) fn token(state: &AppState, name: &str) -> i64 {
    state.keys.blind(&format!("user-name:{name}"))
}

/// A name as it is stored for a user of an area.
pub(super) async fn seal(
    state: &AppState,
    id: UserId,
    area: AreaCode,
    name: &str,
) -> ApiResult<SealedName> {
    let key = state.keys.area_key(area).await?;
    Ok(SealedName {
        sealed: key.seal(TABLE, id.as_bytes(), NAME, name.as_bytes())?,
        key_version: key.version,
        token: token(state, name),
    })
}

/// The name of a row.
pub(super) async fn open(state: &AppState, row: &UserRow) -> ApiResult<String> {
    let key = state
        .keys
        .area_key_version(row.area_code, row.name_key_version)
        .await?;
    let plain = key.open(TABLE, row.id.as_bytes(), NAME, &row.name_sealed)?;
    String::from_utf8(plain).map_err(ApiError::internal)
}
