//! `doorstep register import`: a community's register from a CSV file or workbook, through a running server.

use std::path::PathBuf;
use std::time::Duration;

use doorstep_core::ids::AreaCode;
use reqwest::{Method, header};
use serde_json::Value;

use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::remote::{Remote, RemoteArgs, text};
use crate::users::all_pages;

const ROUTE: &str = "/api/imports";
/// Time between looks at how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Wrong rows shown; `--json` gives all.
const ROWS_SHOWN: usize = 30;

/// 人房登记册
#[derive(clap::Subcommand, Debug)]
pub(crate) enum RegisterCommand {
    /// 导入居民或房屋登记册（CSV 或 Excel），逐行给出结论
    Import(ImportArgs),
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// 居民
    Residents,
    /// 房屋
    Houses,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// 导入什么：residents 居民、houses 房屋
    #[arg(value_name = "类型")]
    what: What,
    /// 登记册文件
    #[arg(value_name = "文件")]
    file: PathBuf,
    /// 是哪个区划的登记册
    #[arg(long, value_name = "区划")]
    area: AreaCode,
    /// 只核对，不写入
    #[arg(long)]
    dry_run: bool,
    /// 跳过疑似重复的行；不填则照样写入，由主管裁决是否同一人
    #[arg(long)]
    skip_duplicates: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(command: RegisterCommand, json: bool) -> Outcome {
    let RegisterCommand::Import(args) = command;
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file(&args.file, &error))?;
    let remote = args.remote.signed_in()?;
    let name = args
        .file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let query = [
        (
            "type",
            if matches!(args.what, What::Residents) {
                "resident"
            } else {
                "house"
            }
            .to_owned(),
        ),
        ("area", args.area.to_string()),
        ("name", name),
        (
            "duplicates",
            if args.skip_duplicates {
                "skip"
            } else {
                "create"
            }
            .to_owned(),
        ),
        (
            "then",
            if args.dry_run { "check" } else { "run" }.to_owned(),
        ),
    ];
    let request = remote
        .request(Method::POST, ROUTE)
        .query(&query)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(bytes);
    let uploaded: Value = remote.json(request).await?;
    let id = text(&uploaded, "id");
    let import = wait(&remote, &id, args.dry_run, json).await?;
    let failed = text(&import, "status") == "failed";
    let errors = import["counts"]["error"].as_i64().unwrap_or(0);
    if json {
        let rows = all_pages(
            &remote,
            &format!("{ROUTE}/{id}/rows"),
            &[("limit", "500".to_owned())],
        )
        .await?;
        output::json(&serde_json::json!({ "import": import, "rows": rows }));
    } else {
        say(&import, args.dry_run);
        if errors > 0 {
            let wrong = [("verdict", "error".to_owned()), ("limit", "500".to_owned())];
            let rows = all_pages(&remote, &format!("{ROUTE}/{id}/rows"), &wrong).await?;
            say_wrong_rows(&rows);
        }
    }
    if failed {
        let failure = Failure::new(
            Exit::Failed,
            "import_failed",
            "导入中断：可用同一文件再次导入，已写入的行不会重复",
        );
        return Err(if json {
            Failure::said(Exit::Failed)
        } else {
            failure
        });
    }
    if errors > 0 {
        Err(Failure::said(Exit::Differs))
    } else {
        Ok(())
    }
}

/// Waits until the last step is over.
async fn wait(remote: &Remote, id: &str, dry_run: bool, json: bool) -> Result<Value, Failure> {
    let over = if dry_run { "checked" } else { "done" };
    let mut said = String::new();
    loop {
        let import: Value = remote
            .json(remote.request(Method::GET, &format!("{ROUTE}/{id}")))
            .await?;
        let status = text(&import, "status");
        if status == over || status == "failed" {
            return Ok(import);
        }
        let step = match status.as_str() {
            "checking" => "核对中",
            "running" => "写入中",
            _ => "准备中",
        };
        let at = format!("{step} {}%", text(&import, "percent"));
        if !json && at != said {
            output::complain(&at);
            said = at;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn say(import: &Value, dry_run: bool) {
    let counts = &import["counts"];
    let pair = |label: &str, name: &str| (label.to_owned(), text(counts, name));
    output::line(&format!(
        "共 {} 行{}：",
        text(import, "rows"),
        if dry_run {
            "，只核对，没有写入"
        } else {
            ""
        }
    ));
    output::pairs(&[
        pair("新增", "new"),
        pair("有变化", "changed"),
        pair("无变化", "unchanged"),
        pair("疑似重复", "duplicate"),
        pair("有错误", "error"),
        pair("有提醒", "warnings"),
        pair("已写入", "written"),
    ]);
    for problem in import["problems"].as_array().cloned().unwrap_or_default() {
        output::line(&format!(
            "表头“{}”：{}",
            text(&problem, "head"),
            text(&problem, "message")
        ));
    }
}

fn say_wrong_rows(rows: &[Value]) {
    output::line("");
    let mut lines = Vec::new();
    for row in rows {
        for problem in row["problems"].as_array().cloned().unwrap_or_default() {
            lines.push(vec![
                text(row, "row"),
                text(&problem, "column"),
                text(&problem, "head"),
                text(&problem, "message"),
            ]);
        }
    }
    let more = lines.len().saturating_sub(ROWS_SHOWN);
    lines.truncate(ROWS_SHOWN);
    output::table(&["行", "列", "表头", "问题"], &lines);
    if more > 0 {
        output::line(&format!("还有 {more} 处，加 --json 可查看全部。"));
    }
}
