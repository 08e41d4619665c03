//! As many phones as the city has users. A process may have only so many open files, so there are as many nodes and as
//! many processes of phones as that takes: on a machine that allows 20,000, three of each.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use doorstep_server::testing::{Member, Nats};
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::crowd::Crowd;
use super::ground::Ground;
use super::nodes::node;
use super::tally::Fleet;
use crate::bench::figures::Figures;
use crate::town::Server;

/// Open files that a process needs besides its sockets.
const OTHERS: usize = 1_000;
/// How long all may take to come online.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a process of phones is told.
#[derive(Serialize, Deserialize)]
struct Told {
    members: Vec<Member>,
    servers: Vec<SocketAddr>,
    /// The number of its first phone: sockets of different processes come from different addresses.
    first: usize,
}

/// What it says.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    online: usize,
    failed: usize,
    away: usize,
}

/// A process of phones, seen from outside.
struct Phones {
    said: watch::Receiver<Said>,
    child: Child,
}

/// How many sockets one process may hold here.
pub(super) fn room() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(OTHERS)
}

pub(super) async fn measure(
    ground: &mut Ground<'_>,
    itself: &Path,
    members: &[Member],
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let count = members.len();
    let nats = Nats::start()?;
    let processes = count.div_ceil(room());
    let mut nodes = Vec::new();
    for _ in 0..processes {
        nodes.push(node(ground, &nats).await?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let empty = memory(&nodes)?;
    let servers: Vec<SocketAddr> = nodes.iter().map(Server::address).collect();
    let began = Instant::now();
    let mut phones = Vec::new();
    for (number, part) in members.chunks(count.div_ceil(processes)).enumerate() {
        let told = Told {
            members: part.to_vec(),
            // Each begins at another node.
            servers: [&servers[number..], &servers[..number]].concat(),
            first: number * part.len(),
        };
        let file = ground.place();
        std::fs::create_dir_all(&file)?;
        let file = file.join("phones.json");
        std::fs::write(&file, serde_json::to_vec(&told)?)?;
        phones.push(Phones::start(itself, &file)?);
    }
    until_online(&phones, count).await?;
    let took = began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let held = memory(&nodes)?.saturating_sub(empty) as f64 / 1024.0 / count as f64;
    let used = processor(&nodes)?;
    const LOOK: Duration = Duration::from_secs(20);
    tokio::time::sleep(LOOK).await;
    let used = (processor(&nodes)? - used).as_secs_f64() / LOOK.as_secs_f64() * 100.0;
    let named = |what: &str| format!("{count} online: {what}");
    let note = format!(
        "{processes} nodes: a process may open {} files here",
        room() + OTHERS
    );
    figures.put_with_note(&named("until all are"), "s", "", &[took], &note)?;
    figures.put(&named("servers' memory a socket"), "KB", "10", &[held])?;
    figures.put(
        &named("servers' processor while idle"),
        "% of a core",
        "",
        &[used],
    )?;
    storm(&mut nodes, &phones, count, figures).await?;
    for one in phones {
        one.end().await?;
    }
    for mut node in nodes {
        node.stop()?;
    }
    Ok(())
}

/// All nodes die with everyone connected, and are started again. Phones come back as they do: after one to sixty
/// seconds, longer after each failure, by chance.
async fn storm(
    nodes: &mut [Server],
    phones: &[Phones],
    count: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    for node in &mut *nodes {
        node.kill()?;
    }
    let killed = Instant::now();
    while online(phones) > count / 100 {
        ensure!(killed.elapsed() < PATIENCE, "nobody noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    futures_util::future::try_join_all(nodes.iter_mut().map(Server::start)).await?;
    let ready = killed.elapsed().as_secs_f64();
    let mut reached = Vec::new();
    for part in [0.5, 0.99, 1.0] {
        until_online(phones, (count as f64 * part).ceil() as usize).await?;
        reached.push(killed.elapsed().as_secs_f64());
    }
    let (failed, away) = phones.iter().fold((0, 0), |(failed, away), one| {
        let said = one.said.borrow();
        (failed + said.failed, away + said.away)
    });
    let what = format!("storm of {count}");
    let note =
        format!("since they were killed; told {away} times to come again, {failed} tries failed");
    let named = |part: &str| format!("{what}: {part}");
    figures.put(&named("all nodes are back"), "s", "30", &[ready])?;
    figures.put(&named("half are online"), "s", "", &[reached[0]])?;
    figures.put(&named("99 % are online"), "s", "", &[reached[1]])?;
    figures.put_with_note(&named("all are online"), "s", "60", &[reached[2]], &note)
}

fn memory(nodes: &[Server]) -> anyhow::Result<u64> {
    let each = nodes.iter().map(|node| {
        let pid = node.pid().context("a node has ended")?;
        crate::faults::resident_set(&pid.to_string())
    });
    each.sum()
}

fn processor(nodes: &[Server]) -> anyhow::Result<Duration> {
    nodes.iter().map(Server::processor).sum()
}

fn online(phones: &[Phones]) -> usize {
    phones.iter().map(|one| one.said.borrow().online).sum()
}

async fn until_online(phones: &[Phones], count: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    while online(phones) < count {
        if began.elapsed() > PATIENCE {
            bail!(
                "{} of {count} are online after {PATIENCE:?}",
                online(phones)
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Phones {
    fn start(itself: &Path, told: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(itself)
            .arg("--phones")
            .arg(told)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        let (now, said) = watch::channel(Said::default());
        tokio::spawn(async move {
            let mut lines = BufReader::new(out).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(said) = serde_json::from_str(&line) {
                    now.send_replace(said);
                }
            }
        });
        Ok(Self { said, child })
    }

    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await?;
        Ok(())
    }
}

/// The process of phones itself: says how many are online whenever that changes, until its input ends.
///
/// # Errors
/// When it can't read what it is told.
pub async fn phones(told: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    let told: Told = serde_json::from_slice(&std::fs::read(told)?)?;
    let fleet = Arc::new(Fleet::new(told.servers));
    let mut crowd = Crowd::numbered_from(fleet.clone(), told.first);
    let speaking = tokio::spawn(async move {
        let mut last = None;
        loop {
            let tally = &fleet.tally;
            let now = Said {
                online: tally.online.load(Ordering::Relaxed),
                failed: tally.failed.load(Ordering::Relaxed),
                away: tally.away.load(Ordering::Relaxed),
            };
            if last != Some(now) {
                last = Some(now);
                writeln!(std::io::stdout(), "{}", serde_json::to_string(&now)?)?;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        anyhow::Ok(())
    });
    crowd.add(&told.members, |_| false).await?;
    // The first coming is in good order; a storm is not.
    crowd.fleet.doors.add_permits(told.members.len());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    crowd.end().await?;
    speaking.abort();
    Ok(())
}
