//! What the server does by itself while it serves. Each job is a domain's; here is only the clockwork.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::domains::{audit, auth, checks, imports, photos, registry, users};
use crate::error::ApiResult;
use crate::state::AppState;

/// Samples of histograms are kept one by one until then, whether or not anyone asks for them.
const METRICS_EVERY: Duration = Duration::from_secs(5);
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const REMIND_EVERY: Duration = Duration::from_secs(3_600);
/// Imports begin at once; this finds those whose node died.
const IMPORT_EVERY: Duration = Duration::from_secs(15);

/// Refusals are counted by the minute.
const REFUSALS_EVERY: Duration = Duration::from_secs(20);
/// Checks are looked at when the register says so; this finds those whose node died, and what is overdue.
const CHECK_EVERY: Duration = Duration::from_secs(60);
const TIDY_PHOTOS_EVERY: Duration = Duration::from_secs(600);
/// Most of its turns pass: it works at night.
const STRAY_PHOTOS_EVERY: Duration = Duration::from_secs(3_600);

/// Starts all jobs; they end when the server stops.
pub fn start(state: &AppState) -> JoinHandle<()> {
    let state = state.clone();
    tokio::spawn(async move {
        let sign_every = state.config.audit_signature_interval;
        tokio::join!(
            repeat(&state, "sign audit head", sign_every, |state| async move {
                audit::sign_head(&state).await.map(drop)
            }),
            repeat(&state, "metrics", METRICS_EVERY, |state| async move {
                state.metrics.run_upkeep();
                Ok(())
            }),
            repeat(
                &state,
                "write refusals",
                REFUSALS_EVERY,
                |state| async move { audit::write_refusals(&state).await }
            ),
            repeat(&state, "prune sign-in", PRUNE_EVERY, |state| async move {
                auth::service::prune(&state).await
            }),
            repeat(
                &state,
                "remind of returns",
                REMIND_EVERY,
                |state| async move { registry::service::remind_returns(&state).await.map(drop) }
            ),
            repeat(
                &state,
                "rights that ended",
                REMIND_EVERY,
                |state| async move { users::service::note_ended(&state).await }
            ),
            wake(
                &state,
                "checks",
                &state.checks_due,
                CHECK_EVERY,
                |state| async move { checks::service::work(&state).await }
            ),
            repeat(&state, "imports", IMPORT_EVERY, |state| async move {
                imports::service::work(&state).await
            }),
            repeat(
                &state,
                "tidy photos",
                TIDY_PHOTOS_EVERY,
                |state| async move { photos::service::tidy(&state).await }
            ),
            repeat(
                &state,
                "stray photos",
                STRAY_PHOTOS_EVERY,
                |state| async move { photos::service::remove_strays_at_night(&state).await }
            ),
        );
        if let Err(error) = audit::write_refusals(&state).await {
            tracing::warn!(%error, "counted refusals were not written");
        }
        // The last word of a node that stops in order.
        if let Err(error) = audit::sign_head(&state).await {
            tracing::warn!(%error, "the audit log's head was not signed");
        }
    })
}

async fn repeat<F>(state: &AppState, name: &str, every: Duration, job: impl Fn(AppState) -> F)
where
    F: Future<Output = ApiResult<()>>,
{
    wake(state, name, &Notify::new(), every, job).await;
}

/// As `repeat`, and whenever someone asks.
async fn wake<F>(
    state: &AppState,
    name: &str,
    asked: &Notify,
    every: Duration,
    job: impl Fn(AppState) -> F,
) where
    F: Future<Output = ApiResult<()>>,
{
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopped() => return,
            _ = ticks.tick() => {}
            () = asked.notified() => {}
        }
        if let Err(error) = job(state.clone()).await {
            tracing::error!(job = name, %error, "a job failed");
        }
    }
}
