//! What the exchange with the police, and the register, may ask.

use super::picture;
use crate::error::ApiResult;
use crate::state::AppState;

/// Takes a photo under the name that the police's register gives it; a later one of the same name takes its place.
/// What the picture carries along (place, device) is left behind.
///
/// # Errors
/// `unreadable_photo` when it is no picture, or beyond the bounds; when it can't be kept.
pub async fn receive(state: &AppState, file: &str, bytes: Vec<u8>) -> ApiResult<()> {
    let clean = in_background(move || picture::encode(&picture::decode(&bytes)?)).await?;
    state.police_photos.put(&state.keys, file, &clean).await
}

/// Removes a photo: when its person is erased, or the police withdraw it.
///
/// # Errors
/// When the store fails.
pub async fn forget(state: &AppState, file: &str) -> ApiResult<()> {
    state.police_photos.remove(&state.keys, file).await
}

/// Decoding takes time that others must not wait for.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> ApiResult<T> + Send + 'static,
) -> ApiResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(crate::error::ApiError::internal)?
}
