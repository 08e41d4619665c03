//! `./x bench sync`: Doorstep's own figures, as JSON lines that bench/table.mjs joins with those of its peers.

use std::path::PathBuf;

use clap::Parser;
use doorstep_tests::bench::{self, Options, Task};
use doorstep_tests::repository;

/// The devices measured are in this process: it allocates as the program that people run does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures syncing with the real binary and real devices.
#[derive(Debug, Parser)]
#[command(name = "bench-sync")]
struct Arguments {
    /// The work, as bench/workload.mjs writes it.
    #[arg(long, value_name = "FILE")]
    workload: PathBuf,
    /// One run of each instead of three.
    #[arg(long)]
    small: bool,
    /// How often each figure is measured; the median counts.
    #[arg(long)]
    runs: Option<usize>,
    /// Only these tasks.
    #[arg(long, value_delimiter = ',')]
    task: Vec<Task>,
    /// The `doorstep` program; beside this one unless told.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = repository::beside(arguments.program)?;
    let options = Options {
        program,
        workload: arguments.workload,
        runs: arguments
            .runs
            .unwrap_or(if arguments.small { 1 } else { 3 }),
        small: arguments.small,
        tasks: arguments.task,
    };
    bench::run(&options, &mut std::io::stdout()).await
}
