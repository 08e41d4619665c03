//! The server, or the database under it, killed with SIGKILL while devices sync: when as many items have no answer as
//! chance says, until enough kills have hit an upload. It must serve again in half a minute, and in the end every edit
//! that a device kept is on the server once.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::crew::Crew;
use super::ground::Ground;
use super::{Figures, Options};
use crate::town::routes;

/// How long it may take until the server serves again.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// How many times as many kills there are at most as are to hit an upload.
const TRIES: u64 = 3;
/// And at least so many: of few, chance may let most come too late.
const LEAST_TRIES: u64 = 30;
/// How long an upload may take to come so far.
const PATIENCE: Duration = Duration::from_secs(60);

/// The times it took, in words.
fn times(back: &[Duration], hit: u64) -> String {
    let longest = back.iter().max().copied().unwrap_or_default();
    let sum: Duration = back.iter().sum();
    format!(
        "back in {:.1} s on average, {:.1} s at most; {hit} of {} kills hit an upload",
        sum.as_secs_f64() / back.len().max(1) as f64,
        longest.as_secs_f64(),
        back.len()
    )
}

fn in_time(back: Duration) -> Result<(), String> {
    if back <= BACK_WITHIN {
        Ok(())
    } else {
        Err(format!("back only after {back:?}"))
    }
}

/// Who is killed.
#[derive(Clone, Copy)]
pub(super) enum Victim {
    Server,
    Database,
}

/// The rows `server-killed` and `database-killed`.
pub(super) async fn play(
    options: &Options,
    ground: &mut Ground,
    victim: Victim,
) -> anyhow::Result<Figures> {
    let (row, wanted) = match victim {
        Victim::Server => ("server-killed", options.count(3, 500)),
        Victim::Database => ("database-killed", options.count(2, 100)),
    };
    let mut rng = options.chance(row);
    let mut figures = Figures::default();
    let mut crew = Crew::gather(ground).await?;
    // So that all are connected at the first kill.
    crew.work(0)?;
    crew.settle().await?;
    let mut turn = 0;
    let (mut back, mut hit) = (Vec::new(), 0);
    let tries = (wanted * TRIES).max(LEAST_TRIES);
    while hit < wanted && (back.len() as u64) < tries {
        under_way(&mut crew, &mut turn, &mut rng).await?;
        match victim {
            Victim::Server => ground.server.kill()?,
            Victim::Database => kill_database(ground)?,
        }
        hit += u64::from(crew.unanswered()? > 0);
        let started = Instant::now();
        match victim {
            Victim::Server => ground.server.start().await?,
            Victim::Database => serves_again(ground).await?,
        }
        back.push(started.elapsed());
        figures.fault(in_time(started.elapsed()));
        crew.settle().await?;
    }
    figures.fault(if hit == wanted {
        Ok(())
    } else {
        let kills = back.len();
        Err(format!(
            "only {hit} of {kills} kills hit an upload, {wanted} were to"
        ))
    });
    crew.end(ground, &mut figures).await?;
    figures.note = times(&back, hit);
    Ok(figures)
}

/// Lets the crew work until as many items have no answer as chance says, from all of them to one, and a moment more. Where
/// so many are answered at once that none is left, it works again.
async fn under_way(crew: &mut Crew, turn: &mut u64, rng: &mut ChaCha8Rng) -> anyhow::Result<()> {
    loop {
        *turn += 1;
        crew.work(*turn)?;
        let mut unanswered = crew.unanswered()?;
        let left = rng.random_range(1..=unanswered.max(1));
        let started = Instant::now();
        while unanswered > left {
            ensure!(started.elapsed() < PATIENCE, "nothing is answered");
            tokio::time::sleep(Duration::from_millis(1)).await;
            unanswered = crew.unanswered()?;
        }
        if unanswered > 0 {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..=10))).await;
    Ok(())
}

/// Kills the database's first process; its others end when they find it gone.
fn kill_database(ground: &Ground) -> anyhow::Result<()> {
    let file = ground.server.data().join("postgres/data/postmaster.pid");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let pid: i32 = text.lines().next().unwrap_or_default().trim().parse()?;
    let pid = Pid::from_raw(pid).context("process id")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

async fn serves_again(ground: &Ground) -> anyhow::Result<()> {
    let url = format!("{}{}", ground.server.url(), routes::READY);
    let client = reqwest::Client::new();
    let started = Instant::now();
    // It may still answer for a moment: what it asks the database fails first.
    tokio::time::sleep(Duration::from_millis(100)).await;
    while started.elapsed() < BACK_WITHIN * 2 {
        if let Ok(answer) = client.get(&url).send().await
            && answer.status().is_success()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the server does not serve again")
}
