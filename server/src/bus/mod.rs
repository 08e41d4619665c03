//! What the nodes of one system tell each other, so that phones and consoles at one hear at once what happened at
//! another. Only hints travel: which scope's log grew, whose rights changed, who has which record open. A node reads in
//! the database what a hint is about, so a lost one costs time, a false one costs a read, and nothing in clear leaves.
//! Here is what is waiting to be said; `node` says and hears it over NATS. Knows records by their ids alone.

mod message;
mod node;
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::ServerAddr;
use doorstep_core::ids::{AreaCode, RecordId, ScopeId, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub use node::start;

use crate::live::Notice;

/// How much of each kind goes into one message: some 200 KB, where NATS takes 1 MB.
const AT_ONCE: usize = 2_000;
/// How many notices wait while the bus can't be reached; past that the others are told that some were lost.
const NOTICES: usize = 10_000;

/// Where the bus is: NATS addresses, several of a cluster separated by commas. Shown without what may hold a password.
#[derive(Clone)]
pub struct Address(Vec<ServerAddr>);

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let each = text.split(',').map(|one| one.trim().parse());
        let all: Result<Vec<ServerAddr>, _> = each.collect();
        all.map(Self)
            .map_err(|_| "消息总线的地址应为 nats://主机:端口，多个用逗号分隔".to_owned())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.0.iter().map(|one| (one.host(), one.port()));
        f.debug_list().entries(hosts).finish()
    }
}

/// Who opened or closed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Opened {
    scope: ScopeId,
    user: UserId,
    record: Option<RecordId>,
}

/// What is said at once. What is said twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Words {
    /// Scopes whose log grew, with its end.
    moved: BTreeMap<ScopeId, u64>,
    /// Areas whose queue changed.
    queues: BTreeSet<AreaCode>,
    notices: Vec<Notice>,
    opened: Vec<Opened>,
}

impl Words {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As much as one message takes.
    fn take(&mut self) -> Self {
        let rest = match self.moved.keys().nth(AT_ONCE).copied() {
            Some(at) => self.moved.split_off(&at),
            None => BTreeMap::new(),
        };
        let notices = self.notices.len().min(AT_ONCE);
        let opened = self.opened.len().min(AT_ONCE);
        Self {
            moved: std::mem::replace(&mut self.moved, rest),
            queues: std::mem::take(&mut self.queues),
            notices: self.notices.drain(..notices).collect(),
            opened: self.opened.drain(..opened).collect(),
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    words: Words,
    /// Something was dropped: the others must hear that they missed it.
    lost: bool,
}

#[derive(Debug, Default)]
struct Mouth {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

/// What this node has to say. Without a bus nothing is kept. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bus(Option<Arc<Mouth>>);

impl Bus {
    /// One that keeps what is said until it can be sent.
    #[must_use]
    pub fn open() -> Self {
        Self(Some(Arc::default()))
    }

    /// A scope's log grew to this number.
    pub fn moved(&self, scope: ScopeId, end: u64) {
        self.say(|waiting| {
            let held = waiting.words.moved.entry(scope).or_default();
            *held = end.max(*held);
        });
    }

    /// An area's queue changed.
    pub fn queue_changed(&self, area: AreaCode) {
        self.say(|waiting| {
            waiting.words.queues.insert(area);
        });
    }

    /// Rights, devices or areas changed.
    pub fn notice(&self, notice: Notice) {
        self.say(|waiting| match waiting.words.notices.len() {
            NOTICES.. => waiting.lost = true,
            _ if waiting.words.notices.contains(&notice) => {}
            _ => waiting.words.notices.push(notice),
        });
    }

    /// A user opened a record, or has none open in this scope.
    pub fn opened(&self, scope: ScopeId, user: UserId, record: Option<RecordId>) {
        self.say(|waiting| {
            let opened = &mut waiting.words.opened;
            opened.retain(|one| (one.scope, one.user) != (scope, user));
            opened.push(Opened {
                scope,
                user,
                record,
            });
        });
    }

    fn say(&self, what: impl FnOnce(&mut Waiting)) {
        if let Some(mouth) = &self.0 {
            what(&mut mouth.lock());
            mouth.wake.notify_one();
        }
    }
}

impl Mouth {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_said_twice_is_sent_once_and_no_message_is_too_large() {
        let bus = Bus::open();
        let user = UserId::from_bytes([7; 16]);
        for round in 1..=3 {
            for n in 0..3_000_u32 {
                let scope = ScopeId::User(UserId::from_bytes(u128::from(n).to_be_bytes()));
                bus.moved(scope, round);
            }
            bus.notice(Notice::RightsChanged(user));
            bus.opened(ScopeId::Common, user, None);
        }
        let mut waiting = bus.0.as_ref().unwrap().lock();
        let first = waiting.words.take();
        assert_eq!(first.moved.len(), AT_ONCE);
        assert!(first.moved.values().all(|end| *end == 3));
        assert_eq!((first.notices.len(), first.opened.len()), (1, 1));
        assert_eq!(waiting.words.take().moved.len(), 1_000);
        assert!(waiting.words.is_empty());
    }

    #[test]
    fn an_address_shows_no_password() {
        let address: Address = "nats://doorstep:secret@one:4222, two".parse().unwrap();
        let shown = format!("{address:?}");
        assert!(shown.contains("one") && shown.contains("two") && !shown.contains("secret"));
        assert!("nats://one two".parse::<Address>().is_err());
    }
}
