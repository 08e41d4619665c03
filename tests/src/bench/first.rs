//! First sync, cold and warm, and coming back with nothing new.

use std::time::Instant;

use anyhow::ensure;

use super::Scene;
use super::figures::Figures;
use crate::town::Phone;

/// How often a device comes back.
const RECONNECTS: usize = 20;

/// Gives the last phone, with everything on it.
pub(super) async fn measure(
    scene: &mut Scene<'_>,
    runs: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<Phone> {
    let (mut cold, mut warm, mut bytes, mut cpu, mut last) = (vec![], vec![], vec![], vec![], None);
    for _ in 0..runs {
        // As for peers: a server that has just started, so that nothing is at hand.
        scene.server.stop()?;
        scene.server.start().await?;
        let phone = scene.phone().await?;
        let before = scene.server.cpu()?;
        cold.push(first_sync(scene, &phone).await?);
        cpu.push(scene.server.cpu()?.since(before).seconds());
        let totals = phone.device.counters();
        let all = totals.socket_bytes_down
            + totals.socket_bytes_up
            + totals.http_bytes_down
            + totals.http_bytes_up;
        bytes.push(all as f64 / 1e6);
        let next = scene.phone().await?;
        warm.push(first_sync(scene, &next).await?);
        last = Some(next);
    }
    figures.put("first sync", "s", "3, aim 1.4", &cold)?;
    figures.put("first sync, bytes", "MB", "", &bytes)?;
    figures.put("first sync, server CPU", "s", "", &cpu)?;
    figures.put("first sync, not the first device", "s", "", &warm)?;
    let phone = last.ok_or_else(|| anyhow::anyhow!("no run"))?;
    reconnect(&phone, figures).await?;
    Ok(phone)
}

/// Seconds until everything is on the disk and can be searched.
async fn first_sync(scene: &Scene<'_>, phone: &Phone) -> anyhow::Result<f64> {
    let started = Instant::now();
    phone.device.sync_once().await?;
    let found = phone.list("resident", "王", 50)?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(!found.is_empty(), "nothing is found");
    for record_type in ["resident", "house"] {
        let (held, there) = (
            phone.count(Some(record_type))?,
            scene.work.count(record_type),
        );
        ensure!(
            held == there as u64,
            "{held} of {there} records of type {record_type}"
        );
    }
    Ok(seconds)
}

async fn reconnect(phone: &Phone, figures: &mut Figures<'_>) -> anyhow::Result<()> {
    phone.device.sync_once().await?;
    let (mut seconds, mut frames, mut bytes, mut in_frames) = (vec![], vec![], vec![], vec![]);
    for _ in 0..RECONNECTS {
        let before = phone.device.counters();
        let started = Instant::now();
        phone.device.sync_once().await?;
        seconds.push(started.elapsed().as_secs_f64());
        let after = phone.device.counters();
        frames.push(
            (after.frames_up + after.frames_down - before.frames_up - before.frames_down) as f64,
        );
        let socket = after.socket_bytes_up + after.socket_bytes_down
            - before.socket_bytes_up
            - before.socket_bytes_down;
        bytes.push(socket as f64 / 1e3);
        in_frames.push(
            (after.frame_bytes_up - before.frame_bytes_up)
                .max(after.frame_bytes_down - before.frame_bytes_down) as f64,
        );
    }
    figures.put("reconnect, nothing new", "s", "", &seconds)?;
    figures.put("reconnect, frames", "", "1 each way", &frames)?;
    figures.put_with_note(
        "reconnect, bytes",
        "kB",
        "",
        &bytes,
        "with the websocket's opening",
    )?;
    figures.put("reconnect, larger frame", "bytes", "300", &in_frames)
}
