//! Waiting between tries: twice as long each time, up to a limit, with chance mixed in so that ten thousand phones
//! which lost one server do not all come back in the same second.

use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// From `least` up to `most`.
    #[must_use]
    pub fn new(least: Duration, most: Duration) -> Self {
        Self {
            least,
            most,
            failures: 0,
        }
    }

    /// A try went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// A try failed: how long to wait, between half and the whole of the step; `chance` is any random number.
    pub fn next(&mut self, chance: u32) -> Duration {
        let step = self
            .least
            .saturating_mul(1u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX))
            .min(self.most);
        self.failures = self.failures.saturating_add(1);
        step / 2 + step.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
    }
}

/// How long to wait when the server has said how long: it knows better than any rule how many are waiting and when it
/// will be this one's turn. Up to a second more, by chance, as servers tell whole seconds.
#[must_use]
pub fn told(wait: Duration, chance: u32) -> Duration {
    let most = wait.min(Duration::from_secs(1));
    wait + most.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_kept_to_within_a_second() {
        let seconds = Duration::from_secs;
        assert_eq!(told(seconds(7), 0), seconds(7));
        assert_eq!(told(seconds(7), u32::MAX), seconds(8));
        assert_eq!(told(Duration::ZERO, u32::MAX), Duration::ZERO);
    }

    #[test]
    fn it_doubles_up_to_its_limit_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<u64> = (0..10).map(|_| backoff.next(u32::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::from_millis(500));
        for _ in 0..100 {
            assert!(backoff.next(7) <= Duration::from_secs(60));
        }
    }
}
