//! `doorstep addresses import`: the address base, from the police's files. Their control file comes last: without it, or
//! where it says otherwise, a file is not whole.

use std::path::PathBuf;

use doorstep_server::domains::addresses::service;

use crate::failure::{Exit, Failure, Outcome};
use crate::local::{DataArgs, with_state};
use crate::output;

/// 标准地址库
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AddressesCommand {
    /// 导入公安下发的标准地址文件（DZ）；同一文件再次导入不会有变化
    Import(ImportArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// 标准地址文件；旁边须有公安一并下发的同名控制文件（.ok）
    #[arg(value_name = "文件")]
    file: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// 只说明会有哪些变化，不导入
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(command: AddressesCommand, json: bool) -> Outcome {
    let AddressesCommand::Import(args) = command;
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file(&args.file, &error))?;
    let control = args.file.with_extension("ok");
    let control = std::fs::read(&control).map_err(|_| {
        let message = format!(
            "没有控制文件 {}：标准地址文件可能还没有传完，请等控制文件也到齐后再导入",
            control.display()
        );
        Failure::new(Exit::Failed, "control_missing", message)
    })?;
    service::check_whole(&bytes, &control)?;
    let import = |state| async move { Ok(service::import(&state, &bytes, args.dry_run).await?) };
    let report = with_state(&args.data, import).await?;
    if json {
        output::json(&report);
        return Ok(());
    }
    output::line(&match args.dry_run {
        true => format!("文件中共 {} 个标准地址，以下为导入后的变化：", report.rows),
        false => format!("文件中共 {} 个标准地址，已导入：", report.rows),
    });
    output::pairs(&[
        ("新增".to_owned(), report.added.to_string()),
        ("修改".to_owned(), report.changed.to_string()),
        ("改变区划".to_owned(), report.moved.to_string()),
        ("停用".to_owned(), report.withdrawn.to_string()),
        ("较旧，未采用".to_owned(), report.older.to_string()),
    ]);
    Ok(())
}
