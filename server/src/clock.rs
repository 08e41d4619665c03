//! The server's time, passed in so that tests can turn it. All of it is UTC but the day, which is Shanghai's.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use doorstep_core::time::Timestamp;

/// Where 'now' comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;

    /// The present moment as devices write it: Unix milliseconds.
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.now().timestamp_millis())
    }

    /// The present day in Shanghai.
    fn today(&self) -> NaiveDate {
        self.timestamp().date_in_shanghai().unwrap_or_default()
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

/// A time that a device says, where the database can keep it: devices' clocks may say anything, PostgreSQL's years end.
#[must_use]
pub fn storable(time: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.0).filter(|at| (1..=9_999).contains(&at.year()))
}

/// 2020-01-01 in Shanghai, in Unix milliseconds: nothing that is recorded here was made before.
const FIRST: i64 = 1_577_808_000_000;
/// A year, in milliseconds.
const YEAR: i64 = 366 * 24 * 3_600_000;

/// Whether a device's clock was years off when it said this. Work that was made long ago and comes late is not: only
/// what lies more than a year ahead, or before there was anything to make it with.
#[must_use]
pub fn is_off(said: Timestamp, now: Timestamp) -> bool {
    said.0 < FIRST || said.0 > now.0.saturating_add(YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_work_is_in_time_and_the_ends_of_time_are_off() {
        let now = 1_795_482_000_000;
        let off = |said| is_off(Timestamp(said), Timestamp(now));
        assert!(!off(now) && !off(now - 3 * YEAR) && !off(now + YEAR));
        assert!(off(0) && off(i64::MIN) && off(i64::MAX) && off(now + YEAR + 1));
    }

    #[test]
    fn only_times_that_the_database_takes_are_kept() {
        let kept = |ms| storable(Timestamp(ms)).is_some();
        assert!(kept(0) && kept(1_795_482_000_000) && kept(-62_135_596_800_000));
        let ends = [i64::MIN, i64::MAX, 253_402_300_800_000, -62_135_596_800_001];
        assert!(!ends.into_iter().any(kept));
    }
}
