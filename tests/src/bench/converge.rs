//! Devices that were offline come back together: until all replicas are equal and every dispute is in the queue.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;

use super::figures::Figures;
use super::{Scene, Work};
use crate::town::phone;

pub(super) async fn measure(
    program: &Path,
    work: &Work,
    runs: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let (mut seconds, mut bytes, mut disputes, mut cpu) = (vec![], vec![], vec![], vec![]);
    for _ in 0..runs {
        let mut scene = Scene::open(program, work).await?;
        let mut phones = Vec::new();
        for edits in &work.edits {
            let phone = scene.phone().await?;
            phone.device.sync_once().await?;
            for edit in edits {
                phone.set(scene.ids[edit.record], &edit.field, edit.value.clone())?;
            }
            phones.push(phone);
        }
        let total = |phones: &[crate::town::Phone]| -> u64 {
            let all = phones.iter().map(|phone| phone.device.counters());
            all.map(|one| {
                one.socket_bytes_up
                    + one.socket_bytes_down
                    + one.http_bytes_up
                    + one.http_bytes_down
            })
            .sum()
        };
        let (before, used) = (total(&phones), scene.server.cpu()?);
        let started = Instant::now();
        for phone in &mut phones {
            phone.go_online();
        }
        phone::level(&scene.server.url(), &mut phones, scene.area).await?;
        seconds.push(started.elapsed().as_secs_f64());
        cpu.push(scene.server.cpu()?.since(used).seconds());
        bytes.push((total(&phones) - before) as f64 / 1e6);
        let queued = scene.queued().await?;
        ensure!(
            queued == work.disputes() as u64,
            "{queued} in the queue, {} disputes",
            work.disputes()
        );
        disputes.push(queued as f64);
        let first = phones[0].contents()?;
        for phone in &mut phones {
            phone.go_offline().await?;
            ensure!(
                phone.contents()? == first,
                "{} holds something else",
                phone.name
            );
        }
        drop(phones);
        scene.close()?;
    }
    figures.put("converge after offline edits", "s", "5, aim 4", &seconds)?;
    figures.put("converge, bytes", "MB", "", &bytes)?;
    figures.put("converge, disputes queued", "", "all", &disputes)?;
    figures.put("converge, server CPU", "s", "", &cpu)
}
