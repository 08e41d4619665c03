//! A device whose disk has only so many bytes left: a small file system in memory, filled to a point. Every edit is
//! acknowledged or says that it could not be kept; when there is room again, everything goes on, and all that was
//! acknowledged is there once.

use anyhow::{Context, ensure};
use doorstep_client::{Home, Kind};
use rand::RngExt;

use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use super::small_disk::Small;
use super::{Figures, Options};
use crate::town::phone;

/// Size of the file system.
const SIZE: u64 = 12 * 1024 * 1024;
/// Edits tried at each point, until one is refused.
const EDITS: u64 = 400;

/// The row `disk-full`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut rng = options.chance("disk-full");
    let mut figures = Figures::default();
    let place = ground.place();
    let small = match Small::mount(&place, SIZE) {
        Ok(small) => small,
        Err(why) => return Ok(Figures::skip(why)),
    };
    let folder = place.join("device");
    let key = rand::random();
    let home = Home::open(&folder, key)?;
    let user = phone::enrol(&home, &ground.server.url(), &ground.collector, "full").await?;
    let mut device = home.device(user, phone::options())?;
    device.sync_once().await?;
    let mut marks = Marks::new();
    let mut refused = 0;
    for point in 0..options.count(10, 200) {
        let record = device.create("resident", ground.area, resident())?;
        let ballast = small.fill(rng.random_range(0..256 * 1024))?;
        let mut survived = Ok(());
        for edit in 0..EDITS {
            let mark = format!("d{point}-{edit}");
            match device.update(record, &marking(&mark)) {
                Ok(_) => marks.entry(record).or_default().push(mark),
                Err(error) if error.kind == Kind::Storage => {
                    refused += 1;
                    break;
                }
                Err(error) => {
                    survived = Err(format!("point {point}: {error}"));
                    break;
                }
            }
        }
        // Every other time the app is closed while the disk is full, and opened while it still is, or later.
        if point.is_multiple_of(2) {
            drop(device);
            if point.is_multiple_of(4) {
                // Whether it opens on a full disk is its own matter; it must not spoil anything.
                let tried = home.device(user, phone::options());
                drop(tried);
            }
            std::fs::remove_file(&ballast)?;
            device = home
                .device(user, phone::options())
                .with_context(|| format!("point {point}: it does not open again"))?;
        } else {
            std::fs::remove_file(&ballast)?;
        }
        let after = format!("d{point}-after");
        match device.update(record, &marking(&after)) {
            Ok(_) => marks.entry(record).or_default().push(after),
            Err(error) => survived = Err(format!("point {point}: still {error}")),
        }
        figures.fault(survived);
    }
    ensure!(refused > 0, "the disk was never full");
    device.sync_once().await?;
    ensure!(device.unsent()?.items == 0, "not everything was sent");
    let held = Holding::of(&device, ground.area).await?;
    oracle::ask(ground, &marks, &[held], &mut figures).await?;
    let kept: usize = marks.values().map(Vec::len).sum();
    figures.note = format!("{kept} edits acknowledged, {refused} refused for want of room");
    drop((device, home));
    drop(small);
    Ok(figures)
}
