//! A device killed with SIGKILL while it edits and syncs: this program, run again as a whole device on the same folder,
//! says each edit that its call acknowledged, and is killed at a random moment. In the end the server must have each of
//! them once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use doorstep_client::Home;
use doorstep_core::ids::{AreaCode, RecordId, UserId};
use rand::RngExt;

use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use super::{Figures, Options};
use crate::town::phone;

/// Set in the child: key, user, area, number of the life, folder, with colons between.
pub const CHILD: &str = "DOORSTEP_FAULTS_CHILD";
/// So many edits and it stops by itself: the kill comes long before.
const EDITS: u32 = 5_000;
/// Edits of one record, which takes 512 KiB of them at most.
const EDITS_OF_A_RECORD: u32 = 500;

/// The row `device-killed`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut rng = options.chance("device-killed");
    let mut figures = Figures::default();
    let key: [u8; 32] = rand::random();
    let folder = ground.place();
    let home = Home::open(&folder, key)?;
    let user = phone::enrol(&home, &ground.server.url(), &ground.collector, "killed").await?;
    home.device(user, phone::options())?.sync_once().await?;
    drop(home);
    let mut marks = Marks::new();
    for life in 1..=options.count(12, 1_000) {
        let task = Task {
            key,
            user,
            area: ground.area,
            life,
            folder: folder.clone(),
        };
        // One in four is killed while it opens its store, or soon after.
        let early = life.is_multiple_of(4);
        let wait = Duration::from_micros(rng.random_range(0..120_000));
        let program = options.itself.clone();
        let said =
            tokio::task::spawn_blocking(move || run_and_kill(&program, &task, early, wait)).await?;
        figures.fault(said.map(|said| {
            for (record, mark) in said {
                marks.entry(record).or_default().push(mark);
            }
        }));
    }
    let home = Home::open(&folder, key)?;
    let device = home.device(user, phone::options())?;
    device.sync_once().await?;
    ensure!(
        device.unsent()?.items == 0,
        "the device has not sent everything"
    );
    let held = Holding::of(&device, ground.area).await?;
    oracle::ask(ground, &marks, &[held], &mut figures).await?;
    let acknowledged: usize = marks.values().map(Vec::len).sum();
    figures.note = format!("{acknowledged} acknowledged edits");
    ensure!(acknowledged > 10, "too few edits to say anything");
    Ok(figures)
}

/// What a child is told.
struct Task {
    key: [u8; 32],
    user: UserId,
    area: AreaCode,
    life: u64,
    folder: PathBuf,
}

impl Task {
    fn text(&self) -> String {
        format!(
            "{}:{}:{}:{}:{}",
            hex::encode(self.key),
            self.user,
            self.area,
            self.life,
            self.folder.display()
        )
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut words = text.splitn(5, ':');
        let mut word = || words.next().context("too short a task");
        let mut key = [0; 32];
        hex::decode_to_slice(word()?, &mut key)?;
        Ok(Self {
            key,
            user: word()?.parse()?,
            area: word()?.parse()?,
            life: word()?.parse()?,
            folder: word()?.into(),
        })
    }
}

/// Runs a child and kills it; gives what it acknowledged.
fn run_and_kill(
    program: &Path,
    task: &Task,
    early: bool,
    wait: Duration,
) -> Result<Vec<(RecordId, String)>, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut child = Command::new(program)
        .env(CHILD, task.text())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(out).lines();
    let mut said = Vec::new();
    if !early && let Some(line) = lines.next() {
        said.push(line.map_err(io)?);
    }
    std::thread::sleep(wait);
    child.kill().map_err(io)?;
    let status = child.wait().map_err(io)?;
    if status.code().is_some() {
        return Err(format!("life {}: it ended by itself: {status}", task.life));
    }
    // Up to the end of the pipe: everything that was said before the kill. The last line may be cut.
    said.extend(lines.map_while(Result::ok));
    Ok(said.iter().filter_map(|line| read(line)).collect())
}

fn read(line: &str) -> Option<(RecordId, String)> {
    let (record, mark) = line.strip_suffix('.')?.split_once(' ')?;
    Some((record.parse().ok()?, mark.to_owned()))
}

/// The child's life: a device that syncs and edits, and says what was acknowledged.
///
/// # Errors
/// When the device does not open, or an edit fails.
pub async fn live_until_killed(task: &str) -> anyhow::Result<()> {
    let task = Task::parse(task)?;
    let home = Home::open(&task.folder, task.key)?;
    let device = home.device(task.user, phone::options())?;
    let running = device.clone();
    let syncing = tokio::spawn(async move { running.run(std::future::pending()).await });
    let mut record = device.create("resident", task.area, resident())?;
    let mut out = std::io::stdout();
    for number in 0..EDITS {
        if number > 0 && number.is_multiple_of(EDITS_OF_A_RECORD) {
            record = device.create("resident", task.area, resident())?;
        }
        let mark = format!("k{}-{number}", task.life);
        // While a scope is coming from its beginning the device says so, and an edit waits.
        while let Err(error) = device.update(record, &marking(&mark)) {
            ensure!(error.code == "record_loading", "{error}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        writeln!(out, "{record} {mark}.")?;
        out.flush()?;
        tokio::task::yield_now().await;
    }
    syncing.abort();
    Ok(())
}
