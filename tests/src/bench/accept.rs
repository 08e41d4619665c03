//! Changes accepted a second: devices with their edits sealed and ready, so that what is measured is the server's
//! whole pipeline (signature, decoding, rights, merge, conflicts, projection, audit, commit, and telling the others).

use std::time::Instant;

use anyhow::{Context, ensure};
use doorstep_client::Device;
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::{Cursor, Down, Outcome, Up};
use doorstep_core::store::DeviceStore;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::value::Fields;
use futures_util::future::try_join_all;

use super::Scene;
use super::figures::Figures;
use crate::town::tap::{Tap, seal};

/// Devices that push at the same time.
const DEVICES: usize = 10;
/// Items of an envelope, as devices fill them.
const ITEMS: usize = 200;
/// Envelopes under way at a time, as devices keep it.
const WINDOW: usize = 4;

/// A device that has everything and edited offline.
struct Sender {
    device: Device<MemoryStore>,
    scopes: Vec<(ScopeId, Cursor)>,
    frames: Vec<Up>,
}

pub(super) async fn measure(
    scene: &mut Scene<'_>,
    runs: usize,
    edits: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    for (figure, shared) in [
        ("changes accepted a second", false),
        ("changes accepted a second, same records", true),
    ] {
        let (mut rates, mut server, mut database) = (vec![], vec![], vec![]);
        for run in 0..runs {
            let senders = prepare(scene, edits, shared, run).await?;
            let before = scene.server.cpu()?;
            let started = Instant::now();
            let url = scene.server.url();
            try_join_all(senders.into_iter().map(|sender| push(url.clone(), sender))).await?;
            let seconds = started.elapsed().as_secs_f64();
            let used = scene.server.cpu()?.since(before);
            let changes = (DEVICES * edits) as f64;
            rates.push(changes / seconds);
            server.push(used.server.as_secs_f64() / changes * 1e6);
            database.push(used.database.as_secs_f64() / changes * 1e6);
        }
        let note = if shared {
            format!("{DEVICES} devices × {edits} edits, all on the same records")
        } else {
            format!("{DEVICES} devices × {edits} edits, each on records of its own")
        };
        figures.put_with_note(figure, "/s", "2,000, aim 5,000", &rates, &note)?;
        let suffix = if shared { ", same records" } else { "" };
        figures.put(
            &format!("CPU of the server for a change{suffix}"),
            "µs",
            "",
            &server,
        )?;
        figures.put(
            &format!("CPU of PostgreSQL for a change{suffix}"),
            "µs",
            "",
            &database,
        )?;
    }
    Ok(())
}

async fn prepare(
    scene: &mut Scene<'_>,
    edits: usize,
    shared: bool,
    run: usize,
) -> anyhow::Result<Vec<Sender>> {
    let mut senders = Vec::new();
    for number in 0..DEVICES {
        let device = scene.light().await?;
        device.sync_once().await?;
        for edit in 0..edits {
            // Own records: every tenth. The same: all devices walk over the same ones.
            let at = if shared {
                edit
            } else {
                edit * DEVICES + number
            };
            let id = scene.ids[at % scene.ids.len()];
            let (key, text) = match edit % 4 {
                0 => (
                    "remark",
                    format!("设备{number}第{run}轮第{edit}次：常住，户在人在"),
                ),
                1 => (
                    "remark",
                    format!("设备{number}第{run}轮第{edit}次：需补登联系电话"),
                ),
                2 => ("remark", format!("{number}-{run}-{edit}")),
                _ => (
                    "last_verified",
                    format!("2026-{:02}-{:02}", 1 + (run + number) % 11, 1 + edit % 28),
                ),
            };
            device.update(id, &Fields::from([(key.to_owned(), text.into())]))?;
        }
        senders.push(sender(device)?);
    }
    Ok(senders)
}

/// Seals what a device has queued into the envelopes it would send.
fn sender(device: Device<MemoryStore>) -> anyhow::Result<Sender> {
    let queued = device.outbox()?;
    let first = device.read(DeviceStore::last_envelope)? + 1;
    let scopes = device.read(DeviceStore::scopes)?;
    let frames = queued.chunks(ITEMS).zip(first..).map(|(items, seq)| {
        let items = items.iter().map(|item| item.item.clone()).collect();
        seal(&device, seq, items)
    });
    let frames = frames.collect();
    Ok(Sender {
        device,
        scopes,
        frames,
    })
}

/// Sends everything, at most `WINDOW` envelopes at a time, and confirms what comes down so that it keeps coming.
async fn push(server: String, sender: Sender) -> anyhow::Result<()> {
    let mut tap = Tap::open(&server, &sender.device, sender.scopes).await?;
    tap.welcome().await?;
    let (mut waiting, mut under_way) = (sender.frames.iter(), 0);
    loop {
        while under_way < WINDOW
            && let Some(frame) = waiting.next()
        {
            tap.send(frame).await?;
            under_way += 1;
        }
        if under_way == 0 {
            tap.close().await;
            return Ok(());
        }
        match tap.next().await.context("pushing")? {
            Down::Pushed(pushed) => {
                under_way -= 1;
                let accepted = pushed
                    .outcomes
                    .iter()
                    .all(|outcome| matches!(outcome, Outcome::Accepted));
                ensure!(
                    accepted && pushed.refused.is_none(),
                    "not all was accepted: {:?}",
                    pushed.refused
                );
            }
            Down::Batch(batch) => tap.send(&Up::Stored(batch.scope, batch.to)).await?,
            _ => {}
        }
    }
}
