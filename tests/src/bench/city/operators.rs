//! Two hundred operators at work at the same time: each does something, reads for about a second, and goes on. Of a
//! hundred things 55 are simple questions, which stay within a village or name one thing; 10 are edits of a file, 2 new
//! residents, 3 decisions of items in the queue as long as there are any, each after reading what it is about; 30 are
//! complex questions, which look over a street or the city. A write counts as simple.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use doorstep_core::ids::AreaCode;
use tokio::task::JoinSet;

use super::ask::{self, Askers, Put};
use super::desk::{self, Done, Office};
use super::load::Loaded;
use crate::bench::figures::percentile;

/// So many, as the design asks.
const OPERATORS: usize = 200;
/// For so long.
const LASTS: Duration = Duration::from_secs(30);
/// How long an operator looks at an answer, in ms.
const LOOKS: std::ops::Range<u64> = 500..1_500;
/// The files they work on: as many as there are operators, so that two sometimes meet.
const FILES: usize = OPERATORS;

pub(super) async fn measure(
    askers: &Askers,
    villages: &[AreaCode],
    loaded: &Loaded,
    put: &mut Put<'_>,
) -> anyhow::Result<()> {
    let office = Arc::new(Office {
        street: askers.street.api.clone(),
        city: askers.city.api.clone(),
        files: ask::files(&askers.city, loaded, FILES).await?,
        views: ask::views(askers).await?,
        villages: villages.iter().take(loaded.villages).copied().collect(),
        residents: loaded.residents,
        village: loaded.village,
    });
    let mut working = JoinSet::new();
    let ends = Instant::now() + LASTS;
    for _ in 0..OPERATORS {
        let office = office.clone();
        working.spawn(async move {
            let mut done = Done::default();
            // They do not begin in step.
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..LOOKS.end))).await;
            while Instant::now() < ends {
                desk::work(&office, &mut done).await?;
                tokio::time::sleep(Duration::from_millis(rand::random_range(LOOKS))).await;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = Done::default();
    while let Some(one) = working.join_next().await {
        done.add(one??);
    }
    ensure!(done.edited > 0 && done.registered > 0, "nobody wrote");
    let wrote = format!(
        "{} edits, {} new residents, {} decisions; {} writes came after another's and were told so",
        done.edited, done.registered, done.decided, done.late
    );
    let simple = [done.simple, done.writes.clone()].concat();
    let requests = simple.len() + done.complex.len();
    let rate = format!(
        "{:.0} requests a second in all",
        requests as f64 / LASTS.as_secs_f64()
    );
    for (kind, times, more) in [
        ("simple operations", &simple, &rate),
        ("writes among them", &done.writes, &wrote),
        ("complex questions", &done.complex, &rate),
    ] {
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        let note = format!("p50 {p50:.1} ms, p99 {p99:.1} ms; {more}");
        let figure = format!("{OPERATORS} operators, {kind}, p95");
        put(&figure, "ms", percentile(times, 0.95), &note)?;
    }
    Ok(())
}
