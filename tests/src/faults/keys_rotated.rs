//! The keys of all areas changed, over and over, by the command beside the running server, while devices write and send
//! until it returns and the supervisor reads. No read fails meanwhile; in the end no row is under an old key, and every edit that a device kept is
//! there once and opens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{anyhow, ensure};
use reqwest::Method;
use tokio::task::JoinHandle;

use super::crew::Crew;
use super::furnished::Furnished;
use super::ground::Ground;
use super::{Figures, Options};
use crate::town::{Api, routes};

/// Rows that an older version of their area's key wraps.
const BEHIND: &str = "SELECT count(*) FROM (
        SELECT area_code, key_version FROM records UNION ALL SELECT area_code, key_version FROM events
        UNION ALL SELECT area_code, key_version FROM conflicts UNION ALL SELECT area_code, key_version FROM imports
    ) AS row
    WHERE key_version < (SELECT max(version) FROM area_keys WHERE area_keys.area_code = row.area_code)";

/// Edits of each phone at a time, while the command runs.
const EDITS: usize = 8;
/// Between them.
const PAUSE: Duration = Duration::from_millis(5);

/// The row `keys-rotated`.
pub(super) async fn play(options: &Options) -> anyhow::Result<Figures> {
    let mut furnished = Furnished::open(&options.program).await?;
    let mut figures = Figures::default();
    let reader = Reader::begin(&furnished);
    let ground = &mut furnished.ground;
    let mut crew = Crew::gather(ground).await?;
    let (mut under_way, mut turn) = (0, 0);
    let rounds = options.count(2, 50);
    for _ in 0..rounds {
        let (rotated, hit) =
            tokio::task::block_in_place(|| rotate_under(ground, &mut crew, &mut turn))?;
        under_way += u64::from(hit);
        figures.fault(rotated);
        crew.settle().await?;
    }
    ensure!(under_way > 0, "no upload was under way");
    // What the server wrote meanwhile under the key that it knew.
    figures.fault(rotate(ground));
    let behind = ground.number(BEHIND).await?;
    figures.fault(match behind {
        0 => Ok(()),
        rows => Err(format!("{rows} rows are under an old key")),
    });
    let (read, failed) = reader.end().await?;
    figures.faults(read, failed.len() as u64);
    figures.failures.extend(failed.into_iter().take(5));
    crew.end(ground, &mut figures).await?;
    figures.note = format!(
        "{under_way} of {rounds} changed while uploads were under way from beginning to end; {read} things read meanwhile"
    );
    furnished.ground.close()?;
    Ok(figures)
}

/// Changes the keys while the crew goes on writing. Gives what came of it, and whether an upload was under way both when
/// the command began and when it returned.
fn rotate_under(
    ground: &Ground,
    crew: &mut Crew,
    turn: &mut u64,
) -> anyhow::Result<(Result<(), String>, bool)> {
    let mut write = |crew: &mut Crew| {
        *turn += 1;
        crew.edit(*turn, EDITS)
    };
    std::thread::scope(|scope| {
        write(crew)?;
        let began = crew.unanswered()? > 0;
        let command = scope.spawn(|| rotate(ground));
        while !command.is_finished() {
            write(crew)?;
            std::thread::sleep(PAUSE);
        }
        let returned = crew.unanswered()? > 0;
        let rotated = command.join().map_err(|_| anyhow!("a thread panicked"))?;
        Ok((rotated, began && returned))
    })
}

fn rotate(ground: &Ground) -> Result<(), String> {
    let said = ground.server.command(&["keys", "rotate", "--json"]);
    said.map(drop).map_err(|error| format!("{error:#}"))
}

/// A supervisor who reads one sealed thing after another: files, histories, lists, the queue, a photo, an import.
struct Reader {
    over: Arc<AtomicBool>,
    reading: JoinHandle<anyhow::Result<(u64, Vec<String>)>>,
}

impl Reader {
    fn begin(furnished: &Furnished) -> Self {
        let api = furnished.ground.supervisor.api.clone();
        let paths = paths(furnished);
        let over = Arc::new(AtomicBool::new(false));
        let reading = tokio::spawn(read(api, paths, over.clone()));
        Self { over, reading }
    }

    /// How many things were read, and which could not be.
    async fn end(self) -> anyhow::Result<(u64, Vec<String>)> {
        self.over.store(true, Ordering::Relaxed);
        self.reading.await?
    }
}

fn paths(furnished: &Furnished) -> Vec<String> {
    let things = |name: &str| furnished.things.get(name).into_iter().flatten();
    let mut paths = vec![
        "/api/residents?limit=50".to_owned(),
        "/api/houses?limit=50".to_owned(),
        format!("{}?limit=50", routes::CONFLICTS),
    ];
    paths.extend(things("record").map(|id| format!("{}/{id}/history", routes::RECORDS)));
    paths.extend(things("resident").map(|id| format!("/api/residents/{id}")));
    // Its digest stands in a sealed field: whether one may see it is looked up there.
    for photo in things("digest") {
        let photo = format!("{}/{photo}", routes::PHOTOS);
        paths.push(format!("{photo}?purpose=verification"));
        paths.push(format!("{photo}/thumbnail?purpose=verification"));
    }
    paths.extend(things("conflict_id").map(|id| format!("{}/{id}", routes::CONFLICTS)));
    paths.extend(things("import_id").map(|id| format!("{}/{id}", routes::IMPORTS)));
    paths
}

async fn read(
    api: Api,
    paths: Vec<String>,
    over: Arc<AtomicBool>,
) -> anyhow::Result<(u64, Vec<String>)> {
    let (mut read, mut failed) = (0, Vec::new());
    for path in paths.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let (status, text) = api.ask(Method::GET, path, |ask| ask).await?;
        read += 1;
        if status != 200 {
            failed.push(format!("{path}: {status} {text}"));
        }
    }
    Ok((read, failed))
}
