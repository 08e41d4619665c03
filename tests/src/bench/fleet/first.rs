//! New phones of a full village at once: whole clients, each until the village is in its encrypted store on disk and a
//! search there finds whom it asks for.

use std::time::Instant;

use anyhow::ensure;
use tokio::task::JoinSet;

use super::ground::Ground;
use crate::bench::figures::{Figures, percentile};

/// How many lines a list shows.
const PAGE: usize = 50;

pub(super) async fn measure(
    ground: &mut Ground<'_>,
    count: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    // Signing in is done before: a hundred passwords to hash are no sync.
    let mut phones = Vec::with_capacity(count);
    for number in 0..count {
        phones.push((ground.phone().await?, ground.resident(number)?));
    }
    let began = Instant::now();
    let mut all = JoinSet::new();
    for (phone, (id, name)) in phones {
        all.spawn(async move {
            phone.device.sync_once().await?;
            let found = phone.list("resident", &name, PAGE)?;
            let took = began.elapsed().as_secs_f64();
            ensure!(
                found.iter().any(|listed| listed.id == id),
                "{name} is not found"
            );
            anyhow::Ok((took, phone))
        });
    }
    let (mut times, mut synced) = (Vec::new(), Vec::new());
    while let Some(done) = all.join_next().await {
        let (took, phone) = done??;
        times.push(took);
        synced.push(phone);
    }
    for phone in synced {
        let held = phone.count(None)?;
        ensure!(held == ground.records(), "{held} records on a phone");
    }
    let what = format!("{count} first syncs at once, to device disk and searchable");
    let note = "whole clients with encrypted stores on disk, each with a search that finds its record, beside the phones \
        online; this machine's two cores do the phones' work too";
    let mut put = |name: &str, part: f64, target: &str| {
        let figure = format!("{what}, {name}");
        figures.put_with_note(&figure, "s", target, &[percentile(&times, part)], note)
    };
    put("median", 0.5, "")?;
    put("the last", 1.0, "60, aim 30")
}
