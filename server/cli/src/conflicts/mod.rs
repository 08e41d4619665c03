//! `doorstep conflicts`: the queue of what people must decide, through a running server.

mod resolve;
mod show;

use reqwest::Method;
use serde_json::Value;

use crate::failure::Outcome;
use crate::output;
use crate::remote::{RemoteArgs, text};
use crate::values;

const ROUTE: &str = "/api/conflicts";

/// 待裁决事项
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ConflictsCommand {
    /// 列出待裁决事项，最先到期的在前
    List(ListArgs),
    /// 显示一项：各方的值、谁、何时、哪台设备、原值，双方档案、居所、走访和照片
    Show(show::ShowArgs),
    /// 裁决一项
    Resolve(resolve::ResolveArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// 只列这个区划及其下级的
    #[arg(long, value_name = "区划")]
    area: Option<String>,
    /// 只列这一类：field、update_cancelled、duplicate_person、main_residence、refused_change、quarantined
    #[arg(long, value_name = "类别")]
    kind: Option<String>,
    /// open 待裁决（不填即是）、decided 已裁决、dismissed 已撤销、any 全部
    #[arg(long, value_name = "状态")]
    status: Option<String>,
    /// 分给谁的：用户编号、me 我、none 未分配
    #[arg(long, value_name = "用户")]
    assignee: Option<String>,
    /// 最多列多少项
    #[arg(long, value_name = "项数", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(command: ConflictsCommand, json: bool) -> Outcome {
    match command {
        ConflictsCommand::List(args) => list(args, json).await,
        ConflictsCommand::Show(args) => show::show(args, json).await,
        ConflictsCommand::Resolve(args) => resolve::resolve(args, json).await,
    }
}

async fn list(args: ListArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.area.map(|area| ("area", area)));
    query.extend(args.kind.map(|kind| ("kind", kind)));
    query.extend(args.status.map(|status| ("status", status)));
    query.extend(args.assignee.map(|assignee| ("assignee", assignee)));
    let page: Value = remote
        .json(remote.request(Method::GET, ROUTE).query(&query))
        .await?;
    if json {
        output::json(&page);
        return Ok(());
    }
    let items = page["items"].as_array().cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let mut row = [
                "kind_label",
                "title",
                "field_label",
                "assignee_name",
                "due_at",
            ]
            .map(|name| text(item, name))
            .to_vec();
            row[4] = moment(item, "due_at");
            row.push(
                if item["overdue"] == true {
                    "已超期"
                } else {
                    ""
                }
                .to_owned(),
            );
            row.push(text(item, "id"));
            row
        })
        .collect();
    output::table(
        &["类别", "档案", "项目", "裁决人", "期限", "", "编号"],
        &rows,
    );
    if page["next"].is_string() {
        output::line("还有更多，可加大 --limit。");
    }
    Ok(())
}

/// A time of an answer, in Shanghai.
fn moment(value: &Value, name: &str) -> String {
    let written = text(value, name);
    match chrono::DateTime::parse_from_rfc3339(&written) {
        Ok(at) => values::time(at.timestamp_millis()),
        Err(_) => written,
    }
}
