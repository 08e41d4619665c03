//! Group commit: envelopes that arrive at the same time share one transaction, so that locks, the audit chain and the
//! disk's flush are paid once. Every envelope still has its own answer and its own audit entry.
//!
//! There are a few lanes, so that one group is judged and sealed while the database writes another. A device always
//! has the same lane: its envelopes are judged in the order of their numbers.

use std::num::NonZero;
use std::sync::Arc;

use doorstep_core::ids::{DeviceId, UserId};
use tokio::sync::{mpsc, oneshot};

use crate::domains::audit;
use crate::error::{ApiError, ApiResult};
use crate::register::{self, Receipt, Submission};
use crate::state::AppState;

/// How many envelopes may wait in a lane; past that the sockets wait, and with them the devices.
const QUEUE: usize = 256;
/// How many items one transaction takes.
const ITEMS: usize = 2_000;
/// More lanes than this only wait for each other at the scopes' ends.
const MOST_LANES: usize = 4;

struct Job {
    submission: Submission,
    answer: oneshot::Sender<ApiResult<Receipt>>,
}

/// Where sockets hand in envelopes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Committer(Arc<[mpsc::Sender<Job>]>);

impl Committer {
    /// Starts the lanes; they end when the last handle is dropped.
    #[must_use]
    pub fn start(state: &AppState) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let lanes = (0..cores.clamp(2, MOST_LANES)).map(|_| {
            let (to, jobs) = mpsc::channel(QUEUE);
            tokio::spawn(work(state.clone(), jobs));
            to
        });
        Self(lanes.collect())
    }

    /// Hands in a submission, waiting while its lane is full. Submissions of a device are judged in the order in which
    /// they were handed in.
    ///
    /// # Errors
    /// When the server stops; the device sends it again.
    pub async fn hand_in(&self, submission: Submission) -> ApiResult<Awaited> {
        let (answer, answered) = oneshot::channel();
        let lane = self.lane(submission.who.device).ok_or_else(stopped)?;
        lane.send(Job { submission, answer })
            .await
            .map_err(|_| stopped())?;
        Ok(Awaited(answered))
    }

    fn lane(&self, device: DeviceId) -> Option<&mpsc::Sender<Job>> {
        let (_, random) = device.0.as_u64_pair();
        let at = usize::try_from(random % self.0.len().max(1) as u64).ok()?;
        self.0.get(at)
    }
}
/// What comes of a submission that was handed in. Dropping it changes nothing: it is committed all the same.
#[derive(Debug)]
pub struct Awaited(oneshot::Receiver<ApiResult<Receipt>>);

impl Awaited {
    /// Waits until it is committed; no longer once it has said so. Giving up waiting loses nothing.
    ///
    /// # Errors
    /// When it could not be committed; the device sends it again.
    pub async fn receipt(&mut self) -> ApiResult<Receipt> {
        (&mut self.0).await.map_err(|_| stopped())?
    }
}

fn stopped() -> ApiError {
    ApiError::internal(anyhow::anyhow!("the committer has stopped"))
}

async fn work(state: AppState, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let mut items = first.submission.items.len();
        let mut group = vec![first];
        while items < ITEMS
            && let Ok(job) = jobs.try_recv()
        {
            items += job.submission.items.len();
            group.push(job);
        }
        metrics::histogram!("doorstep_sync_group_items").record(items as f64);
        commit(&state, group).await;
    }
}

async fn commit(state: &AppState, mut group: Vec<Job>) {
    let submissions: Vec<Submission> = if group.len() == 1 {
        group
            .iter_mut()
            .map(|job| take(&mut job.submission))
            .collect()
    } else {
        group.iter().map(|job| job.submission.clone()).collect()
    };
    match apply(state, submissions).await {
        Ok(receipts) => {
            for (job, receipt) in group.into_iter().zip(receipts) {
                job.answer.send(Ok(receipt)).ok();
            }
        }
        Err(error) if group.len() == 1 => {
            if let Some(job) = group.pop() {
                job.answer.send(Err(error)).ok();
            }
        }
        // One that the database refuses must not take the others with it.
        Err(_) => {
            for job in group {
                let receipt = apply(state, vec![job.submission]).await;
                job.answer
                    .send(receipt.map(|mut receipts| receipts.pop().unwrap_or_default()))
                    .ok();
            }
        }
    }
}

fn take(submission: &mut Submission) -> Submission {
    let items = std::mem::take(&mut submission.items);
    Submission {
        items,
        ..submission.clone()
    }
}

async fn apply(state: &AppState, submissions: Vec<Submission>) -> ApiResult<Vec<Receipt>> {
    let makers: Vec<(DeviceId, UserId)> = submissions
        .iter()
        .map(|submission| (submission.who.device, submission.who.user))
        .collect();
    let now = state.clock.now();
    let applied = register::commit(state, submissions, |applied| {
        let entries = makers.iter().zip(&applied.receipts);
        entries
            .map(|((device, user), receipt)| {
                let entry = audit::Entry::by_server(now, audit::Action::SyncPush)
                    .user(*user)
                    .device(*device);
                match &receipt.refused {
                    None => entry.detail(serde_json::json!({ "items": receipt.outcomes.len() })),
                    Some(refusal) => entry
                        .outcome(audit::Outcome::Refused)
                        .detail(serde_json::json!({ "code": refusal.code })),
                }
            })
            .collect()
    })
    .await?;
    metrics::counter!("doorstep_changes_accepted_total").increment(applied.changes as u64);
    Ok(applied.receipts)
}
