//! A damaged page in a device's files, one after another: it is found, what is readable is kept, unsent edits go up, and
//! the rest is pulled from the server again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use doorstep_client::{ClientResult, Device, Home};
use doorstep_core::ids::UserId;
use doorstep_sqlite::SqliteStore;
use rand::RngExt;

use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use super::{Figures, Options};
use crate::town::phone;

const PAGE: usize = 4096;
/// Records that the server has.
const SENT: usize = 8;
/// Edits that it does not have.
const UNSENT: usize = 4;

/// The row `corrupt-page`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut rng = options.chance("corrupt-page");
    let mut figures = Figures::default();
    let (folder, key) = (ground.place(), rand::random());
    let home = Home::open(&folder, key)?;
    let user = phone::enrol(&home, &ground.server.url(), &ground.collector, "torn").await?;
    let device = home.device(user, phone::options())?;
    device.sync_once().await?;
    let records = (0..SENT)
        .map(|_| device.create("resident", ground.area, resident()))
        .collect::<Result<Vec<_>, _>>()?;
    device.sync_once().await?;
    let held = device.count(Some("resident"))?;
    drop(device);
    let files = folder.join("users").join(user.to_string());
    let mut phone = Torn {
        home: &home,
        user,
        found: 0,
        at_rest: 0,
    };
    let mut marks = Marks::new();
    for round in 0..options.count(14, 400) {
        let mut device = phone.open()?;
        for edit in 0..UNSENT {
            let record = records[rng.random_range(0..records.len())];
            let mark = format!("c{round}-{edit}");
            let fields = marking(&mark);
            let mut tries = 0;
            while let Err(error) = device.update(record, &fields) {
                // Damage of an earlier round that nothing had read until now; there are two files that may have some.
                tries += 1;
                ensure!(tries < 3, "round {round}: {error:#} again and again");
                device = phone.open_again(device).await?;
            }
            marks.entry(record).or_default().push(mark);
        }
        drop(device);
        let name = ["register.db", "outbox.db"][usize::from(round % 3 == 2)];
        let path = files.join(name);
        let damage = Damage::make(&path, &mut rng)?;
        let mut outcome = phone.comes_back(held).await;
        if outcome.is_ok() && set_aside(&files)?.is_empty() {
            // Nothing that the collector did has read that page: looking at all of them, as a phone at rest may, finds it
            // unless nothing is kept there.
            outcome = phone.looks_at_rest(held).await;
        }
        let page = damage.page;
        figures.fault(outcome.map_err(|error| format!("page {page} of {name}: {error:#}")));
        // Where nothing has read it, it is taken away: two damaged places can take both of an edit's copies.
        damage.take_away(&path)?;
        for path in set_aside(&files)? {
            phone.found += 1;
            std::fs::remove_file(path)?;
        }
    }
    let found = phone.found;
    phone.comes_back(held).await?;
    let device = phone.open()?;
    ensure!(found > 0, "no damage was ever found");
    let held = Holding::of(&device, ground.area).await?;
    drop(device);
    oracle::ask(ground, &marks, &[held], &mut figures).await?;
    figures.note = format!(
        "{found} found and salvaged, {} of them by looking at rest; the others lay where nothing is kept",
        phone.at_rest
    );
    Ok(figures)
}

/// A device whose files are damaged.
struct Torn<'a> {
    home: &'a Home,
    user: UserId,
    found: u64,
    /// Met by looking only.
    at_rest: u64,
}

impl Torn<'_> {
    fn open(&self) -> anyhow::Result<Device<SqliteStore>> {
        Ok(self.home.device(self.user, phone::options())?)
    }

    /// Whether it sends everything and has everything again; damage is met wherever its page is first read.
    async fn comes_back(&self, held: u64) -> anyhow::Result<()> {
        let mut device = self.open()?;
        for _ in 0..3 {
            let looked = async {
                device.sync_once().await?;
                ClientResult::Ok((device.count(Some("resident"))?, device.unsent()?.items))
            };
            let Ok((here, left)) = looked.await else {
                device = self.open_again(device).await?;
                continue;
            };
            ensure!(here >= held, "{here} records of {held}");
            ensure!(left == 0, "{left} unsent");
            return Ok(());
        }
        bail!("damage upon damage")
    }

    /// Looks at every page. Damage that is met leaves word, and the next opening must salvage.
    async fn looks_at_rest(&mut self, held: u64) -> anyhow::Result<()> {
        let device = self.open()?;
        let whole = device.read(SqliteStore::check)?;
        drop(device);
        if whole {
            return Ok(());
        }
        self.at_rest += 1;
        self.comes_back(held).await?;
        ensure!(
            self.open()?.read(SqliteStore::check)?,
            "damage that was met is still there"
        );
        Ok(())
    }

    /// What a collector does whose app says that its storage fails: closes it, opens it again, and syncs.
    async fn open_again(&self, device: Device<SqliteStore>) -> anyhow::Result<Device<SqliteStore>> {
        drop(device);
        let device = self.open()?;
        let synced = device.sync_once().await;
        synced.context("opened again after damage")?;
        Ok(device)
    }
}

/// A bit that was turned.
struct Damage {
    page: u64,
    sound: Vec<u8>,
    torn: Vec<u8>,
}

impl Damage {
    /// Turns a bit of a random page.
    fn make(path: &Path, rng: &mut rand_chacha::ChaCha8Rng) -> anyhow::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let pages = file.metadata()?.len() / PAGE as u64;
        ensure!(pages > 0, "{} is empty", path.display());
        let page = rng.random_range(0..pages);
        let mut sound = vec![0; PAGE];
        file.read_exact_at(&mut sound, page * PAGE as u64)?;
        let mut torn = sound.clone();
        torn[rng.random_range(100..PAGE - 100)] ^= 1 << rng.random_range(0..8);
        file.write_all_at(&torn, page * PAGE as u64)?;
        Ok(Self { page, sound, torn })
    }

    /// Makes the page sound again, if it is still as it was left.
    fn take_away(&self, path: &Path) -> anyhow::Result<()> {
        let file = File::options().read(true).write(true).open(path)?;
        let mut now = vec![0; PAGE];
        let at = self.page * PAGE as u64;
        if file.read_exact_at(&mut now, at).is_ok() && now == self.torn {
            file.write_all_at(&self.sound, at)?;
        }
        Ok(())
    }
}

/// The damaged files that were set aside.
fn set_aside(files: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(files)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(".damaged-") {
            found.push(path);
        }
    }
    Ok(found)
}
