//! An honest device beside whatever goes on: it edits, one edit after another, and each is timed from the edit to the
//! server's answer. Knows no fault.

use std::time::{Duration, Instant};

use anyhow::Context;
use doorstep_client::Event;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Figures;
use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use crate::town::Phone;

/// Between an answer and the next edit.
const PAUSE: Duration = Duration::from_millis(30);
/// A record that grows makes its own edits slower.
const EDITS_OF_A_RECORD: u32 = 40;
/// An answer that takes longer is a failure of the row.
const LONGEST: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Honest {
    stop: oneshot::Sender<()>,
    working: JoinHandle<anyhow::Result<(Phone, Marks, Vec<Duration>)>>,
}

/// What became of its work.
pub(super) struct Beside {
    /// The slowest twentieth took longer.
    pub(super) p95: Duration,
    pub(super) note: String,
}

impl Honest {
    /// Begins to work, on a phone of the collector's.
    pub(super) async fn begin(ground: &mut Ground) -> anyhow::Result<Self> {
        let collector = ground.collector.clone();
        let mut phone = ground.phone(&collector).await?;
        let (stop, mut stopped) = oneshot::channel();
        let area = ground.area;
        phone.device.sync_once().await?;
        phone.go_online();
        let working = tokio::spawn(async move {
            let mut marks = Marks::new();
            let mut times = Vec::new();
            let mut record = phone.device.create("resident", area, resident())?;
            phone
                .until("the first edit", |phone| Ok(phone.unsent()?.0 == 0))
                .await?;
            for number in 1.. {
                if number % EDITS_OF_A_RECORD == 0 {
                    record = phone.device.create("resident", area, resident())?;
                    phone
                        .until("a new record", |phone| Ok(phone.unsent()?.0 == 0))
                        .await?;
                }
                let mark = format!("h{number}");
                let mut events = phone.device.events();
                let started = Instant::now();
                phone.device.update(record, &marking(&mark))?;
                let answered = async {
                    loop {
                        match events.recv().await {
                            Ok(Event::Answered { .. }) => return Ok(()),
                            Ok(_) | Err(RecvError::Lagged(_)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                };
                tokio::time::timeout(LONGEST, answered)
                    .await
                    .context("the honest device was not answered")??;
                times.push(started.elapsed());
                marks.entry(record).or_default().push(mark);
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = &mut stopped => break,
                }
            }
            Ok((phone, marks, times))
        });
        Ok(Self { stop, working })
    }

    /// Stops, and looks whether the server has everything once.
    pub(super) async fn end(
        self,
        ground: &mut Ground,
        figures: &mut Figures,
    ) -> anyhow::Result<Beside> {
        self.stop.send(()).ok();
        let (mut phone, marks, mut times) = self.working.await??;
        phone.go_offline().await?;
        let held = Holding::of(&phone.device, ground.area).await?;
        oracle::ask(ground, &marks, &[held], figures).await?;
        times.sort_unstable();
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        let (p50, p95, p99) = (at(50), at(95), at(99));
        figures.p99_ms = u64::try_from(p99.as_millis()).ok();
        Ok(Beside {
            p95,
            note: format!(
                "an honest device's {} edits beside it: p50 {:.0} ms, p99 {:.0} ms",
                times.len(),
                p50.as_secs_f64() * 1e3,
                p99.as_secs_f64() * 1e3
            ),
        })
    }
}
