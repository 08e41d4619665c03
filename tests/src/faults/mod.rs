//! What goes wrong, done on purpose: hostile bytes, devices that lie, processes killed, disks full, lines cut. Each row
//! of the table is a scenario of its own with a seed; what it found stands in `Figures`. Knows no figure to reach: the
//! table is printed, and anything lost, doubled or not survived fails the run.

mod archives;
mod book;
mod corpus;
mod corrupt_page;
mod crashers;
mod crew;
mod database_full;
mod device_killed;
mod disk_full;
mod first_sync;
mod floods;
mod furnished;
mod fuzz;
mod ground;
mod guessing;
mod half_files;
mod honest;
mod hostile;
mod hostile_kinds;
mod keys_rotated;
mod malformed;
mod malformed_live;
mod mutate;
mod oracle;
mod orders;
mod payloads;
mod progress;
mod server_killed;
mod slow_sockets;
mod slow_talk;
mod small_disk;
mod sockets;
mod wal_cut;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use device_killed::{CHILD, live_until_killed};
use ground::Ground;
pub(crate) use ground::resident_set;
use progress::Progress;
use server_killed::Victim;

/// Failures that a row tells.
const MOST_FAILURES: usize = 20;
/// What an honest device's p99 is to stay under, in ms, whatever goes on beside it. A time fails nothing: where it can be
/// meant, in the long form of a release build, the note says that it was over.
const P99_TARGET: u64 = 50;

/// How much of each row, and which.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `doorstep` program.
    pub program: PathBuf,
    /// This program, run again as a device that is to be killed.
    pub itself: PathBuf,
    /// Only these rows; all when empty.
    pub rows: Vec<String>,
    /// What every row's chance comes from.
    pub seed: u64,
    /// Counts that a test can wait for.
    pub short: bool,
}

impl Options {
    /// A count: for the short form, or the long.
    fn count(&self, short: u64, long: u64) -> u64 {
        if self.short { short } else { long }
    }

    /// A row's own chance.
    fn chance(&self, row: &str) -> ChaCha8Rng {
        let name = row
            .bytes()
            .fold(0u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(byte));
        ChaCha8Rng::seed_from_u64(self.seed ^ name)
    }
}

/// What a row found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Faults made.
    pub tried: u64,
    /// Faults after which everything went on as it should.
    pub survived: u64,
    /// Acknowledged edits that are nowhere.
    pub lost: u64,
    /// Edits that are there more than once.
    pub doubled: u64,
    /// What the slowest hundredth of an honest device's edits beside the row took longer than, in ms.
    pub p99_ms: Option<u64>,
    /// What else is worth saying.
    pub note: String,
    /// Figures of parts of the row.
    pub lines: Vec<String>,
    /// Why the row could not be played on this machine.
    pub skipped: Option<String>,
    /// What went wrong first, for the one who looks for the cause.
    pub failures: Vec<String>,
}

impl Figures {
    /// A fault, and whether it was survived.
    fn fault(&mut self, survived: Result<(), String>) {
        self.tried += 1;
        progress::count(1, u64::from(survived.is_err()));
        match survived {
            Ok(()) => self.survived += 1,
            Err(why) if self.failures.len() < MOST_FAILURES => {
                progress::say(&why);
                self.failures.push(why);
            }
            Err(_) => {}
        }
    }

    /// Faults that were made and looked at elsewhere, so many of them not survived.
    fn faults(&mut self, tried: u64, failed: u64) {
        self.tried += tried;
        self.survived += tried - failed;
        progress::count(tried, failed);
    }

    /// What others did: faults counted elsewhere.
    fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.survived += other.survived;
        self.lost += other.lost;
        self.doubled += other.doubled;
        let room = MOST_FAILURES.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
    }

    /// A row that can't be played here.
    fn skip(why: impl Into<String>) -> Self {
        Self {
            skipped: Some(why.into()),
            ..Self::default()
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.tried == self.survived && self.lost == 0 && self.doubled == 0
    }
}

/// A row that was played.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Played {
    /// Its name.
    pub row: &'static str,
    /// What it came to.
    #[serde(flatten)]
    pub figures: Figures,
    /// The seed that replays it.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The rows, and whether they need a running server.
pub const ROWS: &[(&str, bool, &str)] = &[
    (
        "malformed",
        false,
        "mutated changes, documents, envelopes and frames, read by the decoders",
    ),
    (
        "wal-cut",
        false,
        "a device's write-ahead logs cut at every seventh byte and around every frame: a clean prefix opens",
    ),
    (
        "orders",
        false,
        "duplicated, reordered, delayed and lost frames, in the simulator",
    ),
    (
        "clocks",
        false,
        "devices' clocks off by ten years, in the simulator",
    ),
    (
        "partition",
        false,
        "many devices cut off for three simulated days",
    ),
    (
        "malformed-live",
        true,
        "the same bytes from a signed-in device to a running server",
    ),
    (
        "hostile",
        true,
        "a device with valid credentials that lies: forged, out of scope, replayed, with gaps",
    ),
    (
        "floods",
        false,
        "a device that floods with sound, waiting and refused changes, up to its quota",
    ),
    (
        "device-killed",
        true,
        "kill -9 of a device between and during its writes",
    ),
    ("corrupt-page", true, "a damaged page in a device's files"),
    ("disk-full", true, "a device's disk with so many bytes left"),
    (
        "socket-cut",
        true,
        "the line cut at every frame, both ways, whole and within, and a new device's bundle",
    ),
    (
        "half-files",
        true,
        "every prefix of a workbook and of a police file with its control file refused, of a table judged by row",
    ),
    (
        "archives",
        true,
        "files that claim to be more than they are, and workbooks changed",
    ),
    (
        "slow-sockets",
        true,
        "connections that say nothing, only half of it, or that go on for ever",
    ),
    (
        "guessing",
        true,
        "passwords guessed, and one password tried on many accounts",
    ),
    (
        "server-killed",
        true,
        "kill -9 of the server while devices sync",
    ),
    (
        "database-killed",
        true,
        "kill -9 of the database under the server",
    ),
    (
        "keys-rotated",
        false,
        "the keys of all areas changed while devices sync and a supervisor reads",
    ),
    (
        "database-full",
        false,
        "the database's disk with so many bytes left",
    ),
    (
        "payloads",
        false,
        "SQL, scripts and odd text in every field, parameter and JSON text",
    ),
    (
        "fuzz",
        false,
        "requests made from the API's description, as nobody and as each role",
    ),
];

/// Says what rows there are.
///
/// # Errors
/// When nothing can be printed.
pub fn list(out: &mut dyn Write) -> anyhow::Result<()> {
    for (row, _, what) in ROWS {
        writeln!(out, "{row:<16} {what}")?;
    }
    Ok(())
}

/// Plays the rows that were asked for, printing each as it comes.
///
/// # Errors
/// When a row can't be played, or nothing could be printed.
pub async fn play(options: &Options, out: &mut (dyn Write + Send)) -> anyhow::Result<Vec<Played>> {
    for name in &options.rows {
        ROWS.iter()
            .find(|(row, ..)| row == name)
            .with_context(|| format!("no row is called {name}"))?;
    }
    let wanted = |name: &str| options.rows.is_empty() || options.rows.iter().any(|row| row == name);
    writeln!(
        out,
        "{:<16} {:>9} {:>9} {:>5} {:>7} {:>7} {:>7} {:>6}  note",
        "row", "tried", "survived", "lost", "doubled", "p99 ms", "seconds", "seed"
    )?;
    let mut ground: Option<Ground> = None;
    let mut played = Vec::new();
    for (row, live, _) in ROWS.iter().filter(|(row, ..)| wanted(row)) {
        if *live && ground.is_none() {
            ground = Some(Ground::open(&options.program).await?);
        }
        let started = Instant::now();
        let progress = Progress::of(row);
        let mut figures = one(row, options, ground.as_mut())
            .await
            .with_context(|| format!("row {row}, seed {}", options.seed))?;
        drop(progress);
        let seconds = started.elapsed().as_secs_f64();
        let over = figures.p99_ms.is_some_and(|p99| p99 >= P99_TARGET);
        if over && !options.short && !cfg!(debug_assertions) {
            figures.note += &format!("; p99 over {P99_TARGET} ms");
        }
        writeln!(
            out,
            "{:<16} {:>9} {:>9} {:>5} {:>7} {:>7} {:>7.1} {:>6}  {}",
            row,
            figures.tried,
            figures.survived,
            figures.lost,
            figures.doubled,
            figures
                .p99_ms
                .map_or_else(|| "-".to_owned(), |p99| p99.to_string()),
            seconds,
            options.seed,
            figures
                .skipped
                .as_ref()
                .map_or_else(|| figures.note.clone(), |why| format!("skipped: {why}"))
        )?;
        for line in figures.lines.iter().chain(&figures.failures) {
            writeln!(out, "    {line}")?;
        }
        out.flush()?;
        played.push(Played {
            row,
            figures,
            seed: options.seed,
            seconds,
        });
    }
    if let Some(ground) = ground {
        ground.close()?;
    }
    Ok(played)
}

async fn one(row: &str, options: &Options, ground: Option<&mut Ground>) -> anyhow::Result<Figures> {
    match (row, ground) {
        ("malformed", _) => malformed::decoders(options),
        ("wal-cut", _) => wal_cut::play(options),
        ("orders", _) => orders::any_order(options),
        ("clocks", _) => orders::clocks(options),
        ("partition", _) => orders::partition(options),
        ("database-full", _) => database_full::play(options).await,
        ("floods", _) => floods::play(options).await,
        ("payloads", _) => payloads::play(options).await,
        ("fuzz", _) => fuzz::play(options).await,
        ("malformed-live", Some(ground)) => malformed_live::play(options, ground).await,
        ("hostile", Some(ground)) => hostile::play(options, ground).await,
        ("device-killed", Some(ground)) => device_killed::play(options, ground).await,
        ("corrupt-page", Some(ground)) => corrupt_page::play(options, ground).await,
        ("disk-full", Some(ground)) => disk_full::play(options, ground).await,
        ("socket-cut", Some(ground)) => sockets::play(options, ground).await,
        ("half-files", Some(ground)) => half_files::play(options, ground).await,
        ("archives", Some(ground)) => archives::play(options, ground).await,
        ("slow-sockets", Some(ground)) => slow_sockets::play(options, ground).await,
        ("guessing", Some(ground)) => guessing::play(options, ground).await,
        ("server-killed", Some(ground)) => {
            server_killed::play(options, ground, Victim::Server).await
        }
        ("database-killed", Some(ground)) => {
            server_killed::play(options, ground, Victim::Database).await
        }
        ("keys-rotated", _) => keys_rotated::play(options).await,
        _ => anyhow::bail!("a row without a scenario"),
    }
}
