//! Turns at hashing passwords. A hash takes a tenth of a second of a core, and strangers may ask for it: few are computed
//! at a time, a few seconds' worth of them wait, and whoever comes beyond that is told at once to come again. Strangers
//! whose source has failed lately wait apart, and one at a time goes on from there to wait with the others
//! (docs/adr/022). Knows no password and no login.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{ApiError, ApiResult, Kind};

/// Hashes computed at once: guessing must not take every core.
const AT_ONCE: usize = 2;
/// How many may wait: some four seconds of hashes.
const WAITING: usize = 64;
/// How many of those may be strangers: however many come, there is room for those who are known.
const STRANGERS: usize = 48;
/// How many may wait apart: some six seconds while nobody else is there, and as many as an office signs in at once.
const DOUBTED: usize = 48;
/// Longest wait: where hashes go slower than they should, what is left of the time for the request is enough for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// When whoever finds no room is told to come again: all who wait now are done by then.
const COME_AGAIN: u64 = 5;

/// The server's own.
pub(super) static TURNS: Turns = Turns::of(AT_ONCE);

/// Who brings a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// Has proved something already: a device's key, or a session.
    Known,
    /// Has proved nothing.
    Stranger,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    hashes: Semaphore,
    apart: Semaphore,
    waiting: AtomicUsize,
    doubted: AtomicUsize,
}

/// Counts who waits while they wait.
#[derive(Debug)]
struct Waiting(&'static AtomicUsize);

impl Waiting {
    /// One more of at most so many.
    fn of(count: &'static AtomicUsize, most: usize) -> ApiResult<Self> {
        let counted = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(busy());
        }
        Ok(counted)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place to wait for a turn; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    turns: &'static Turns,
    waiting: Waiting,
    apart: bool,
}

impl Turns {
    const fn of(at_once: usize) -> Self {
        Self {
            hashes: Semaphore::const_new(at_once),
            apart: Semaphore::const_new(1),
            waiting: AtomicUsize::new(0),
            doubted: AtomicUsize::new(0),
        }
    }

    /// A place to wait.
    ///
    /// # Errors
    /// `busy` when too many wait.
    pub(super) fn enter(&'static self, caller: Caller) -> ApiResult<Place> {
        let most = match caller {
            Caller::Known => WAITING,
            Caller::Stranger => STRANGERS,
        };
        Ok(Place {
            turns: self,
            waiting: Waiting::of(&self.waiting, most)?,
            apart: false,
        })
    }
}

impl Place {
    /// The same among those who wait apart.
    ///
    /// # Errors
    /// `busy` when too many wait there.
    pub(super) fn apart(self) -> ApiResult<Self> {
        Ok(Self {
            waiting: Waiting::of(&self.turns.doubted, DOUBTED)?,
            apart: true,
            ..self
        })
    }

    /// Waits for the turn and does the work. The turn lasts as long as the work, which goes on when the caller hangs up.
    ///
    /// # Errors
    /// `busy` when the turn does not come within some seconds; the work was not begun then.
    pub(super) async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<T> {
        let turn = tokio::time::timeout(PATIENCE, self.turn());
        let turn = turn.await.map_err(|_| busy())??;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(ApiError::internal)
    }

    async fn turn(self) -> ApiResult<(SemaphorePermit<'static>, Option<SemaphorePermit<'static>>)> {
        let one = |turns: &'static Semaphore| turns.acquire();
        let apart = match self.apart {
            true => Some(one(&self.turns.apart).await.map_err(ApiError::internal)?),
            false => None,
        };
        let turn = one(&self.turns.hashes).await.map_err(ApiError::internal)?;
        drop(self.waiting);
        Ok((turn, apart))
    }
}

fn busy() -> ApiError {
    let mut busy = ApiError::new(
        Kind::Unavailable,
        "busy",
        "现在需要核对的密码太多，请过几秒再试一次",
    );
    busy.retry_after = Some(COME_AGAIN);
    busy
}

/// Takes all turns, after whoever waits already, until it is dropped; for tests.
///
/// # Errors
/// Never.
#[cfg(feature = "testing")]
pub async fn occupy_turns() -> ApiResult<SemaphorePermit<'static>> {
    let all = u32::try_from(AT_ONCE).map_err(ApiError::internal)?;
    TURNS
        .hashes
        .acquire_many(all)
        .await
        .map_err(ApiError::internal)
}

/// How many wait for a turn, and how many apart; for tests.
#[cfg(feature = "testing")]
#[must_use]
pub fn waiting_for_turns() -> (usize, usize) {
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    (count(&TURNS.waiting), count(&TURNS.doubted))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn who_hangs_up_gives_no_turn_back_before_the_work_is_done() {
        static TURNS: Turns = Turns::of(1);
        let (goes_on, may_end) = std::sync::mpsc::channel::<()>();
        let (says, begun) = tokio::sync::oneshot::channel::<()>();
        let work = TURNS.enter(Caller::Stranger).unwrap().work(move || {
            says.send(()).unwrap();
            may_end.recv().unwrap();
        });
        let hung_up = tokio::select! {
            _ = work => false,
            heard = begun => heard.is_ok(),
        };
        assert!(hung_up);
        assert_eq!(TURNS.hashes.available_permits(), 0, "the work goes on");
        goes_on.send(()).unwrap();
        drop(TURNS.hashes.acquire().await.unwrap());
    }

    #[tokio::test]
    async fn so_many_wait_and_strangers_leave_room_for_who_is_known() {
        static TURNS: Turns = Turns::of(1);
        let enter = |caller| TURNS.enter(caller).map_err(|error| error.code);
        let mut strangers = Vec::new();
        while let Ok(place) = enter(Caller::Stranger) {
            strangers.push(place);
        }
        assert_eq!(strangers.len(), STRANGERS);
        let mut known = Vec::new();
        while let Ok(place) = enter(Caller::Known) {
            known.push(place);
        }
        assert_eq!(known.len(), WAITING - STRANGERS);
        // Whoever is doubted makes room for others, until there is none apart.
        let mut apart = Vec::new();
        known.clear();
        let more = std::iter::from_fn(|| Some(enter(Caller::Known).unwrap()));
        for place in strangers.into_iter().chain(more.take(5)) {
            match place.apart() {
                Ok(place) => apart.push(place),
                Err(error) => assert_eq!((error.code, error.retry_after), ("busy", Some(5))),
            }
        }
        assert_eq!(apart.len(), DOUBTED);
        assert_eq!(TURNS.waiting.load(Ordering::Relaxed), 0);
        // Work that is begun waits no more; who gives up leaves no trace.
        enter(Caller::Stranger).unwrap().work(|| ()).await.unwrap();
        apart.clear();
        assert_eq!(TURNS.doubted.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_of_the_doubted_waits_no_longer_than_some_seconds() {
        static TURNS: Turns = Turns::of(1);
        let held = TURNS.hashes.acquire().await.unwrap();
        let place = TURNS.enter(Caller::Stranger).unwrap().apart().unwrap();
        let error = place.work(|| ()).await.unwrap_err();
        assert_eq!(error.code, "busy");
        assert_eq!(TURNS.doubted.load(Ordering::Relaxed), 0);
        assert_eq!(TURNS.apart.available_permits(), 1);
        drop(held);
    }

    #[tokio::test]
    async fn however_many_are_doubted_one_of_them_stands_before_others() {
        static TURNS: Turns = Turns::of(1);
        let held = TURNS.hashes.acquire().await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut all = Vec::new();
        for (name, doubted) in [
            ("a", true),
            ("b", true),
            ("c", true),
            ("d", false),
            ("e", false),
        ] {
            let place = TURNS.enter(Caller::Stranger).unwrap();
            let place = if doubted {
                place.apart().unwrap()
            } else {
                place
            };
            let order = order.clone();
            all.push(tokio::spawn(
                place.work(move || order.lock().unwrap().push(name)),
            ));
            tokio::task::yield_now().await;
        }
        drop(held);
        for one in all {
            one.await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["a", "d", "e", "b", "c"]);
    }
}
