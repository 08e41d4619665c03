//! A power cut in the middle of a device's writes: the write-ahead logs of its two files cut at any byte. What opens
//! afterwards is a clean prefix of the edits, and of the outbox alone nothing is ever missing that was acknowledged.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, DeviceId, RecordId, UserId};
use doorstep_core::store::DeviceStore;
use doorstep_core::sync::{Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_sqlite::{OpenError, SqliteStore};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::ground::{key_of, marking, resident};
use super::{Figures, Options};

const KEY: [u8; 32] = [8; 32];
const RECORDS: u8 = 3;
const EDITS: usize = 9;
/// Between two cuts in the long form, in bytes: as many seeds cut at every byte. A frame is 600 times as long.
const EVERY: usize = 7;
const FILES: [&str; 4] = [
    "outbox.db",
    "outbox.db-wal",
    "register.db",
    "register.db-wal",
];

fn who() -> anyhow::Result<Identity> {
    Ok(Identity {
        device: DeviceId::from_bytes([1; 16]),
        user: UserId::from_bytes([1; 16]),
        key: KeyPair::from_secret(&[1; 32])?,
    })
}

fn record(number: usize) -> RecordId {
    RecordId::from_bytes([1 + (number % usize::from(RECORDS)) as u8; 16])
}

/// The files of a store that was killed after its last edit.
struct Killed(Vec<(&'static str, Vec<u8>)>);

impl Killed {
    fn make(who: &Identity) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut store = SqliteStore::open(dir.path(), KEY, who.user)?;
        let area: AreaCode = "310101002001".parse()?;
        for number in 0..EDITS {
            let mark = marking(&format!("w{number}"));
            if store.record(record(number))?.is_some() {
                edit::update(&mut store, who, record(number), &mark, Timestamp(1))?;
            } else {
                let mut fields = resident();
                fields.extend(mark);
                let id = record(number);
                edit::create(&mut store, who, id, "resident", area, fields, Timestamp(1))?;
            }
        }
        let folder = store.folder().to_owned();
        let files = FILES.into_iter().map(|name| {
            let bytes = std::fs::read(folder.join(name)).with_context(|| name.to_owned())?;
            Ok((name, bytes))
        });
        let killed = Self(files.collect::<anyhow::Result<_>>()?);
        drop(store);
        Ok(killed)
    }

    fn bytes(&self, name: &str) -> &[u8] {
        let file = self.0.iter().find(|(file, _)| *file == name);
        file.map_or(&[], |(_, bytes)| bytes)
    }

    /// The files as they lie after the cut.
    fn lay_out(&self, cut: &Cut, dir: &Path, who: &Identity) -> anyhow::Result<()> {
        let folder: PathBuf = dir.join("users").join(who.user.to_string());
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in &self.0 {
            let length = match *name {
                "outbox.db-wal" => cut.outbox,
                "register.db-wal" => cut.register,
                _ => bytes.len(),
            };
            std::fs::write(folder.join(name), &bytes[..length])?;
        }
        Ok(())
    }
}

/// The row `wal-cut`.
pub(super) fn play(options: &Options) -> anyhow::Result<Figures> {
    let mut rng = options.chance("wal-cut");
    let who = who()?;
    let killed = Killed::make(&who)?;
    let (outbox, register) = (
        killed.bytes("outbox.db-wal"),
        killed.bytes("register.db-wal"),
    );
    ensure!(!outbox.is_empty() && !register.is_empty(), "nothing to cut");
    let mut cuts = Vec::new();
    for length in lengths(options, register, &mut rng) {
        // Alone: the outbox knows everything that the register lost.
        cuts.push(Cut::of(outbox.len(), length, true));
    }
    for length in lengths(options, outbox, &mut rng) {
        cuts.push(Cut::of(length, register.len(), false));
        // Both: a disk that kept nothing in order.
        cuts.push(Cut::of(length, rng.random_range(0..=register.len()), false));
    }
    let started = Instant::now();
    let mut figures = spread(&cuts, |cut, figures| {
        let kept = after(&killed, cut, &who);
        count(figures, kept, cut);
    })?;
    let each = started.elapsed().as_secs_f64() * 1e3 / cuts.len() as f64;
    figures.note = format!(
        "logs of {} and {} bytes, {EDITS} edits; a cut every {each:.1} ms",
        outbox.len(),
        register.len()
    );
    Ok(figures)
}

/// Where a log is cut: evenly; in the long form as many seeds, one after another, cut everywhere, and each cuts at the end
/// of every frame and the bytes beside it.
fn lengths(options: &Options, log: &[u8], rng: &mut ChaCha8Rng) -> BTreeSet<usize> {
    if options.short {
        let step = log.len() / 60 + 1;
        return (rng.random_range(0..step)..=log.len())
            .step_by(step)
            .collect();
    }
    let evenly = (options.seed as usize % EVERY..=log.len()).step_by(EVERY);
    let ends = frame_ends(log).flat_map(|end| [end - 1, end, end + 1]);
    evenly.chain(ends.filter(|end| *end <= log.len())).collect()
}

/// Where the header of a write-ahead log ends, and each of its frames: a header of 24 bytes and a page
/// (<https://www.sqlite.org/fileformat2.html#walformat>).
fn frame_ends(log: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let page = log.get(8..12).and_then(|size| size.try_into().ok());
    let page = page.map_or(4_096, u32::from_be_bytes) as usize;
    (32..=log.len()).step_by(24 + page)
}

/// How many bytes of each log are left, and whether nothing may be lost.
struct Cut {
    outbox: usize,
    register: usize,
    all: bool,
}

impl Cut {
    fn of(outbox: usize, register: usize, all: bool) -> Self {
        Self {
            outbox,
            register,
            all,
        }
    }
}

/// Does the same with each on as many threads as there are cores: each takes the next that nobody has taken.
fn spread<T: Sync>(all: &[T], one: impl Fn(&T, &mut Figures) + Sync) -> anyhow::Result<Figures> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut figures = Figures::default();
        while let Some(this) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(this, &mut figures);
        }
        figures
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut figures = Figures::default();
        for thread in threads {
            figures.add(thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        }
        Ok(figures)
    })
}

/// What is cut is bytes, not a disk: a folder in memory where the system has one saves waiting for flushes.
fn in_memory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

fn count(figures: &mut Figures, kept: anyhow::Result<usize>, cut: &Cut) {
    match kept {
        Ok(kept) => {
            if cut.all {
                figures.lost += (EDITS - kept) as u64;
            }
            figures.fault(Ok(()));
        }
        Err(error) => {
            let (outbox, register) = (cut.outbox, cut.register);
            figures.fault(Err(format!("cut at {outbox} and {register}: {error:#}")));
        }
    }
}

/// How many edits are there after a cut, when those are the first ones and nothing else.
fn after(killed: &Killed, cut: &Cut, who: &Identity) -> anyhow::Result<usize> {
    let dir = in_memory()?;
    killed.lay_out(cut, dir.path(), who)?;
    let mut store = match SqliteStore::open(dir.path(), KEY, who.user) {
        Err(OpenError::RegisterDamaged | OpenError::OutboxDamaged) => {
            SqliteStore::salvage(dir.path(), KEY, who.user)?.0
        }
        opened => opened?,
    };
    edit::recover(&mut store, who)?;
    let mut there = Vec::new();
    for number in 0..EDITS {
        let held = store.record(record(number))?;
        let key = key_of(&format!("w{number}"));
        there.push(held.is_some_and(|held| held.registers.get(&key).is_some()));
    }
    let kept = there.iter().take_while(|there| **there).count();
    if there[kept..].iter().any(|there| *there) {
        bail!("holes: {there:?}");
    }
    let queued = store.outbox()?;
    ensure!(
        queued.len() == kept,
        "{kept} shown, {} to be sent",
        queued.len()
    );
    let mut hashes: Vec<_> = queued.iter().map(|item| item.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    ensure!(
        hashes.len() == kept
            && queued
                .iter()
                .all(|item| matches!(item.item, Item::Change(_))),
        "something is queued twice"
    );
    // And it goes on from there.
    if kept > 0 {
        edit::update(&mut store, who, record(0), &marking("next"), Timestamp(9))?;
    }
    Ok(kept)
}
