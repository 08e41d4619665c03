//! What is left over goes: uploads that nobody goes on with, objects of what was erased, objects that nobody knows.

use chrono::{Duration, Timelike, Utc};
use doorstep_core::ids::{PhotoId, RecordId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::store;
use crate::database::system_tx;
use crate::error::ApiResult;
use crate::state::AppState;

/// An upload that nothing was heard of for so long is given up.
const PATIENCE: Duration = Duration::days(7);
/// Removals carried out in one transaction.
const AT_ONCE: i64 = 50;
/// Objects looked up in one statement.
const PAGE: usize = 1_000;
/// An object younger than this may belong to a row that is about to be committed.
const YOUNG: Duration = Duration::days(1);

/// The hour in Shanghai when the whole store is looked through.
const NIGHT: u32 = 3;

/// Drops photos and uploads of records and events that are erased, in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub async fn forget(
    tx: &mut PgConnection,
    state: &AppState,
    records: &[RecordId],
) -> ApiResult<u64> {
    let ids: Vec<Uuid> = records.iter().map(|id| id.0).collect();
    Ok(store::forget(tx, &ids, state.clock.now()).await?)
}

/// Begins to remove what was noted, without waiting. What does not succeed now, `tidy` does.
pub fn remove_soon(state: &AppState) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = remove_noted(&state).await {
            tracing::warn!(%error, "photos' objects were not removed yet");
        }
    });
}

/// Gives up uploads that nobody goes on with, and removes what was noted.
///
/// # Errors
/// When database or store fail; the next call goes on.
pub async fn tidy(state: &AppState) -> ApiResult<()> {
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let dropped = store::drop_stale(&mut tx, now - PATIENCE, now).await?;
    tx.commit().await?;
    metrics::counter!("doorstep_photo_uploads_given_up_total").increment(dropped);
    remove_noted(state).await
}

async fn remove_noted(state: &AppState) -> ApiResult<()> {
    loop {
        let mut tx = system_tx(&state.pool).await?;
        let ids = store::removals(&mut tx, AT_ONCE).await?;
        if ids.is_empty() {
            return Ok(());
        }
        for id in &ids {
            state.photos.remove_all(PhotoId(*id)).await?;
        }
        store::removed(&mut tx, &ids).await?;
        tx.commit().await?;
        metrics::counter!("doorstep_photos_removed_total").increment(ids.len() as u64);
    }
}

/// As `remove_strays`, in one hour of the night: for a job that runs every hour.
///
/// # Errors
/// As `remove_strays`.
pub async fn remove_strays_at_night(state: &AppState) -> ApiResult<()> {
    let local = state.clock.timestamp().in_shanghai();
    if local.is_some_and(|local| local.hour() == NIGHT) {
        remove_strays(state).await?;
    }
    Ok(())
}

/// Looks through the whole store for objects that no row knows (of a database that was set back, say), and removes them.
///
/// # Errors
/// When database or store fail; the next call begins anew.
pub async fn remove_strays(state: &AppState) -> ApiResult<()> {
    // The store stamps its objects by its own clock, not by the server's.
    let before = Utc::now() - YOUNG;
    let note = |ids: Vec<PhotoId>| async move {
        let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
        let mut tx = system_tx(&state.pool).await?;
        let strays = store::note_strays(&mut tx, &ids, state.clock.now()).await?;
        tx.commit().await?;
        if strays > 0 {
            tracing::warn!(strays, "objects of the photo store that nobody knows");
        }
        Ok(())
    };
    state.photos.each_page(before, PAGE, note).await?;
    remove_noted(state).await
}
