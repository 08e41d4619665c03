//! The one place where the server takes randomness from the operating system.

use doorstep_core::time::Timestamp;

use crate::error::ApiError;

/// `N` random bytes.
///
/// # Errors
/// When the operating system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| ApiError::internal(anyhow::anyhow!("no randomness: {error}")))?;
    Ok(bytes)
}

/// A number from 0 up to 1, to spread what many would do at once; always 0 without randomness.
#[must_use]
pub fn fraction() -> f64 {
    bytes::<4>().map_or(0.0, |bytes| {
        f64::from(u32::from_le_bytes(bytes)) / 2_f64.powi(32)
    })
}

/// A new typed id (UUIDv7) at `now`: `random::id(now, UserId::new)`.
///
/// # Errors
/// As [`bytes`].
pub fn id<T>(now: Timestamp, make: impl FnOnce(Timestamp, [u8; 10]) -> T) -> Result<T, ApiError> {
    Ok(make(now, bytes()?))
}
