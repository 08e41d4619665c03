//! The server's time, passed in so that tests can turn it. Knows no time zone: all is UTC.

use chrono::{DateTime, Utc};
use doorstep_core::time::Timestamp;

/// Where 'now' comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;

    /// The present moment as devices write it: Unix milliseconds.
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.now().timestamp_millis())
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
