//! Points in time as they travel and are stored. Knows no clock: every 'now' is passed in by the host.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How far Shanghai's clocks are ahead of UTC; they know no summer time.
const SHANGHAI: TimeDelta = TimeDelta::hours(8);

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

    /// What calendar and clock say in Shanghai, or `None` outside chrono's range.
    #[must_use]
    pub fn in_shanghai(self) -> Option<NaiveDateTime> {
        let at = DateTime::from_timestamp_millis(self.0)?.naive_utc();
        at.checked_add_signed(SHANGHAI)
    }

    /// The point at which calendar and clock say this in Shanghai.
    #[must_use]
    pub fn from_shanghai(local: NaiveDateTime) -> Self {
        Self(local.and_utc().timestamp_millis()).plus_ms(-SHANGHAI.num_milliseconds())
    }

    /// The calendar date in Shanghai, or `None` outside chrono's range.
    #[must_use]
    pub fn date_in_shanghai(self) -> Option<NaiveDate> {
        self.in_shanghai().map(|local| local.date())
    }
}

/// When a calendar day begins in Shanghai.
#[must_use]
pub fn begins_in_shanghai(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc() - SHANGHAI
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
        assert_eq!(moment.in_shanghai(), Some(day.and_time(NaiveTime::MIN)));
        assert_eq!(
            Timestamp::from_shanghai(day.and_time(NaiveTime::MIN)),
            moment
        );
        assert_eq!(Timestamp(i64::MAX).in_shanghai(), None);
    }
}
