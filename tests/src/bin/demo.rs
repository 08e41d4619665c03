//! `./x demo`: plays the whole job with the real binary, and fails when anything differs.

use std::path::PathBuf;

use clap::Parser;
use doorstep_tests::demo::{self, Options};
use doorstep_tests::repository;

/// 演示：真实的服务器和多台设备，离线采集、合并、裁决、核对
#[derive(Debug, Parser)]
#[command(name = "doorstep-demo")]
struct Arguments {
    /// 结束后保留服务器，供人查看
    #[arg(long)]
    keep: bool,
    /// 把小结写成 JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// doorstep 程序；默认与本程序在同一目录
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = repository::beside(arguments.program)?;
    let options = Options {
        keep: arguments.keep,
        ..Options::whole(program)
    };
    let report = demo::run(&options, &mut std::io::stdout()).await?;
    if let Some(file) = &arguments.report {
        demo::write_report(&report, file)?;
    }
    demo::require_whole(&report)
}
