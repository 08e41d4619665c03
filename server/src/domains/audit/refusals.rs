//! Refusals that anyone can cause without signing in: tokens that open nothing, tries on a locked account. The first of
//! a source in a minute is written down at once, the others are counted and written as one entry when the minute is
//! over, so that a flood of them can't bloat the log. Knows no token and no password.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::json;

use super::actions::Action;
use super::model::{Entry, Outcome, Trail};
use super::service::record_all;
use crate::database::system_tx;
use crate::error::ApiResult;
use crate::state::AppState;

/// Sources told apart at once; what others do is counted together.
const MOST_SOURCES: usize = 256;

/// Minute, source, action, code.
type Name = (DateTime<Utc>, Option<IpAddr>, Action, &'static str);

/// Counts refusals by minute and source. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<Name, u64>>>);

impl Refusals {
    /// Counts one; whether it is the first of its name.
    fn count(&self, at: DateTime<Utc>, trail: &Trail, action: Action, code: &'static str) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = minute(at);
        let mut name = (minute, trail.address.map(network), action, code);
        if !counts.contains_key(&name) && counts.len() >= MOST_SOURCES {
            name = (minute, None, Action::Refused, "many_sources");
        }
        let count = counts.entry(name).or_insert(0);
        *count += 1;
        *count == 1
    }

    /// Takes the counts of minutes that are over.
    fn take(&self, now: DateTime<Utc>) -> BTreeMap<Name, u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = minute(now);
        let (open, over) = std::mem::take(&mut *counts)
            .into_iter()
            .partition(|((at, ..), _)| *at >= now);
        *counts = open;
        over
    }

    fn put_back(&self, taken: BTreeMap<Name, u64>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in taken {
            *counts.entry(name).or_insert(0) += count;
        }
    }
}

fn minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
}

/// What counts as one source: an IPv4 address, or the 64 bits of an IPv6 address that a site is given.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => {
            let bits = u128::from(six) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

/// Writes down a refusal, or counts it where its source had one in this minute.
///
/// # Errors
/// When it can't be written.
pub async fn refused(
    state: &AppState,
    trail: &Arc<Trail>,
    action: Action,
    code: &'static str,
) -> ApiResult<()> {
    let now = state.clock.now();
    if !state.refusals.count(now, trail, action, code) {
        return Ok(());
    }
    let entry = Entry::on_trail(trail, now, action)
        .outcome(Outcome::Refused)
        .detail(json!({ "reason": code }));
    state.audit.write(entry).await
}

/// Writes what was counted in minutes that are over: one entry a minute and source, for those after the first. For a
/// job, and when the server stops.
///
/// # Errors
/// When the database fails; the counts are kept then.
pub async fn write_refusals(state: &AppState) -> ApiResult<()> {
    let taken = state.refusals.take(state.clock.now());
    let entries: Vec<Entry> = taken
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|((minute, source, action, code), count)| {
            let mut entry = Entry::by_server(*minute, *action)
                .outcome(Outcome::Refused)
                .detail(json!({ "reason": code, "more": count - 1, "minute": minute }));
            entry.address = *source;
            entry
        })
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let written = async {
        let mut tx = system_tx(&state.pool).await?;
        record_all(&mut tx, &entries).await?;
        Ok(tx.commit().await?)
    };
    let written = written.await;
    if written.is_err() {
        state.refusals.put_back(taken);
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn trail(address: &str) -> Trail {
        Trail::new(String::new(), Some(address.parse().unwrap()))
    }

    #[test]
    fn one_source_is_one_name_a_minute_and_many_sources_are_bounded() {
        let counts = Refusals::default();
        let at = DateTime::from_timestamp(1_795_482_000, 0).unwrap();
        assert!(counts.count(at, &trail("192.0.2.1"), Action::ListUsers, "x"));
        assert!(!counts.count(at, &trail("192.0.2.1"), Action::ListUsers, "x"));
        assert!(counts.count(at, &trail("2001:db8::1"), Action::ListUsers, "x"));
        assert!(!counts.count(at, &trail("2001:db8::2"), Action::ListUsers, "x"));
        let first = (0..10_000u32)
            .filter(|n| {
                let address = format!("10.0.{}.{}", n / 250, n % 250);
                counts.count(at, &trail(&address), Action::ListUsers, "x")
            })
            .count();
        assert!(
            first <= MOST_SOURCES,
            "{first} entries of ten thousand sources"
        );
        assert!(counts.take(at).is_empty(), "the minute is not over");
        let all: u64 = counts.take(at + TimeDelta::minutes(1)).values().sum();
        assert_eq!(all, 10_004, "none is lost");
        assert!(counts.count(
            at + TimeDelta::minutes(1),
            &trail("192.0.2.1"),
            Action::ListUsers,
            "x"
        ));
    }
}
