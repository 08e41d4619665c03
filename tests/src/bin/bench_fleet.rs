//! `./x bench fleet`: Doorstep's figures with a city's phones, as JSON lines that bench/table.mjs joins with those of
//! its peers.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use doorstep_tests::bench::fleet::{self, Options, Part, Size};
use doorstep_tests::repository;

/// The phones are in this process: it allocates as the program that people run does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the real binary with tens of thousands of real sessions.
#[derive(Debug, Parser)]
#[command(name = "bench-fleet")]
struct Arguments {
    /// The work, as bench/workload.mjs writes it.
    #[arg(long, value_name = "FILE", required_unless_present = "phones")]
    workload: Option<PathBuf>,
    /// A quick look: a few hundred phones.
    #[arg(long)]
    small: bool,
    /// Only this part.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Be more phones, as this file says, until the input ends.
    #[arg(long, value_name = "FILE", hide = true)]
    phones: Option<PathBuf>,
    /// The `doorstep` program; beside this one unless told.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(told) = arguments.phones {
        return fleet::phones(&told).await;
    }
    let program = repository::beside(arguments.program)?;
    let options = Options {
        program,
        itself: std::env::current_exe()?,
        workload: arguments.workload.context("--workload")?,
        size: if arguments.small {
            Size::SMALL
        } else {
            Size::CITY
        },
        only: arguments.only,
    };
    fleet::run(&options, &mut std::io::stdout()).await
}
