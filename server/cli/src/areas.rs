//! `doorstep areas import`: the city's tree of areas, from a file.

use std::path::PathBuf;

use chrono::NaiveDate;
use doorstep_server::domains::areas::{ImportQuery, service};

use crate::failure::{Failure, Outcome};
use crate::local::{DataArgs, with_state};
use crate::output;

/// 区划
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AreasCommand {
    /// 导入全市区划（CSV）；同一文件再次导入不会有变化
    Import(ImportArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// 区划文件
    #[arg(value_name = "文件")]
    file: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// 只说明会有哪些变化，不导入
    #[arg(long)]
    dry_run: bool,
    /// 从哪一天起生效；不填为今天
    #[arg(long, value_name = "年-月-日")]
    effective_on: Option<NaiveDate>,
    /// 版本说明
    #[arg(long, value_name = "文字", default_value = "")]
    note: String,
}

pub(crate) async fn run(command: AreasCommand, json: bool) -> Outcome {
    let AreasCommand::Import(args) = command;
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file(&args.file, &error))?;
    let query = ImportQuery {
        effective_on: args.effective_on,
        note: args.note,
        dry_run: args.dry_run,
    };
    let import = |state| async move { Ok(service::import(&state, None, &bytes, &query).await?) };
    let report = with_state(&args.data, import).await?;
    if json {
        output::json(&report);
        return Ok(());
    }
    output::line(&match (report.version, args.dry_run) {
        (Some(version), _) => format!("区划已更新为第 {version} 版，共 {} 个。", report.rows),
        (None, true) => format!("文件中共 {} 个区划，以下为导入后的变化：", report.rows),
        (None, false) => format!("区划没有变化，共 {} 个。", report.rows),
    });
    output::pairs(&[
        ("新设".to_owned(), report.added.to_string()),
        ("更名".to_owned(), report.renamed.to_string()),
        ("改变隶属".to_owned(), report.moved.to_string()),
        ("撤销".to_owned(), report.retired.to_string()),
        ("恢复".to_owned(), report.restored.to_string()),
    ]);
    Ok(())
}
