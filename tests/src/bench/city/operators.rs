//! Two hundred operators at work at the same time: each asks, reads for about a second, and asks again. Simple questions
//! stay within a village or name one thing; complex ones look over a street or the city.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;

use super::ask::{self, Askers, Put};
use super::invented;
use super::load::Loaded;
use crate::bench::figures::percentile;

/// So many, as the design asks.
const OPERATORS: usize = 200;
/// For so long.
const LASTS: Duration = Duration::from_secs(30);
/// How long an operator looks at an answer, in ms.
const LOOKS: std::ops::Range<u64> = 500..1_500;

/// A question that an operator asks.
struct Question {
    complex: bool,
    city: bool,
    path: String,
}

pub(super) async fn measure(
    askers: &Askers,
    loaded: &Loaded,
    put: &mut Put<'_>,
) -> anyhow::Result<()> {
    let files = ask::files(&askers.city, loaded, 50).await?;
    let views = ask::views(askers).await?;
    let (residents, village) = (loaded.residents, loaded.village);
    let mut working = JoinSet::new();
    let ends = Instant::now() + LASTS;
    for _ in 0..OPERATORS {
        let (files, views) = (files.clone(), views.clone());
        let apis = (askers.street.api.clone(), askers.city.api.clone());
        working.spawn(async move {
            let mut times: [Vec<f64>; 2] = Default::default();
            // They do not begin in step.
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..LOOKS.end))).await;
            while Instant::now() < ends {
                let question = question(&files, &views, residents, village);
                let api = if question.city { &apis.1 } else { &apis.0 };
                let asked = Instant::now();
                api.get(&question.path).await.context(question.path)?;
                times[usize::from(question.complex)].push(asked.elapsed().as_secs_f64() * 1e3);
                tokio::time::sleep(Duration::from_millis(rand::random_range(LOOKS))).await;
            }
            anyhow::Ok(times)
        });
    }
    let mut times: [Vec<f64>; 2] = Default::default();
    while let Some(done) = working.join_next().await {
        for (all, own) in times.iter_mut().zip(done??) {
            all.extend(own);
        }
    }
    let rate = times.iter().map(Vec::len).sum::<usize>() as f64 / LASTS.as_secs_f64();
    for (kind, times) in ["simple", "complex"].into_iter().zip(&times) {
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        let note = format!("p50 {p50:.1} ms, p99 {p99:.1} ms; {rate:.0} questions a second in all");
        let figure = format!("{OPERATORS} operators, {kind} questions, p95");
        put(&figure, "ms", percentile(times, 0.95), &note)?;
    }
    Ok(())
}

/// One of what supervisors do all day, by how often they do it.
fn question(files: &[String], views: &[String], residents: usize, village: usize) -> Question {
    let any = |list: &[String]| list[rand::random_range(0..list.len())].clone();
    let someone = rand::random_range(0..residents);
    let neighbour = rand::random_range(0..village);
    let (complex, city, path) = match rand::random_range(0..100) {
        0..30 => (false, true, format!("/api/residents/{}", any(files))),
        30..50 => {
            let path = ask::residents(&invented::name(neighbour));
            (false, false, path)
        }
        50..60 => {
            let path = ask::residents(&invented::id_number(someone));
            (false, true, path)
        }
        60..70 => (false, false, "/api/conflicts?limit=50".to_owned()),
        70..78 => (true, true, ask::residents(&invented::name(someone))),
        78..86 => {
            let path = "/api/residents?limit=50&count=true".to_owned();
            (true, false, path)
        }
        86..93 => (true, false, any(views)),
        _ => (true, true, format!("/api/records/{}/history", any(files))),
    };
    Question {
        complex,
        city,
        path,
    }
}
