//! Group commit: envelopes that arrive at the same time share one transaction, so that locks, the audit chain and the
//! disk's flush are paid once. Every envelope still has its own answer and its own audit entry.

use doorstep_core::ids::{DeviceId, UserId};
use tokio::sync::{mpsc, oneshot};

use crate::domains::audit;
use crate::error::{ApiError, ApiResult};
use crate::register::{self, Receipt, Submission};
use crate::state::AppState;

/// How many envelopes may wait; past that the sockets wait, and with them the devices.
const QUEUE: usize = 256;
/// How many items one transaction takes.
const ITEMS: usize = 2_000;

struct Job {
    submission: Submission,
    answer: oneshot::Sender<ApiResult<Receipt>>,
}

/// Where sockets hand in envelopes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Committer(mpsc::Sender<Job>);

impl Committer {
    /// Starts the worker; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(state: AppState) -> Self {
        let (to, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(work(state, jobs));
        Self(to)
    }

    /// Hands in a submission and waits until it is committed.
    ///
    /// # Errors
    /// When it could not be committed; the device sends it again.
    pub async fn submit(&self, submission: Submission) -> ApiResult<Receipt> {
        let (answer, answered) = oneshot::channel();
        let gone = || ApiError::internal(anyhow::anyhow!("the committer has stopped"));
        self.0
            .send(Job { submission, answer })
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
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
                audit::Entry::by_server(now, "sync_push")
                    .user(*user)
                    .device(*device)
                    .detail(serde_json::json!({ "items": receipt.outcomes.len() }))
            })
            .collect()
    })
    .await?;
    metrics::counter!("doorstep_changes_accepted_total").increment(applied.changes as u64);
    Ok(applied.receipts)
}
