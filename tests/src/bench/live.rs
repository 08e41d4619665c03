//! From an edit on one phone to its showing on the others, all online.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use doorstep_client::Event;
use doorstep_core::ids::RecordId;
use tokio::sync::mpsc;

use super::Scene;
use super::figures::{Figures, percentile};
use crate::town::Phone;

/// Phones that watch.
const WATCHERS: usize = 5;
/// How long one edit may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn measure(
    scene: &mut Scene<'_>,
    edits: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let mut phones = Vec::new();
    for _ in 0..=WATCHERS {
        let mut phone = scene.phone().await?;
        phone.device.sync_once().await?;
        phone.go_online();
        phones.push(phone);
    }
    let (writer, watchers) = phones.split_first().context("no phone")?;
    let (seen, mut sightings) = mpsc::unbounded_channel();
    let watching: Vec<_> = watchers
        .iter()
        .map(|phone| watch(phone, seen.clone()))
        .collect();
    let mut times = Vec::new();
    for number in 0..edits {
        let id = scene.ids[number % scene.ids.len()];
        let started = Instant::now();
        writer.set(id, "remark", format!("实时 {number}"))?;
        let mut missing = watchers.len();
        while missing > 0 {
            let sighting = tokio::time::timeout(PATIENCE, sightings.recv()).await;
            let (at, record, text) = sighting
                .map_err(|_| anyhow!("edit {number} was not seen"))?
                .context("closed")?;
            if record == id && text == format!("实时 {number}") {
                times.push(at.duration_since(started).as_secs_f64() * 1e3);
                missing -= 1;
            }
        }
    }
    for task in watching {
        task.abort();
    }
    for phone in &mut phones {
        phone.go_offline().await?;
    }
    figures.put("sent to seen, p50", "ms", "", &[percentile(&times, 0.5)])?;
    let note = format!("{WATCHERS} watching, {edits} edits one after another");
    figures.put_with_note(
        "sent to seen, p95",
        "ms",
        "25, aim 15 with 1,000 online",
        &[percentile(&times, 0.95)],
        &note,
    )
}

/// Tells what a phone sees, when it sees it.
fn watch(
    phone: &Phone,
    seen: mpsc::UnboundedSender<(Instant, RecordId, String)>,
) -> tokio::task::JoinHandle<()> {
    let (device, mut events) = (phone.device.clone(), phone.device.events());
    tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            let Event::Changed(records) = event else {
                continue;
            };
            for id in records {
                let Ok(record) = device.record(id) else {
                    continue;
                };
                let text = record
                    .registers
                    .get("remark")
                    .and_then(|value| value.as_text())
                    .unwrap_or_default();
                if seen.send((Instant::now(), id, text.to_owned())).is_err() {
                    return;
                }
            }
        }
    })
}
