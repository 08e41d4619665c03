//! Lists that were found to have more than are counted: for a minute they are not counted again. A street has a hundred
//! thousand residents and many supervisors, and going through ten thousand of them only says 'more than 10,000' each
//! time. What is counted to its end is never remembered. Knows no record and no database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::store::Filter;

/// How long it is believed. Ten thousand do not leave a list meanwhile; who sees 'more than 10,000' for a list that has
/// just shrunk to 9,999 is told the number a minute later.
const BELIEVED: TimeDelta = TimeDelta::minutes(1);
/// Lists remembered at once; past it those that are believed no longer make room, or all.
const MOST: usize = 4_096;

/// See the module. Cheap to clone; each node has its own.
#[derive(Clone, Debug, Default)]
pub struct LongLists(Arc<Mutex<HashMap<String, DateTime<Utc>>>>);

impl LongLists {
    /// Whether this list had more than are counted a moment ago.
    pub(super) fn knows(&self, filter: &Filter, now: DateTime<Utc>) -> bool {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        name(filter)
            .and_then(|name| lists.get(&name))
            .is_some_and(|since| now - since < BELIEVED)
    }

    /// Notes that it has.
    pub(super) fn note(&self, filter: &Filter, now: DateTime<Utc>) {
        let Some(name) = name(filter) else {
            return;
        };
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= MOST {
            lists.retain(|_, since| now - *since < BELIEVED);
        }
        if lists.len() >= MOST {
            lists.clear();
        }
        lists.insert(name, now);
    }
}

/// What tells one list from another: all its conditions, wherever its page begins. What was found by words has none: it
/// is few, named by ids, and counted each time.
fn name(filter: &Filter) -> Option<String> {
    if filter.ids.is_some() {
        return None;
    }
    let conditions = Filter {
        after: None,
        rows: 0,
        ..filter.clone()
    };
    Some(format!("{conditions:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of(areas: &[&str]) -> Filter {
        Filter {
            record_type: "resident",
            areas: Some(areas.iter().map(|area| (*area).to_owned()).collect()),
            rows: 51,
            ..Filter::default()
        }
    }

    #[test]
    fn a_long_list_is_believed_for_a_minute_and_no_other_for_it() {
        let (lists, now) = (LongLists::default(), Utc::now());
        lists.note(&of(&["310101002000"]), now);
        let mut further = of(&["310101002000"]);
        (further.after, further.rows) = (Some(uuid::Uuid::nil()), 201);
        assert!(lists.knows(&further, now + TimeDelta::seconds(59)));
        assert!(!lists.knows(&further, now + TimeDelta::seconds(60)));
        assert!(!lists.knows(&of(&["310101013000"]), now));
        let mut narrower = of(&["310101002000"]);
        narrower.cancelled = Some(true);
        assert!(!lists.knows(&narrower, now));
    }

    #[test]
    fn so_many_lists_are_remembered_and_no_more() {
        let (lists, now) = (LongLists::default(), Utc::now());
        for number in 0..=MOST {
            lists.note(&of(&[&number.to_string()]), now);
        }
        assert!(lists.0.lock().unwrap().len() <= MOST);
    }
}
