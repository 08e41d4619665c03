//! The whole job on one machine: the real server, a committee's real-shaped register, phones that go offline, merge,
//! disagree, and hear what was decided. Every claim that is printed is checked; a check that fails fails the demo.

mod agreement;
mod crash;
mod imports;
mod offline;
mod people;
mod photos;
mod queue;
mod report;
mod reunion;
mod say;
mod stage;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;

pub use report::Report;
use say::Say;
use stage::Stage;

/// What to show, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `doorstep` program.
    pub program: PathBuf,
    /// The server stays up afterwards.
    pub keep: bool,
    /// Only so many rows of each file of the register; `None` for all.
    pub rows: Option<usize>,
    /// How many edits the interrupted upload holds; at least a few envelopes (200 each).
    pub upload: usize,
}

impl Options {
    /// The whole demo.
    #[must_use]
    pub fn whole(program: PathBuf) -> Self {
        Self {
            program,
            keep: false,
            rows: None,
            upload: 1_500,
        }
    }

    /// A demo on a part of the register, for a test.
    #[must_use]
    pub fn short(program: PathBuf) -> Self {
        Self {
            rows: Some(150),
            upload: 900,
            ..Self::whole(program)
        }
    }
}

/// Plays the demo in a new folder and says what happens on `out`.
///
/// # Errors
/// When a step fails, or something differs from what it should be.
pub async fn run(options: &Options, out: &mut (dyn Write + Send)) -> anyhow::Result<Report> {
    let started = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("doorstep-demo-")
        .tempdir()?;
    let mut say = Say::new(out);
    say.title(
        "Doorstep 演示：离线采集、合并、裁决，各手机一致",
        "offline, merge, decide, agree",
    )?;
    let mut stage = Stage::set(options, folder.path(), &mut say).await?;
    let plot = offline::edit(&mut stage, &mut say).await?;
    let met = reunion::meet(&mut stage, &plot, &mut say).await?;
    queue::decide(&mut stage, &plot, &met, &mut say).await?;
    crash::interrupt(&mut stage, options.upload, &mut say).await?;
    photos::interrupt(&mut stage, &plot, &mut say).await?;
    photos::look(&mut stage, &plot, &mut say).await?;
    agreement::compare(&mut stage, folder.path(), &mut say).await?;
    let mut report = std::mem::take(&mut stage.report);
    report.seconds = started.elapsed().as_secs_f64();
    report.failed = say.failed().to_vec();
    say.summary(&report)?;
    if options.keep {
        stage.keep(folder.keep(), &mut say)?;
    } else {
        stage.close().await?;
    }
    Ok(report)
}

/// Writes a report as JSON.
///
/// # Errors
/// When it can't be written.
pub fn write_report(report: &Report, file: &Path) -> anyhow::Result<()> {
    std::fs::write(file, serde_json::to_vec_pretty(report)?)?;
    Ok(())
}

/// Fails when anything differed.
///
/// # Errors
/// Names what differed.
pub fn require_whole(report: &Report) -> anyhow::Result<()> {
    ensure!(
        report.failed.is_empty(),
        "有 {} 处与预期不符：{}",
        report.failed.len(),
        report.failed.join("；")
    );
    Ok(())
}
