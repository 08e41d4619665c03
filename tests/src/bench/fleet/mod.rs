//! A city's phones at once (`./x bench fleet`; bench/README.md says what is measured and how): the real server in a
//! process of its own, tens of thousands of real sessions in this one. Each step leaves the phones as the next finds
//! them, so that every figure is one of a server that has been through the ones before.

mod crowd;
mod first;
mod found;
mod ground;
mod many;
mod nodes;
mod phone;
mod socket;
mod tally;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use doorstep_server::testing::Member;

use super::figures::{Figures, percentile};
use super::work::Work;
use crowd::Crowd;
use ground::Ground;
pub use many::phones;
use phone::Order;
use tally::Fleet;

/// Phones of one village, where one writes and the others see it.
const VILLAGE: usize = 4;

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `doorstep` program.
    pub program: PathBuf,
    /// This program, run again as more phones.
    pub itself: PathBuf,
    /// The work, as bench/workload.mjs writes it: the village that is fetched by many at once.
    pub workload: PathBuf,
    /// How large.
    pub size: Size,
    /// Only this part.
    pub only: Option<Part>,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Phones at one node.
    Crowd,
    /// As many as the city has users, and their return after an outage.
    Storm,
    /// Two nodes, one of which is killed.
    Nodes,
}

/// How many of everything.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Online at first.
    pub few: usize,
    /// Online while some write.
    pub online: usize,
    /// Of those, how many write.
    pub writers: usize,
    /// How long they do.
    pub writing: Duration,
    /// Everyone: as many as the city has users.
    pub all: usize,
    /// New phones at once, each a whole client with a store on disk.
    pub first: usize,
    /// Phones of the two nodes.
    pub nodes: usize,
}

impl Size {
    /// The city's.
    pub const CITY: Self = Self {
        few: 1_000,
        online: 10_000,
        writers: 300,
        writing: Duration::from_secs(60),
        all: 56_000,
        first: 100,
        nodes: 2_000,
    };
    /// A quick look.
    pub const SMALL: Self = Self {
        few: 100,
        online: 400,
        writers: 20,
        writing: Duration::from_secs(5),
        all: 1_000,
        first: 10,
        nodes: 80,
    };
}

/// Measures, and writes a line of JSON for each figure.
///
/// # Errors
/// When something can't be measured, or comes out wrong.
pub async fn run(options: &Options, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let size = options.size;
    let work = Work::read(&options.workload)?;
    let mut figures = Figures::new(out);
    let (mut ground, members) = Ground::open(options, &work).await?;
    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Crowd) {
        let fleet = Arc::new(Fleet::new(vec![ground.server.address()]));
        let mut crowd = Crowd::new(fleet);
        let empty = ground.memory()?;
        let online = &members.crowd[..size.online];
        let writes = |number| number % VILLAGE == 0 && number / VILLAGE < size.writers;
        let (few, more) = online.split_at(size.few);
        for (part, pair) in [few, more].into_iter().zip(members.pairs.chunks(2)) {
            let began = Instant::now();
            crowd.add(part, writes).await?;
            hold(&ground, &crowd, &mut figures, empty, began).await?;
            one_writes(&ground, crowd.count(), pair, &mut figures).await?;
        }
        live(&ground, &crowd, &mut figures, size).await?;
        first::measure(&mut ground, size.first, &mut figures).await?;
        crowd.end().await?;
    }
    if wanted(Part::Storm) {
        many::measure(&mut ground, &options.itself, &members.crowd, &mut figures).await?;
    }
    if wanted(Part::Nodes) {
        nodes::measure(&mut ground, &members.nodes, size, &mut figures).await?;
    }
    ground.close()
}

/// What it takes to come online and to stay.
async fn hold(
    ground: &Ground<'_>,
    crowd: &Crowd,
    figures: &mut Figures<'_>,
    empty: u64,
    began: Instant,
) -> anyhow::Result<()> {
    let (took, count) = (began.elapsed().as_secs_f64(), crowd.count());
    const LOOK: Duration = Duration::from_secs(20);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = ground.server.cpu()?;
    tokio::time::sleep(LOOK).await;
    let used = ground.server.cpu()?.since(before);
    let held = ground.memory()?.saturating_sub(empty);
    let named = |what: &str| format!("{count} online: {what}");
    figures.put(&named("until all are"), "s", "", &[took])?;
    figures.put(
        &named("server's memory a socket"),
        "KB",
        "10",
        &[held as f64 / 1024.0 / count as f64],
    )?;
    figures.put(
        &named("server's and database's processor while idle"),
        "% of a core",
        "",
        &[used.seconds() / LOOK.as_secs_f64() * 100.0],
    )
}

/// One writes and one of its village sees it, beside all the others: what the peers are asked for too.
async fn one_writes(
    ground: &Ground<'_>,
    count: usize,
    pair: &[Member],
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let mut crowd = Crowd::new(Arc::new(Fleet::new(vec![ground.server.address()])));
    crowd.add(pair, |number| number == 0).await?;
    crowd.order(Order::Write(Duration::from_millis(40)));
    tokio::time::sleep(Duration::from_secs(8)).await;
    crowd.order(Order::Hold);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (seen, _) = crowd.fleet.tally.times()?;
    crowd.end().await?;
    ensure!(!seen.is_empty(), "nothing was seen");
    let note = format!(
        "{count} idle, one writes, one watches, {} edits seen",
        seen.len()
    );
    for (name, part) in [("p50", 0.5), ("p95", 0.95)] {
        let figure = format!("{count} online, one writes: sent to seen, {name}");
        figures.put_with_note(&figure, "ms", "", &[percentile(&seen, part)], &note)?;
    }
    Ok(())
}

/// Some write, once a second each; the others of their village see it.
async fn live(
    ground: &Ground<'_>,
    crowd: &Crowd,
    figures: &mut Figures<'_>,
    size: Size,
) -> anyhow::Result<()> {
    let tally = &crowd.fleet.tally;
    let before = ground.server.cpu()?;
    crowd.order(Order::Write(Duration::from_secs(1)));
    tokio::time::sleep(size.writing).await;
    crowd.order(Order::Hold);
    let used = ground.server.cpu()?.since(before);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (seen, answered) = tally.times()?;
    let due = answered.len() * (VILLAGE - 1);
    ensure!(
        !answered.is_empty() && seen.len() * 100 >= due * 99,
        "{} of {due} sightings",
        seen.len()
    );
    let note = format!(
        "{} online, {} write once a second each for {} s, {} sightings",
        size.online,
        size.writers,
        size.writing.as_secs(),
        seen.len()
    );
    let mut put = |what: &str, times: &[f64], part: f64, target: &str| {
        figures.put_with_note(what, "ms", target, &[percentile(times, part)], &note)
    };
    put("sent to seen, p50", &seen, 0.5, "")?;
    put("sent to seen, p95", &seen, 0.95, "25")?;
    put("sent to seen, p99", &seen, 0.99, "50")?;
    put("sent to answered, p50", &answered, 0.5, "")?;
    put("sent to answered, p99", &answered, 0.99, "")?;
    figures.put(
        "meanwhile, server's and database's processor",
        "% of a core",
        "",
        &[used.seconds() / size.writing.as_secs_f64() * 100.0],
    )
}
