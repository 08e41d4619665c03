//! Points in time as they travel and are stored. Knows no clock: every 'now' is passed in by the host.

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The point `ms` milliseconds later (earlier, when negative); stops at the ends of the range.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The calendar date in Shanghai (UTC+8, which knows no summer time), or `None` outside chrono's range.
    #[must_use]
    pub fn date_in_shanghai(self) -> Option<chrono::NaiveDate> {
        chrono::DateTime::from_timestamp_millis(self.0.saturating_add(8 * 3_600_000))
            .map(|at| at.date_naive())
    }
}

/// When a calendar day begins in Shanghai (UTC+8, which knows no summer time).
#[must_use]
pub fn begins_in_shanghai(day: chrono::NaiveDate) -> chrono::DateTime<chrono::Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc() - chrono::TimeDelta::hours(8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_shanghai() {
        let day = "2026-11-24".parse().unwrap();
        let begin = begins_in_shanghai(day);
        assert_eq!(begin.to_rfc3339(), "2026-11-23T16:00:00+00:00");
        let moment = Timestamp(begin.timestamp_millis());
        assert_eq!(moment.date_in_shanghai(), Some(day));
        assert_ne!(moment.plus_ms(-1).date_in_shanghai(), Some(day));
    }
}
