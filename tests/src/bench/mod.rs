//! Doorstep's own figures (bench/README.md says what is measured and how): the real server in a process of its own,
//! real devices in this one. Knows nothing of peers.

mod accept;
pub mod city;
mod converge;
mod device;
mod figures;
mod first;
pub mod fleet;
mod live;
mod scene;
mod work;

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;

use figures::Figures;
use scene::Scene;
use work::Work;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// A new device until it has everything; coming back with nothing new; then the app itself.
    First,
    /// From an edit to its showing elsewhere.
    Live,
    /// Changes accepted a second.
    Accept,
    /// Devices that were offline until all are equal.
    Converge,
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `doorstep` program.
    pub program: PathBuf,
    /// The work, as bench/workload.mjs writes it.
    pub workload: PathBuf,
    /// How often.
    pub runs: usize,
    /// A quick look: less of everything.
    pub small: bool,
    /// Only these; empty for all.
    pub tasks: Vec<Task>,
}

/// Measures, and writes a line of JSON for each figure.
///
/// # Errors
/// When something can't be measured, or comes out wrong: a figure of a wrong result is none.
pub async fn run(options: &Options, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let work = Work::read(&options.workload)?;
    let mut figures = Figures::new(out);
    let wanted = |task| options.tasks.is_empty() || options.tasks.contains(&task);
    if wanted(Task::First) || wanted(Task::Live) || wanted(Task::Accept) {
        let mut scene = Scene::open(&options.program, &work).await?;
        if wanted(Task::First) {
            let phone = first::measure(&mut scene, options.runs, &mut figures).await?;
            device::measure(phone, &scene, options.runs, &mut figures)?;
        }
        if wanted(Task::Live) {
            live::measure(
                &mut scene,
                if options.small { 40 } else { 300 },
                &mut figures,
            )
            .await?;
        }
        if wanted(Task::Accept) {
            accept::measure(
                &mut scene,
                options.runs,
                if options.small { 100 } else { 1_000 },
                &mut figures,
            )
            .await?;
        }
        scene.close()?;
    }
    if wanted(Task::Converge) {
        converge::measure(&options.program, &work, options.runs, &mut figures).await?;
    }
    Ok(())
}
