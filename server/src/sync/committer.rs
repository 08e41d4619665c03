//! Group commit: envelopes that arrive at the same time share one transaction, so that locks, the audit chain and the
//! disk's flush are paid once. Every envelope still has its own answer and its own audit entry.
//!
//! There are a few lanes, so that one group is judged and sealed while the database writes another. A device always
//! has the same lane: its envelopes are judged in the order of their numbers.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::num::NonZero;
use std::sync::Arc;

use doorstep_core::envelope::MAX_ITEMS;
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
/// How many of them several envelopes of one device may have.
const SHARE: usize = MAX_ITEMS;
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
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(job) = jobs.recv().await else { return };
            waiting.push_back(job);
        }
        while waiting.len() < QUEUE
            && let Ok(job) = jobs.try_recv()
        {
            waiting.push_back(job);
        }
        let device = |job: &Job| job.submission.who.device;
        let items = |job: &Job| job.submission.items.len();
        let group = fair_group(&mut waiting, device, items);
        metrics::histogram!("doorstep_sync_group_items")
            .record(group.iter().map(items).sum::<usize>() as f64);
        commit(&state, group).await;
    }
}

/// Takes what is committed together, in the order in which it came: of each device an envelope, or several small ones,
/// until there are enough items. A phone that comes back with a thousand edits shares each group with those that have one.
fn fair_group<T, K: Eq + Hash>(
    waiting: &mut VecDeque<T>,
    device: impl Fn(&T) -> K,
    items: impl Fn(&T) -> usize,
) -> Vec<T> {
    let (mut shares, mut taken) = (HashMap::new(), 0);
    let (group, rest): (Vec<T>, Vec<T>) = waiting.drain(..).partition(|job| {
        let more = items(job).max(1);
        let share: &mut usize = shares.entry(device(job)).or_default();
        let fits = taken < ITEMS && (*share == 0 || share.saturating_add(more) <= SHARE);
        if fits {
            *share += more;
            taken += more;
        } else {
            // What comes behind one that stays must not overtake it.
            *share = usize::MAX;
        }
        fits
    });
    waiting.extend(rest);
    group
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of envelopes by device and number of items, each with its place in what came.
    fn groups(came: &[(char, usize)]) -> Vec<Vec<usize>> {
        let mut waiting: VecDeque<usize> = (0..came.len()).collect();
        let mut groups = Vec::new();
        while !waiting.is_empty() {
            let group = fair_group(&mut waiting, |at| came[*at].0, |at| came[*at].1);
            groups.push(group);
        }
        groups
    }

    #[test]
    fn a_device_with_large_envelopes_has_one_in_each_group_and_their_order_stays() {
        let came = [
            ('a', 200),
            ('a', 200),
            ('b', 1),
            ('a', 1),
            ('c', 0),
            ('b', 9),
        ];
        assert_eq!(groups(&came), [vec![0, 2, 4, 5], vec![1, 3]]);
    }

    #[test]
    fn a_group_is_full_with_enough_items() {
        let came = [('a', ITEMS), ('b', 256), ('b', 256), ('a', 3)];
        assert_eq!(groups(&came), [vec![0], vec![1, 3], vec![2]]);
    }
}
