//! How often something may happen within a while. Knows nothing of what it is.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    within: Duration,
    since: Instant,
    taken: u32,
}

impl Pace {
    /// At most so many times in each such while.
    pub(super) fn of(most: u32, within: Duration) -> Self {
        Self {
            most,
            within,
            since: Instant::now(),
            taken: 0,
        }
    }

    /// It happens once more.
    ///
    /// # Errors
    /// When that is too often: after what time it may happen again.
    pub(super) fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        let passed = now - self.since;
        if passed >= self.within {
            self.since = now;
            self.taken = 0;
        } else if self.taken >= self.most {
            return Err(self.within - passed);
        }
        self.taken += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_too_often_waits_until_the_while_is_over() {
        let minute = Duration::from_secs(60);
        let mut pace = Pace::of(3, minute);
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..3 {
            pace.take().unwrap();
        }
        assert_eq!(pace.take(), Err(Duration::from_secs(50)));
        tokio::time::advance(Duration::from_secs(50)).await;
        for _ in 0..3 {
            pace.take().unwrap();
        }
        assert_eq!(pace.take(), Err(minute));
    }
}
