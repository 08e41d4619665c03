//! How fast devices are let in. After an outage a city's phones come back within seconds of each other, and a server
//! that takes them all on at once greets none in time: they give up, come again, and it works for those that have left.
//! So only a few sign in at a time, a few wait, and everyone else is told when it will be their turn, as fast as sign-ins
//! really go: nearly every phone comes at most twice. Knows no frame.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::random;

/// How many sign in at a time: enough to keep the database busy, few enough to leave it to others too.
const AT_ONCE: u32 = 16;
/// How many may wait for a place: under a second of them.
const WAITING: usize = 256;
/// Turns are given so much closer to each other than sign-ins follow: of those that have one some never come, some come
/// late, and sign-ins grow faster while a storm wears off. Whoever comes too early waits; nobody waiting would be a pause.
const CLOSER: f64 = 0.8;
/// What one sign-in is taken to last before any was measured.
const GUESS: Duration = Duration::from_millis(50);
/// Turns begin so long from now: before that it is those who wait.
const SOON: Duration = Duration::from_secs(1);
/// The longest that anyone is sent away for: turns of a server that has just started are given at the pace of its first
/// seconds, its worst, and in a minute it would wait for those that it sent away.
const LONGEST: Duration = Duration::from_secs(30);

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    /// What a sign-in lasts, each newer one counting for a sixteenth.
    each: Duration,
    /// Until here turns have been given.
    given: Instant,
}

/// The right to sign in now; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    door: Door,
    began: Instant,
    _place: OwnedSemaphorePermit,
}

/// Counts who waits while they wait.
struct Waiting<'a>(&'a AtomicUsize);

impl Door {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(AT_ONCE as usize)),
            waiting: AtomicUsize::new(0),
            pace: Mutex::new(Pace {
                each: GUESS,
                given: Instant::now(),
            }),
        }))
    }

    /// For a device that has not said who it is yet: when to come again, if there is no room to wait.
    pub(super) fn away(&self) -> Option<Duration> {
        (self.0.waiting.load(Ordering::Relaxed) >= WAITING).then(|| self.turn())
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// When to come again, as too many wait already.
    pub(super) async fn enter(&self) -> Result<Place, Duration> {
        let waiting = &self.0.waiting;
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Waiting(waiting);
        if before >= WAITING {
            return Err(self.turn());
        }
        let place = self.0.places.clone().acquire_owned().await;
        drop(counted);
        Ok(Place {
            door: self.clone(),
            began: Instant::now(),
            // The semaphore is never closed.
            _place: place.map_err(|_| SOON)?,
        })
    }

    /// The next turn that nobody was given yet, from now.
    fn turn(&self) -> Duration {
        metrics::counter!("doorstep_devices_sent_away_total").increment(1);
        let now = Instant::now();
        let mut pace = self.0.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = pace.given.max(now + SOON) + pace.each.mul_f64(CLOSER) / AT_ONCE;
        if turn - now > LONGEST {
            // Beyond what can be foreseen: some time in the second half of it.
            return LONGEST.mul_f64(1.0 - random::fraction() / 2.0);
        }
        pace.given = turn;
        turn - now
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let pace = &self.door.0.pace;
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.each = (pace.each * 15 + self.began.elapsed()) / 16;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// What a sign-in takes here.
    const LASTS: Duration = Duration::from_millis(80);

    /// How a phone fares: how often it was sent away, and when it was in.
    async fn phone(
        door: Door,
        inside: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    ) -> (usize, Duration) {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(1).mul_f64(random::fraction())).await;
        let mut sent_away = 0;
        loop {
            match door.enter().await {
                Ok(_place) => {
                    let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                    most.fetch_max(now, Ordering::Relaxed);
                    tokio::time::sleep(LASTS).await;
                    inside.fetch_sub(1, Ordering::Relaxed);
                    return (sent_away, began.elapsed());
                }
                Err(wait) => {
                    sent_away += 1;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_goes_through_as_fast_as_sign_ins_go_and_few_come_three_times() {
        let (door, inside, most) = (Door::new(), Arc::default(), Arc::default());
        const PHONES: u32 = 8_000;
        let phones: Vec<_> = (0..PHONES)
            .map(|_| tokio::spawn(phone(door.clone(), Arc::clone(&inside), Arc::clone(&most))))
            .collect();
        let mut tries = Vec::new();
        let mut last = Duration::ZERO;
        for phone in phones {
            let (sent_away, took) = phone.await.unwrap();
            tries.push(sent_away + 1);
            last = last.max(took);
        }
        let best = LASTS * PHONES / AT_ONCE;
        assert!(last < best.mul_f64(1.3), "{last:?}, at best {best:?}");
        assert_eq!(most.load(Ordering::Relaxed), AT_ONCE as usize);
        let often = tries.iter().filter(|tries| **tries > 3).count();
        assert!(
            often < tries.len() / 20,
            "{often} of {PHONES} came more than three times"
        );
        assert!(door.away().is_none(), "nobody waits any more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_leaves_room() {
        let door = Door::new();
        let mut places = Vec::new();
        for _ in 0..AT_ONCE {
            places.push(door.enter().await.unwrap());
        }
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let door = door.clone();
                tokio::spawn(async move { door.enter().await.map(drop) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let away = door.away().unwrap();
        assert!(away > SOON && away < LONGEST, "{away:?}");
        assert!(door.enter().await.is_err());
        for one in &waiting[1..] {
            one.abort();
        }
        places.clear();
        for one in waiting {
            one.await.ok();
        }
        assert!(door.away().is_none());
        door.enter().await.unwrap();
    }
}
