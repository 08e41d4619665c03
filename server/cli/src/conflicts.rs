//! `doorstep conflicts`: the queue of what people must decide, through a running server.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::failure::{Failure, Outcome};
use crate::output;
use crate::remote::{RemoteArgs, text};

const ROUTE: &str = "/api/conflicts";

/// 待裁决事项
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ConflictsCommand {
    /// 列出待裁决事项，最先到期的在前
    List(ListArgs),
    /// 显示一项：各方的值、谁、何时、哪台设备、原值和证据
    Show(ShowArgs),
    /// 裁决一项
    Resolve(ResolveArgs),
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

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// 事项编号
    #[arg(value_name = "编号")]
    id: Uuid,
    /// 需要看到完整证件号码等的事由；会记入审计日志，不填则遮蔽
    #[arg(long, value_name = "事由")]
    purpose: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("decision").required(true)))]
pub(crate) struct ResolveArgs {
    /// 事项编号
    #[arg(value_name = "编号")]
    id: Uuid,
    /// 采用第几个值（编号见 conflicts show）
    #[arg(long, value_name = "序号", group = "decision")]
    take: Option<usize>,
    /// 另填一个值；写空文字表示清除
    #[arg(long, value_name = "内容", group = "decision")]
    value: Option<String>,
    /// 其实是两个人：保留第几个值，另一个归入新建的居民
    #[arg(long, value_name = "序号", group = "decision")]
    split: Option<usize>,
    /// 是同一个人：合并，保留这份档案
    #[arg(long, value_name = "档案编号", group = "decision")]
    merge: Option<Uuid>,
    /// 接受被退回的修改
    #[arg(long, group = "decision")]
    accept: bool,
    /// 维持退回
    #[arg(long, group = "decision")]
    refuse: bool,
    /// 确认认领
    #[arg(long, group = "decision")]
    confirm: bool,
    /// 驳回认领
    #[arg(long, group = "decision")]
    deny: bool,
    /// 无需裁决
    #[arg(long, group = "decision")]
    dismiss: bool,
    /// 理由（加密保存）
    #[arg(long, value_name = "文字")]
    note: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(command: ConflictsCommand, json: bool) -> Outcome {
    match command {
        ConflictsCommand::List(args) => list(args, json).await,
        ConflictsCommand::Show(args) => show(args, json).await,
        ConflictsCommand::Resolve(args) => resolve(args, json).await,
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

async fn show(args: ShowArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let mut request = remote.request(Method::GET, &format!("{ROUTE}/{}", args.id));
    if let Some(purpose) = &args.purpose {
        request = request.query(&[("purpose", purpose)]);
    }
    let item: Value = remote.json(request).await?;
    if json {
        output::json(&item);
        return Ok(());
    }
    let pair = |label: &str, name: &str| (label.to_owned(), text(&item, name));
    output::pairs(&[
        pair("类别", "kind_label"),
        pair("档案", "title"),
        pair("项目", "field_label"),
        ("状态".to_owned(), status(&item)),
        pair("期限", "due_at"),
        ("原值".to_owned(), shown(&item["base"])),
        ("现值".to_owned(), shown(&item["present"])),
        ("可用裁决".to_owned(), actions(&item)),
    ]);
    let of = |name: &str| item[name].as_array().cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = of("values")
        .iter()
        .map(|value| {
            let mut row = vec![text(value, "choice"), shown(value)];
            row.extend(["user_name", "device", "made_at"].map(|name| text(value, name)));
            row
        })
        .collect();
    if !rows.is_empty() {
        output::line("");
        output::table(&["序号", "值", "谁", "设备", "时间"], &rows);
    }
    let rows: Vec<Vec<String>> = of("refused")
        .iter()
        .map(|one| {
            let values = one["values"].as_array().cloned().unwrap_or_default();
            let values: Vec<String> = values
                .iter()
                .map(|value| format!("{}={}", text(value, "label"), text(value, "value")))
                .collect();
            vec![
                text(one, "code"),
                values.join("，"),
                text(one, "user_name"),
                text(one, "made_at"),
                text(one, "id"),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::line("");
        output::table(&["退回原因", "内容", "谁", "时间", "编号"], &rows);
    }
    Ok(())
}

/// A value with what its code means.
fn shown(value: &Value) -> String {
    match (text(value, "meaning"), text(value, "value")) {
        (meaning, value) if meaning.is_empty() => value,
        (meaning, value) => format!("{meaning}（{value}）"),
    }
}

fn status(item: &Value) -> String {
    match text(item, "status").as_str() {
        "open" => "待裁决",
        "decided" => "已裁决",
        "dismissed" => "已撤销",
        _ => "",
    }
    .to_owned()
}

fn actions(item: &Value) -> String {
    let actions = item["actions"].as_array().cloned().unwrap_or_default();
    actions
        .iter()
        .filter_map(Value::as_str)
        .map(|action| format!("--{action}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The decision as the server reads it.
fn decision(args: &ResolveArgs) -> Result<Value, Failure> {
    let decided = [
        args.take
            .map(|choice| json!({ "action": "take", "choice": choice })),
        args.value.as_ref().map(|value| match value.as_str() {
            "" => json!({ "action": "value", "value": null }),
            value => json!({ "action": "value", "value": value }),
        }),
        args.split
            .map(|keep| json!({ "action": "split", "keep": keep })),
        args.merge
            .map(|survivor| json!({ "action": "merge", "survivor": survivor })),
        args.accept.then(|| json!({ "action": "accept" })),
        args.refuse.then(|| json!({ "action": "refuse" })),
        args.confirm.then(|| json!({ "action": "confirm" })),
        args.deny.then(|| json!({ "action": "deny" })),
        args.dismiss.then(|| json!({ "action": "dismiss" })),
    ];
    let mut decided = decided
        .into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Failure::usage("decision_missing", "请写明怎样裁决，例如 --take 1"))?;
    if let Some(note) = &args.note {
        decided["note"] = note.as_str().into();
    }
    Ok(decided)
}

async fn resolve(args: ResolveArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let body = decision(&args)?;
    let decided = remote
        .post(&format!("{ROUTE}/{}/decision", args.id), &body)
        .await?;
    if json {
        output::json(&decided);
    } else {
        output::line(&format!(
            "已裁决：{} 处修改，已告知 {} 人。",
            text(&decided, "changes"),
            text(&decided, "told")
        ));
    }
    Ok(())
}
