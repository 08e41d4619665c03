//! Killed at any moment (SIGKILL), the store has every edit that it acknowledged, once.
//!
//! `DOORSTEP_KILLS=1000 cargo test -p doorstep-sqlite --release --test crash` for the long form.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use doorstep_core::crdt::chunk;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, DeviceId, RecordId, UserId};
use doorstep_core::protocol::frames::{Down, Outcome, Pushed, Refusal, Up, Welcome};
use doorstep_core::store::{DeviceStore, SavedEnvelope};
use doorstep_core::sync::{DeviceSession, Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use doorstep_sqlite::SqliteStore;

/// Set in the child: where its store lies, and the number of its first edit.
const CHILD: &str = "DOORSTEP_CRASH_CHILD";
const KEY: [u8; 32] = [8; 32];
const RECORDS: u64 = 12;

fn who() -> Identity {
    Identity {
        device: DeviceId::from_bytes([1; 16]),
        user: UserId::from_bytes([1; 16]),
        key: KeyPair::from_secret(&[1; 32]).unwrap(),
    }
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, KEY, who().user).unwrap()
}

fn record(n: u64) -> RecordId {
    RecordId::from_bytes([u8::try_from(n % RECORDS).unwrap() + 1; 16])
}

/// Each edit puts a key that no other edit puts.
fn key(n: u64) -> String {
    format!("tags/n{n}")
}

fn edit_number(store: &mut SqliteStore, who: &Identity, n: u64) {
    let area: AreaCode = "310101002001".parse().unwrap();
    let tag = (key(n), Value::Bool(true));
    if store.record(record(n)).unwrap().is_some() {
        let fields = Fields::from([tag]);
        edit::update(store, who, record(n), &fields, Timestamp(1)).unwrap();
    } else {
        let texts = [("name", "王小明"), ("sex", "1"), ("population_kind", "01")];
        let mut fields: Fields = texts
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into();
        fields.extend([tag]);
        edit::create(
            store,
            who,
            record(n),
            "resident",
            area,
            fields,
            Timestamp(1),
        )
        .unwrap();
    }
}

/// A server's answer to what is queued: every seventh item is refused, what builds on it is made again.
fn answer(store: &mut SqliteStore, session: &mut DeviceSession, who: &Identity) {
    let Some(Up::Push(signed)) = session.push(store, Timestamp(2)).unwrap() else {
        return;
    };
    let envelope = signed.open(who.device, &who.key.public()).unwrap();
    let mut broken = BTreeSet::new();
    let outcomes = envelope.items.iter().map(|item| {
        let Item::Change(change) = item else {
            return Outcome::Accepted;
        };
        let (decoded, _) = chunk::decode(&change.bytes).unwrap();
        let first = decoded.deps.is_empty();
        let number = tag_numbers(&decoded).next().unwrap();
        let code = if broken.contains(&change.record) {
            "builds_on_refused"
        } else if number.is_multiple_of(7) && !first {
            broken.insert(change.record);
            "field_not_writable"
        } else {
            return Outcome::Accepted;
        };
        Outcome::Refused(Refusal {
            code: code.to_owned(),
            field: None,
            message: "已转给主管处理。".to_owned(),
        })
    });
    let pushed = Pushed {
        seq: envelope.seq,
        outcomes: outcomes.collect(),
        refused: None,
    };
    session
        .receive(store, Down::Pushed(pushed), Timestamp(3))
        .unwrap();
}

fn tag_numbers(change: &doorstep_core::crdt::FlatChange) -> impl Iterator<Item = u64> {
    let keys = change.ops.iter().map(|op| op.key.clone());
    keys.filter_map(|key| {
        key.strip_prefix("tags/n")
            .and_then(|number| number.parse().ok())
    })
}

/// What the child does until it is killed. A line on stdout says that an edit is acknowledged.
fn edit_for_ever(dir: &Path, first: u64) {
    let (mut store, who) = (open(dir), who());
    assert!(edit::recover(&mut store, &who).unwrap().is_empty());
    let mut session = DeviceSession::new(who.clone(), vec![0; 32]);
    // The server goes on where it stood: one that expects less was restored from a backup.
    let judged = store.state("_answered").unwrap();
    let judged = judged.map_or(0, |number| number.parse::<u64>().unwrap());
    let welcome = Welcome {
        time: Timestamp(0),
        next_envelope: judged + 1,
        scopes: vec![],
        dropped: vec![],
    };
    session
        .receive(&mut store, Down::Welcome(welcome), Timestamp(0))
        .unwrap();
    let mut out = std::io::stdout();
    for n in first.. {
        edit_number(&mut store, &who, n);
        writeln!(out, "edit {n}").unwrap();
        if n.is_multiple_of(9) {
            answer(&mut store, &mut session, &who);
        }
    }
}

#[test]
fn no_acknowledged_edit_is_lost_or_doubled_by_a_kill() {
    if let Ok(child) = std::env::var(CHILD) {
        let (first, dir) = child.split_once(':').unwrap();
        edit_for_ever(Path::new(dir), first.parse().unwrap());
        return;
    }
    let kills: u64 = std::env::var("DOORSTEP_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(40);
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut last_envelope = 0;
    for kill in 1..=kills {
        let said = run_and_kill(dir.path(), kill);
        acknowledged.extend(said);
        check(dir.path(), &acknowledged, kill, &mut last_envelope);
    }
    assert!(
        acknowledged.len() as u64 > kills * 2,
        "too few edits to say anything: {}",
        acknowledged.len()
    );
}

/// Runs a child that edits, kills it, and gives the edits that it acknowledged. One in four is killed while it opens the
/// store or soon after, the others some time after their first edit.
fn run_and_kill(dir: &Path, kill: u64) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "no_acknowledged_edit_is_lost_or_doubled_by_a_kill",
            "--nocapture",
        ])
        .env(CHILD, format!("{}:{}", kill * 1_000_000, dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while said.is_empty() && !kill.is_multiple_of(4) {
        said.extend(acknowledged_in(&lines.next().unwrap().unwrap()));
    }
    std::thread::sleep(Duration::from_micros(
        kill.wrapping_mul(2_654_435_761) % 80_000,
    ));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the child ended by itself");
    // Up to the end of the pipe: everything that was said before the kill.
    let rest = lines.map_while(Result::ok);
    said.extend(rest.filter_map(|line| acknowledged_in(&line)));
    said
}

/// The edit that a line acknowledges; the test harness may have begun the line.
fn acknowledged_in(line: &str) -> Option<u64> {
    line.split_once("edit ")?.1.parse().ok()
}

/// How often each edit is found in what is stored.
fn check(dir: &Path, acknowledged: &BTreeSet<u64>, kill: u64, last_envelope: &mut u64) {
    let (mut store, who) = (open(dir), who());
    assert!(store.check().unwrap(), "kill {kill}: the file is whole");
    // The two files agree without any mending.
    assert_eq!(edit::recover(&mut store, &who).unwrap(), [], "kill {kill}");

    let mut shown = BTreeSet::new();
    let mut stored: BTreeMap<u64, u32> = BTreeMap::new();
    let mut hashes = BTreeSet::new();
    for n in 0..RECORDS {
        let Some(held) = store.record(record(n)).unwrap() else {
            continue;
        };
        shown.extend(held.registers.keys().filter_map(|key| {
            key.strip_prefix("tags/n")
                .and_then(|number| number.parse::<u64>().ok())
        }));
        for change in store.changes(record(n)).unwrap() {
            let (decoded, hash) = chunk::decode(&change.bytes).unwrap();
            assert_eq!(hash, change.hash);
            assert!(hashes.insert(hash), "kill {kill}: a change is stored twice");
            for number in tag_numbers(&decoded) {
                *stored.entry(number).or_default() += 1;
            }
        }
    }
    let mut queued: BTreeMap<u64, u32> = BTreeMap::new();
    for item in store.outbox().unwrap() {
        assert!(
            hashes.contains(&item.hash.unwrap()),
            "kill {kill}: queued, not shown"
        );
        for number in numbers_in(&item.item) {
            *queued.entry(number).or_default() += 1;
        }
    }
    let mut refused = BTreeSet::new();
    for kept in store.refused().unwrap() {
        for number in numbers_in(&kept.item) {
            assert!(refused.insert(number), "kill {kill}: refused twice");
        }
    }
    for n in acknowledged {
        assert!(
            shown.contains(n) != refused.contains(n),
            "kill {kill}: edit {n} is shown {} and refused {}",
            shown.contains(n),
            refused.contains(n),
        );
    }
    for (n, times) in stored.iter().chain(&queued) {
        assert_eq!(*times, 1, "kill {kill}: edit {n} is there {times} times");
    }
    // An envelope's number is never given twice, and it names items that are still there.
    let newest = store.last_envelope().unwrap();
    assert!(newest >= *last_envelope);
    *last_envelope = newest;
    let items: BTreeSet<u64> = store.outbox().unwrap().iter().map(|item| item.id).collect();
    for SavedEnvelope { seq, items: of, .. } in store.envelopes().unwrap() {
        assert!(seq <= newest);
        assert!(of.iter().all(|id| items.contains(id)), "kill {kill}");
    }
}

fn numbers_in(item: &Item) -> Vec<u64> {
    match item {
        Item::Change(change) => tag_numbers(&chunk::decode(&change.bytes).unwrap().0).collect(),
        Item::Event(_) => Vec::new(),
    }
}
