//! `doorstep conflicts resolve`: a decision, in the words of the command line. Whether it may be is the server's to say.

use serde_json::{Value, json};
use uuid::Uuid;

use super::ROUTE;
use crate::failure::{Failure, Outcome};
use crate::remote::{RemoteArgs, text};
use crate::{output, values};

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
    /// 分开时：归新建居民的居所（编号见 conflicts show），可重复
    #[arg(long, value_name = "编号")]
    residence: Vec<Uuid>,
    /// 分开时：新建居民与两边都不同的内容，例如 姓名=张三，可重复
    #[arg(long, value_name = "项目=内容")]
    field: Vec<String>,
    /// 是同一个人：合并，保留这份档案（编号见 conflicts show）
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

/// The two persons that an item turned out to be.
fn split(args: &ResolveArgs) -> Result<Option<Value>, Failure> {
    let Some(keep) = args.split else {
        return match args.residence.is_empty() && args.field.is_empty() {
            true => Ok(None),
            false => Err(Failure::usage(
                "only_with_split",
                "--residence 和 --field 只用于分开两个人，请与 --split 一起填写",
            )),
        };
    };
    let fields = values::fields(values::record_type("resident")?, &args.field)?;
    Ok(Some(json!({
        "action": "split", "keep": keep, "fields": fields, "residences": args.residence,
    })))
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
        split(args)?,
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

pub(super) async fn resolve(args: ResolveArgs, json: bool) -> Outcome {
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
