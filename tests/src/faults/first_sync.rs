//! A new device's first sync over a line that is cut: at every frame in both directions, before it and in the middle of
//! it, and within the bundle, which comes over a connection of its own. Each device comes back by itself, and holds in
//! the end what one holds whose line was never cut.

use anyhow::{Context, ensure};
use doorstep_client::Device;
use doorstep_core::ids::AreaCode;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::value::Fields;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Figures;
use super::ground::{Ground, resident};
use super::oracle::Holding;
use super::sockets::MOST;
use crate::town::cutter::{Cut, Cutter, Way};
use crate::town::phone;

/// Records that are edited after the bundle was made, and edits of each: more than one batch.
const RECORDS: usize = 8;
const EDITS: usize = 40;
/// Characters of each edit.
const REMARK: usize = 450;
/// The first cut in a bundle's answer is within its head; each further is twice as far.
const FIRST_CUT: usize = 64;

/// Cuts; gives what is worth saying.
pub(super) async fn play(
    ground: &mut Ground,
    cutter: &Cutter,
    rng: &mut ChaCha8Rng,
    figures: &mut Figures,
) -> anyhow::Result<String> {
    write(ground, rng).await?;
    let collector = ground.collector.clone();
    let uncut = ground.light(&collector).await?;
    uncut.sync_once().await?;
    let whole = Holding::of(&uncut, ground.area).await?;
    let mut frames = 0;
    for way in [Way::Up, Way::Down] {
        for within in [false, true] {
            for frame in 1..=MOST {
                let device = fresh(ground, cutter).await?;
                cutter.plan(Cut { way, frame, within });
                let what = format!("a first sync, {way:?} {frame}");
                if !is_cut(&device, cutter, &whole, &what, ground.area, figures).await? {
                    break;
                }
                frames += 1;
            }
        }
    }
    let mut answers = 0;
    for doubled in 0.. {
        let bytes = FIRST_CUT << doubled;
        let device = fresh(ground, cutter).await?;
        cutter.plan_within_answer(bytes);
        let what = format!("a bundle after {bytes} bytes");
        if !is_cut(&device, cutter, &whole, &what, ground.area, figures).await? {
            break;
        }
        answers += 1;
    }
    ensure!(answers > 0, "no device was given a bundle");
    let records = whole.records();
    Ok(format!(
        "first syncs of {records} records cut at {frames} frames and {answers} times in the bundle"
    ))
}

/// Syncs a device over the line that is to be cut, and notes what became of it; whether it was cut.
async fn is_cut(
    device: &Device<MemoryStore>,
    cutter: &Cutter,
    whole: &Holding,
    what: &str,
    area: AreaCode,
    figures: &mut Figures,
) -> anyhow::Result<bool> {
    let synced = device.sync_once().await;
    if cutter.forget() {
        synced.context("a connection that nobody cut")?;
        return Ok(false);
    }
    figures.fault(match synced {
        Ok(_) => {
            let held = Holding::here(device, area)?;
            held.agrees(whole).map_err(|why| format!("{what}: {why}"))
        }
        Err(error) => Err(format!("{what}: {error}")),
    });
    Ok(true)
}

/// A device that has nothing yet, on the line that is cut.
async fn fresh(ground: &mut Ground, cutter: &Cutter) -> anyhow::Result<Device<MemoryStore>> {
    let place = ground.place();
    phone::light(&cutter.url(), &ground.collector, &place).await
}

/// Has a bundle made, and lets some batches follow it.
async fn write(ground: &mut Ground, rng: &mut ChaCha8Rng) -> anyhow::Result<()> {
    let collector = ground.collector.clone();
    let device = ground.light(&collector).await?;
    device.sync_once().await?;
    for _ in 0..RECORDS {
        let record = device.create("resident", ground.area, resident())?;
        for _ in 0..EDITS {
            let remark: String = (0..REMARK)
                .filter_map(|_| char::from_u32(rng.random_range(0x4e00..0x9000)))
                .collect();
            device.update(
                record,
                &Fields::from([("remark".to_owned(), remark.into())]),
            )?;
        }
    }
    let report = device.sync_once().await?;
    ensure!(report.refused == 0, "{report:?}");
    Ok(())
}
