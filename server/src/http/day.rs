//! Days and times that a request names: calendars of programs go on where the database's ends.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use doorstep_core::time::begins_in_shanghai;
use serde::de::{Deserialize, Deserializer, Error};

use crate::error::Problems;

/// A day of the years 1 to 9999, or none. Anything else is a request that can't be read.
///
/// # Errors
/// When it is another year, or no day.
pub fn day<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NaiveDate>, D::Error> {
    within(Option::<NaiveDate>::deserialize(from)?)
}

/// The same for a point in time.
///
/// # Errors
/// When it is another year, or no time.
pub fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    within(Option::<DateTime<Utc>>::deserialize(from)?)
}

/// A period of days as the points in time between which it lies, the second no part of it; either may be left open.
/// A period that ends before it begins is a problem.
pub fn period(
    problems: &mut Problems,
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let ordered = from.zip(until).is_none_or(|(from, until)| from <= until);
    problems.require(
        ordered,
        "until",
        "until_before_from",
        "结束日期早于开始日期",
    );
    let after = until.and_then(|day| day.succ_opt());
    (from.map(begins_in_shanghai), after.map(begins_in_shanghai))
}

fn within<T: Datelike, E: Error>(given: Option<T>) -> Result<Option<T>, E> {
    match given {
        Some(given) if !(1..=9_999).contains(&given.year()) => {
            Err(E::custom("a year of no calendar"))
        }
        given => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(serde::Deserialize)]
    struct Asked {
        #[serde(default, deserialize_with = "day")]
        on: Option<NaiveDate>,
        #[serde(default, deserialize_with = "moment")]
        at: Option<DateTime<Utc>>,
    }

    fn reads(json: &str) -> bool {
        serde_json::from_str::<Asked>(json).is_ok()
    }

    #[test]
    fn only_years_that_the_database_takes_are_read() {
        let none: Asked = serde_json::from_str("{}").unwrap();
        assert!(none.on.is_none() && none.at.is_none());
        assert!(reads(r#"{"on":"0001-01-01"}"#) && reads(r#"{"on":"9999-12-31","at":null}"#));
        assert!(reads(r#"{"at":"2026-11-28T09:00:00+08:00"}"#));
        for on in [
            "-262143-01-01",
            "+262142-12-31",
            "-5000-01-01",
            "0000-12-31",
            "+10000-01-01",
        ] {
            assert!(!reads(&format!(r#"{{"on":"{on}"}}"#)), "{on}");
            assert!(!reads(&format!(r#"{{"at":"{on}T00:00:00Z"}}"#)), "{on}");
        }
    }
}
