//! `./x bench city`: a register of a city's size, at three sizes, as JSON lines for bench/table.mjs.

use std::path::PathBuf;

use clap::Parser;
use doorstep_tests::bench::city::{self, Options};
use doorstep_tests::repository;

/// The register is filled in this process: it allocates as the program that people run does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the real binary on registers of growing size.
#[derive(Debug, Parser)]
#[command(name = "bench-city")]
struct Arguments {
    /// Residents, from size to size.
    #[arg(long, value_delimiter = ',', default_value = "100000,316000,1000000")]
    sizes: Vec<usize>,
    /// A quick look: a few thousand.
    #[arg(long)]
    small: bool,
    /// The `doorstep` program; beside this one unless told.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep the city in this folder; one that is there already is gone on from, and sizes below its own are left out.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// After the last size: back the city up, restore it into an empty folder, and hold every table against the backup.
    #[arg(long)]
    drill: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = repository::beside(arguments.program)?;
    let options = match arguments.small {
        true => Options {
            program,
            sizes: vec![1_000, 2_000, 4_000],
            village: 500,
            asked: 20,
            data: arguments.data,
            drill: arguments.drill,
        },
        false => Options {
            program,
            sizes: arguments.sizes,
            village: 4_300,
            asked: 200,
            data: arguments.data,
            drill: arguments.drill,
        },
    };
    city::run(&options, &mut std::io::stdout()).await
}
