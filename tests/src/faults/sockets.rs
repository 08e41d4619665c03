//! The line between a device and the server cut at every frame, in both directions, before the frame and in the middle
//! of it, while the device sends more than one envelope. Each time the device comes back by itself and has sent
//! everything once. Then the same to devices that are new and receive (`first_sync`).

use std::net::SocketAddr;

use anyhow::Context;
use doorstep_client::Home;

use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use super::{Figures, Options, first_sync};
use crate::town::cutter::{Cut, Cutter, Way};
use crate::town::phone;

/// More than one envelope's items (a device packs about 200).
const EDITS: usize = 230;
/// No sync has so many frames: past it something goes round in circles.
pub(super) const MOST: usize = 400;

/// The row `socket-cut`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let url = ground.server.url();
    let server: SocketAddr = url.trim_start_matches("http://").parse()?;
    let cutter = Cutter::to(server).await?;
    let folder = ground.place();
    let home = Home::open(&folder, rand::random())?;
    let user = phone::enrol(&home, &cutter.url(), &ground.collector, "cut").await?;
    let device = home.device(user, phone::options())?;
    device.sync_once().await?;
    let mut marks = Marks::new();
    let mut frames = 0;
    for round in 0..options.count(1, 8) {
        for way in [Way::Up, Way::Down] {
            for within in [false, true] {
                for frame in 1..=MOST {
                    let record = device.create("resident", ground.area, resident())?;
                    let mut written = Vec::with_capacity(EDITS);
                    // A short form sends several envelopes only now and then: each edit costs.
                    let edits = if options.short && frame % 3 != 1 {
                        5
                    } else {
                        EDITS
                    };
                    for edit in 0..edits {
                        let mark = format!("s{round}-{way:?}-{within}-{frame}-{edit}");
                        device.update(record, &marking(&mark))?;
                        written.push(mark);
                    }
                    cutter.plan(Cut { way, frame, within });
                    let synced = device.sync_once().await;
                    let passed = cutter.forget();
                    let left = device.unsent()?.items;
                    marks.insert(record, written);
                    if passed {
                        synced.context("a connection that nobody cut")?;
                        break;
                    }
                    frames += 1;
                    figures.fault(match synced {
                        Ok(_) if left == 0 => Ok(()),
                        Ok(_) => Err(format!("{way:?} {frame}: {left} unsent")),
                        Err(error) => Err(format!("{way:?} {frame}: {error}")),
                    });
                }
            }
        }
    }
    let held = Holding::of(&device, ground.area).await?;
    oracle::ask(ground, &marks, &[held], &mut figures).await?;
    let edits: usize = marks.values().map(Vec::len).sum();
    let mut rng = options.chance("socket-cut");
    let first = first_sync::play(ground, &cutter, &mut rng, &mut figures).await?;
    figures.fault(ground.is_sound().await);
    figures.note = format!("cut at {frames} frames, {edits} edits; {first}");
    Ok(figures)
}
