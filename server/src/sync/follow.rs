//! What other processes commit, brought to those who are online here: a hint says that a log grew, the new entries are
//! read once for all who follow the scope. Knows no bus and no socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorstep_core::ids::ScopeId;
use futures_util::StreamExt;
use tokio::sync::Notify;

use crate::database::system_tx;
use crate::error::ApiResult;
use crate::register::{LogSlice, read};
use crate::state::AppState;

/// How many entries are read for all at once; who is further behind reads the log from where it stands.
const MOST: i64 = 500;
/// How many scopes are read side by side.
const TOGETHER: usize = 4;
/// After the database failed.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Due {
    scopes: BTreeMap<ScopeId, u64>,
    everywhere: bool,
}

/// Where to put hints. What is asked for while something is read is read next, once. Ends with its last handle.
#[derive(Debug)]
pub struct Follow {
    due: Arc<Mutex<Due>>,
    wake: Arc<Notify>,
    reading: tokio::task::JoinHandle<()>,
}

impl Follow {
    /// Starts reading.
    #[must_use]
    pub fn start(state: &AppState) -> Self {
        let (due, wake) = (Arc::<Mutex<Due>>::default(), Arc::<Notify>::default());
        let reading = tokio::spawn(work(state.clone(), due.clone(), wake.clone()));
        Self { due, wake, reading }
    }

    /// A scope's log grew to `end`.
    pub fn look_at(&self, scope: ScopeId, end: u64) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let held = due.scopes.entry(scope).or_default();
        *held = end.max(*held);
        self.wake.notify_one();
    }

    /// Any log may have grown.
    pub fn look_everywhere(&self) {
        self.due
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .everywhere = true;
        self.wake.notify_one();
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn work(state: AppState, due: Arc<Mutex<Due>>, wake: Arc<Notify>) {
    loop {
        wake.notified().await;
        let Due { scopes, everywhere } =
            std::mem::take(&mut *due.lock().unwrap_or_else(PoisonError::into_inner));
        let done = match everywhere {
            true => all(&state).await,
            false => each(&state, scopes).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "what other nodes wrote could not be read; it is tried again");
            tokio::time::sleep(PAUSE).await;
            due.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .everywhere = true;
            wake.notify_one();
        }
    }
}

/// Compares the ends of all logs that are followed here. Nothing is read of those that did not move.
async fn all(state: &AppState) -> ApiResult<()> {
    let known = state.hub.ends();
    let scopes: Vec<ScopeId> = known.keys().copied().collect();
    let mut tx = system_tx(&state.pool).await?;
    let ends = read::scope_ends(&mut tx, &scopes).await?;
    drop(tx);
    let moved = ends.into_iter().filter(|(scope, end)| {
        let known = known.get(scope).copied().flatten();
        known.is_none_or(|known| known < end.seq)
    });
    each(state, moved.map(|(scope, end)| (scope, end.seq)).collect()).await
}

async fn each(state: &AppState, scopes: BTreeMap<ScopeId, u64>) -> ApiResult<()> {
    let mut reading = futures_util::stream::iter(scopes)
        .map(|(scope, end)| bring(state, scope, end))
        .buffer_unordered(TOGETHER);
    while let Some(brought) = reading.next().await {
        brought?;
    }
    Ok(())
}

/// Reads a log from where those here stand, and hands it to them.
async fn bring(state: &AppState, scope: ScopeId, end: u64) -> ApiResult<()> {
    let known = state.hub.end(scope);
    if known.is_some_and(|known| known >= end) {
        return Ok(());
    }
    let mut tx = system_tx(&state.pool).await?;
    let now = read::scope_end(&mut tx, scope).await?;
    let near = known.filter(|from| now.seq.saturating_sub(*from) <= MOST.unsigned_abs());
    let mut slice = LogSlice {
        scope,
        from: known.unwrap_or(now.seq),
        end: now,
        entries: None,
    };
    if let Some(from) = near {
        // Who made an entry is at another node, as a rule: there it was told in short that it is its own.
        let (to, entries) = read::log_after(&mut tx, &state.keys, scope, from, MOST, None).await?;
        slice.entries =
            (to >= now.seq).then(|| entries.into_iter().map(|entry| (entry, None)).collect());
        slice.end.seq = to.max(now.seq);
    }
    drop(tx);
    state.hub.bring(slice);
    Ok(())
}
