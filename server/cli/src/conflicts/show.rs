//! `doorstep conflicts show`: one item with all that a decision needs, so that each option of `resolve` can be filled in
//! from what stands here.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::{ROUTE, moment};
use crate::failure::Outcome;
use crate::output;
use crate::purpose::Purpose;
use crate::remote::{Remote, RemoteArgs, text};

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// 事项编号
    #[arg(value_name = "编号")]
    id: Uuid,
    /// 需要看到完整证件号码等的用途；会记入审计日志，不填则遮蔽
    #[arg(long, value_name = "用途")]
    purpose: Option<Purpose>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn show(args: ShowArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let mut request = remote.request(Method::GET, &format!("{ROUTE}/{}", args.id));
    if let Some(purpose) = args.purpose {
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
        ("期限".to_owned(), moment(&item, "due_at")),
        ("原值".to_owned(), shown(&item["base"])),
        ("现值".to_owned(), shown(&item["present"])),
        ("可用裁决".to_owned(), actions(&item)),
    ]);
    section(&["序号", "值", "谁", "设备", "时间"], &choices(&item));
    section(&["退回原因", "内容", "谁", "时间", "编号"], &refused(&item));
    let (heads, rows) = both_records(&item);
    section(&heads, &rows);
    section(&["居所", "种类", "编号"], &residences(&remote, &item).await);
    let evidence = &item["evidence"];
    section(&["走访时间", "谁", "内容", "编号"], &visits(evidence));
    section(&["照片", "张数", "属于编号"], &photos(evidence));
    section(&["已作裁决", "谁", "时间", "理由"], &decided(&item));
    if args.purpose.is_none() && masks(&item) {
        output::line("");
        output::line("有内容被遮蔽；有权限的人加 --purpose 可以看到，会记入审计日志。");
    }
    Ok(())
}

/// A table with a line before it, or nothing.
fn section(heads: &[&str], rows: &[Vec<String>]) {
    if !rows.is_empty() {
        output::line("");
        output::table(heads, rows);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The first that is not empty.
fn either(one: String, other: String) -> String {
    if one.is_empty() { other } else { one }
}

/// A value with what its code means.
fn shown(value: &Value) -> String {
    match (text(value, "meaning"), text(value, "value")) {
        (meaning, value) if meaning.is_empty() => value,
        (meaning, value) => format!("{meaning}（{value}）"),
    }
}

/// Labels with values, in a line.
fn said(values: &Value) -> String {
    let said = list(values)
        .iter()
        .map(|value| format!("{}={}", text(value, "label"), shown(value)));
    said.collect::<Vec<_>>().join("，")
}

/// What `--take` and `--split` number.
fn choices(item: &Value) -> Vec<Vec<String>> {
    let row = |value: &Value| {
        let label = text(value, "field_label");
        let said = match label.as_str() {
            "" => shown(value),
            label => format!("{label}={}", shown(value)),
        };
        vec![
            text(value, "choice"),
            said,
            text(value, "user_name"),
            either(text(value, "device_name"), text(value, "device")),
            moment(value, "made_at"),
        ]
    };
    list(&item["values"]).iter().map(row).collect()
}

fn refused(item: &Value) -> Vec<Vec<String>> {
    let row = |one: &Value| {
        vec![
            text(one, "code"),
            said(&one["values"]),
            text(one, "user_name"),
            moment(one, "made_at"),
            text(one, "id"),
        ]
    };
    list(&item["refused"]).iter().map(row).collect()
}

/// The records that the item is about, side by side; `--merge` names one of them.
fn both_records(item: &Value) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let records: Vec<&Value> = [&item["record_now"], &item["other_now"]]
        .into_iter()
        .filter(|record| record.is_object())
        .collect();
    let mut heads = vec!["", "档案", "另一份档案"];
    heads.truncate(records.len() + 1);
    if records.is_empty() {
        return (heads, Vec::new());
    }
    let row = |label: &str, cell: &dyn Fn(&Value) -> String| {
        let cells = records.iter().map(|record| cell(record));
        [label.to_owned()].into_iter().chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = vec![
        row("编号", &|record| text(record, "id")),
        row("类型", &|record| text(record, "label")),
        row("区划", &|record| {
            let areas = list(&record["areas"]).iter().filter_map(Value::as_str);
            areas.collect::<Vec<_>>().join("、")
        }),
        row("状态", &standing),
    ];
    let mut keys: Vec<(String, String)> = Vec::new();
    for field in records.iter().flat_map(|record| list(&record["fields"])) {
        let named = (text(field, "key"), text(field, "label"));
        if !keys.contains(&named) {
            keys.push(named);
        }
    }
    rows.extend(keys.iter().map(|(key, label)| {
        row(label, &|record| {
            let fields = list(&record["fields"]).iter();
            let held = fields.filter(|field| text(field, "key") == *key);
            held.map(shown).collect()
        })
    }));
    (heads, rows)
}

fn standing(record: &Value) -> String {
    match (text(record, "merged_into").as_str(), &record["cancelled"]) {
        ("", Value::Bool(true)) => "已注销".to_owned(),
        ("", _) => "有效".to_owned(),
        (id, _) => format!("已并入 {id}"),
    }
}

/// What `--residence` may name, where the item can be split. One who may decide the item but not read the file sees none.
async fn residences(remote: &Remote, item: &Value) -> Vec<Vec<String>> {
    let splits = list(&item["actions"])
        .iter()
        .any(|action| action == "split");
    if !splits || item["record_type"] != "resident" {
        return Vec::new();
    }
    let path = format!("/api/records/{}", text(item, "record"));
    let file: Value = remote
        .json(remote.request(Method::GET, &path))
        .await
        .unwrap_or_default();
    let row = |residence: &Value| {
        vec![
            text(residence, "address"),
            text(residence, "kind_label"),
            text(residence, "id"),
        ]
    };
    list(&file["residences"]).iter().map(row).collect()
}

fn visits(evidence: &Value) -> Vec<Vec<String>> {
    let row = |visit: &Value| {
        vec![
            moment(visit, "happened_at"),
            text(visit, "user_name"),
            said(&visit["values"]),
            text(visit, "id"),
        ]
    };
    list(&evidence["visits"]).iter().map(row).collect()
}

fn photos(evidence: &Value) -> Vec<Vec<String>> {
    let row = |photos: &Value| {
        ["label", "count", "of"]
            .map(|name| text(photos, name))
            .to_vec()
    };
    list(&evidence["photos"]).iter().map(row).collect()
}

fn decided(item: &Value) -> Vec<Vec<String>> {
    let decision = &item["decision"];
    if decision.is_null() {
        return Vec::new();
    }
    vec![vec![
        text(decision, "action"),
        text(decision, "by_name"),
        moment(decision, "at"),
        text(decision, "note"),
    ]]
}

/// Whether anything in the answer is hidden.
fn masks(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.get("masked") == Some(&Value::Bool(true)) || fields.values().any(masks)
        }
        Value::Array(items) => items.iter().any(masks),
        _ => false,
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
    let actions = list(&item["actions"]).iter().filter_map(Value::as_str);
    let options: Vec<String> = actions.map(|action| format!("--{action}")).collect();
    options.join(" ")
}
