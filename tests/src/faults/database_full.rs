//! A database whose disk is full: PostgreSQL's folder on a small file system in memory, filled to a point while devices
//! and consoles write. Nothing is acknowledged that is not kept; what can't be kept is answered with a code that says to
//! come again; and when there is room, everything goes on by itself and all that was acknowledged is there once.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use doorstep_client::Device;
use doorstep_core::ids::RecordId;
use doorstep_core::store::memory::MemoryStore;
use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use super::small_disk::Small;
use super::{Figures, Options};
use crate::town::routes;

/// Size of the file system: an empty database with its log takes a third.
const SIZE: u64 = 320 * 1024 * 1024;
/// How long the server may take until it serves again, once there is room.
const BACK_WITHIN: Duration = Duration::from_secs(90);
/// Writes at each point, until one is refused.
const WRITES: u64 = 60;

/// What consoles were told.
#[derive(Default)]
struct Told {
    /// Created, by the server's word.
    created: Vec<String>,
    refused: u64,
}

/// The row `database-full`.
pub(super) async fn play(options: &Options) -> anyhow::Result<Figures> {
    let mut rng = options.chance("database-full");
    let mut figures = Figures::default();
    let mut ground = Ground::open(&options.program).await?;
    ground.server.stop()?;
    let folder = ground.server.data().join("postgres");
    let small = match onto_small(&folder)? {
        Ok(small) => small,
        Err(why) => return Ok(Figures::skip(why)),
    };
    ground.server.start().await?;
    let collector = ground.collector.clone();
    let device = ground.light(&collector).await?;
    let mut marks = Marks::new();
    let (mut told, mut back) = (Told::default(), Vec::new());
    for point in 0..options.count(2, 40) {
        let record = device.create("resident", ground.area, resident())?;
        device.sync_once().await?;
        let ballast = small.fill(rng.random_range(0..512 * 1024))?;
        let full = fill_up(&ground, &device, record, point, &mut marks, &mut told).await;
        std::fs::remove_file(&ballast)?;
        figures.fault(full);
        let started = Instant::now();
        figures.fault(goes_on(&ground, &device).await);
        back.push(started.elapsed());
    }
    ensure!(told.refused > 0, "the disk was never full");
    for id in &told.created {
        let path = format!("{}/{id}", routes::RECORDS);
        let there = ground.supervisor.api.get(&path).await;
        figures.lost += u64::from(there.is_err());
    }
    let held = Holding::of(&device, ground.area).await?;
    oracle::ask(&mut ground, &marks, &[held], &mut figures).await?;
    let longest = back.iter().max().copied().unwrap_or_default();
    figures.note = format!(
        "{} edits and {} records acknowledged, {} refused for want of room; goes on within {:.1} s",
        marks.values().map(Vec::len).sum::<usize>(),
        told.created.len(),
        told.refused,
        longest.as_secs_f64()
    );
    drop(device);
    ground.close()?;
    drop(small);
    Ok(figures)
}

/// Moves a folder's contents onto a small file system in its place.
fn onto_small(folder: &Path) -> anyhow::Result<Result<Small, String>> {
    let aside = folder.with_extension("aside");
    std::fs::rename(folder, &aside)?;
    let small = match Small::mount(folder, SIZE) {
        Ok(small) => small,
        Err(why) => return Ok(Err(why)),
    };
    let copied = Command::new("cp")
        .arg("-a")
        .arg(aside.join("."))
        .arg(folder)
        .status()?;
    ensure!(copied.success(), "the database could not be moved");
    std::fs::remove_dir_all(aside)?;
    Ok(Ok(small))
}

/// Writes from a console and from a device until there is no room. Each answer must be that it is kept, or that it
/// can't be now.
async fn fill_up(
    ground: &Ground,
    device: &Device<MemoryStore>,
    record: RecordId,
    point: u64,
    marks: &mut Marks,
    told: &mut Told,
) -> Result<(), String> {
    let api = &ground.collector.api;
    let mut refused_here = 0;
    for write in 0..WRITES {
        let mark = format!("f{point}-{write}");
        device
            .update(record, &marking(&mark))
            .map_err(|error| error.to_string())?;
        marks.entry(record).or_default().push(mark);
        // Through or not: what the server says it has, the device lets go of.
        let synced = tokio::time::timeout(Duration::from_secs(3), device.sync_once()).await;
        drop(synced);
        let fields = json!({
            "name": "何晓梅", "sex": "2", "population_kind": "01", "remark": "长".repeat(400),
        });
        let body = json!({ "area": ground.area, "fields": fields });
        let answer = api.ask(Method::POST, "/api/residents", |ask| {
            ask.json(&body).timeout(Duration::from_secs(40))
        });
        let (status, text) = answer.await.map_err(|error| format!("{error:#}"))?;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        match (status, said["record"]["id"].as_str()) {
            (201, Some(id)) => told.created.push(id.to_owned()),
            (503, None) if said["error"]["code"].is_string() => refused_here += 1,
            _ => {
                let log = std::fs::read_to_string(ground.server.log()).unwrap_or_default();
                let cause = log.lines().rfind(|line| line.contains("request failed"));
                let cause = cause.unwrap_or_default();
                return Err(format!("point {point}: {status} {text} {cause}"));
            }
        }
        if refused_here > 3 {
            break;
        }
    }
    told.refused += refused_here;
    Ok(())
}

/// With room again: the server serves, and the device gets everything through.
async fn goes_on(ground: &Ground, device: &Device<MemoryStore>) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let ready = ground.supervisor.api.get(routes::READY).await;
        let sent = match ready {
            Ok(_) => device.sync_once().await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error:#}")),
        };
        let left = device.unsent().map_err(|error| error.to_string())?.items;
        match sent {
            Ok(_) if left == 0 => return Ok(()),
            _ if started.elapsed() < BACK_WITHIN => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            sent => return Err(format!("{left} edits are not through: {:?}", sent.err())),
        }
    }
}
