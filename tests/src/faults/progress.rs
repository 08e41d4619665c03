//! What a row that takes minutes says while it is played: every so often a line to standard error with what was tried so
//! far, so that whoever waits sees that it goes on, and one that is stopped has said how far it came. Knows no row; the
//! count is the process's, as rows are played one after another and some of them on several threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(15);

static TRIED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Counts faults that were made, and how many of them were not survived.
pub(super) fn count(tried: u64, failed: u64) {
    TRIED.fetch_add(tried, Ordering::Relaxed);
    FAILED.fetch_add(failed, Ordering::Relaxed);
}

/// Says at once what went wrong, for whoever waits for a row that takes an hour.
pub(super) fn say(why: &str) {
    eprintln!("… {why}");
}

/// Says how a row goes on, until it is dropped.
pub(super) struct Progress {
    over: Option<Sender<()>>,
    speaker: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to count for `row`. A thread of its own speaks: some rows never let go of theirs.
    pub(super) fn of(row: &'static str) -> Self {
        TRIED.store(0, Ordering::Relaxed);
        FAILED.store(0, Ordering::Relaxed);
        let (over, ended) = mpsc::channel::<()>();
        let started = Instant::now();
        let speaker = std::thread::spawn(move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{}", line(row, started.elapsed()));
            }
        });
        Self {
            over: Some(over),
            speaker: Some(speaker),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(speaker) = self.speaker.take() {
            speaker.join().ok();
        }
    }
}

fn line(row: &str, since: Duration) -> String {
    let (tried, failed) = (
        TRIED.load(Ordering::Relaxed),
        FAILED.load(Ordering::Relaxed),
    );
    let so_far = match (tried, failed) {
        (0, _) => "nothing counted yet".to_owned(),
        (_, 0) => format!("{tried} tried"),
        _ => format!("{tried} tried, {failed} NOT SURVIVED"),
    };
    format!("… {row}: {so_far}, {} s", since.as_secs())
}
