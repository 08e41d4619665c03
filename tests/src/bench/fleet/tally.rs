//! What a fleet of phones shares: where the servers are, how many are online, how long things took.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::sync::Semaphore;

/// How many connect at a time, where the rush itself is not measured.
pub(super) const DOORS: usize = 100;

/// See the module.
pub(super) struct Fleet {
    pub(super) tally: Tally,
    pub(super) http: reqwest::Client,
    pub(super) doors: Semaphore,
    servers: Vec<SocketAddr>,
}

impl Fleet {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            tally: Tally::default(),
            http: reqwest::Client::new(),
            doors: Semaphore::new(DOORS),
            servers,
        }
    }

    /// The same with one server.
    pub(super) fn at(of: &Self, server: SocketAddr) -> Self {
        Self {
            http: of.http.clone(),
            ..Self::new(vec![server])
        }
    }

    /// The server for a phone's turn: each has its share, and a phone that lost one tries the next.
    pub(super) fn address(&self, turn: usize) -> SocketAddr {
        self.servers[turn % self.servers.len()]
    }
}

/// Counts and times.
pub(super) struct Tally {
    started: Instant,
    pub(super) online: AtomicUsize,
    pub(super) failed: AtomicUsize,
    /// How often a phone was told to come again.
    pub(super) away: AtomicUsize,
    pub(super) refused: AtomicUsize,
    seen: Mutex<Vec<f64>>,
    answered: Mutex<Vec<f64>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            online: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            away: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            seen: Mutex::default(),
            answered: Mutex::default(),
        }
    }
}

/// One that is online, until it is dropped.
pub(super) struct Online<'a>(&'a Tally);

impl Drop for Online<'_> {
    fn drop(&mut self) {
        self.0.online.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tally {
    pub(super) fn enter(&self) -> Online<'_> {
        self.online.fetch_add(1, Ordering::Relaxed);
        Online(self)
    }

    /// Microseconds since the start; never zero.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX) + 1
    }

    /// Something written at `at` was seen now.
    pub(super) fn seen(&self, at: u64) {
        let took = self.now().saturating_sub(at) as f64 / 1e3;
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(took);
    }

    /// What was sent at `since` was answered now.
    pub(super) fn answered(&self, since: Instant) {
        let took = since.elapsed().as_secs_f64() * 1e3;
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.push(took);
    }

    /// Takes the times so far, in milliseconds: from an edit to where it is seen, and to its answer.
    ///
    /// # Errors
    /// When an edit was refused: an answer that does less is no time.
    pub(super) fn times(&self) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        self.none_refused()?;
        let take = |times: &Mutex<Vec<f64>>| {
            std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok((take(&self.seen), take(&self.answered)))
    }

    /// Phones write what they may.
    ///
    /// # Errors
    /// When the server refused any of it.
    pub(super) fn none_refused(&self) -> anyhow::Result<()> {
        let refused = self.refused.load(Ordering::Relaxed);
        ensure!(refused == 0, "{refused} edits were refused");
        Ok(())
    }

    /// Waits until so many are online.
    pub(super) async fn until_online(
        &self,
        count: usize,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.online.load(Ordering::Relaxed) < count {
            if started.elapsed() > patience {
                let online = self.online.load(Ordering::Relaxed);
                let failed = self.failed.load(Ordering::Relaxed);
                bail!("{online} of {count} are online after {patience:?}, {failed} tries failed");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}
