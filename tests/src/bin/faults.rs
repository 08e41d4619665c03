//! `./x faults`: makes faults on purpose and prints what became of each row; anything lost, doubled or not survived
//! fails. Run again with a task in its environment, it is a device that waits to be killed.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use doorstep_tests::faults::{self, Options};
use doorstep_tests::repository;

/// 故障演练：按表制造故障，逐行核对有没有丢失或重复
#[derive(Debug, Parser)]
#[command(name = "doorstep-faults")]
struct Arguments {
    /// 只做这一行，可重复；不填则全做
    #[arg(long = "row", value_name = "NAME")]
    rows: Vec<String>,
    /// 随机种子，用来重现
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// 次数较少，几分钟内做完
    #[arg(long)]
    short: bool,
    /// 列出各行
    #[arg(long)]
    list: bool,
    /// 把结果写成 JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// doorstep 程序；默认与本程序在同一目录
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Ok(task) = std::env::var(faults::CHILD) {
        return faults::live_until_killed(&task).await;
    }
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    if arguments.list {
        return faults::list(&mut out);
    }
    let itself = std::env::current_exe()?;
    let program = repository::beside(arguments.program)?;
    let options = Options {
        program,
        itself,
        rows: arguments.rows,
        seed: arguments.seed,
        short: arguments.short,
    };
    let played = faults::play(&options, &mut out).await?;
    if let Some(report) = arguments.report {
        std::fs::write(report, serde_json::to_vec_pretty(&played)?)?;
    }
    let broken: Vec<&str> = played
        .iter()
        .filter(|played| !played.figures.is_whole())
        .map(|played| played.row)
        .collect();
    for row in played.iter().filter(|row| row.figures.skipped.is_some()) {
        eprintln!("not played here: {}", row.row);
    }
    ensure!(broken.is_empty(), "not whole: {}", broken.join(", "));
    Ok(())
}
