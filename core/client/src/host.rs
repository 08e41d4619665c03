//! What the machine gives: time and random bytes, which nothing else of this crate asks for; and a signal to stop.

use std::time::{SystemTime, UNIX_EPOCH};

use doorstep_core::time::Timestamp;
use tokio::sync::watch;

use crate::error::{ClientError, ClientResult};

/// The machine's clock; it may be wrong, and nothing depends on it but what people read.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    Timestamp(ms)
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> ClientResult<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(ClientError::storage)?;
    Ok(bytes)
}

/// Returns when the signal says stop, or nobody is left to say it.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}
