//! `doorstep record`: one record as the server has it; and a record with its whole history, as JSON or as an Automerge
//! document, from the server or from a device's copy.

use std::path::PathBuf;

use automerge::Automerge;
use chrono::DateTime;
use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::ids::RecordId;
use doorstep_core::records;
use doorstep_core::store::{DeviceStore, StoredChange, StoredRecord};
use doorstep_core::value::Fields;
use serde_json::{Map, Value, json};

use crate::device::DirArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::purpose::Purpose;
use crate::remote::{RemoteArgs, text};
use crate::{output, values};

/// 档案
#[derive(clap::Subcommand, Debug)]
pub(crate) enum RecordCommand {
    /// 显示服务器上的一份档案（个人信息按权限遮蔽）
    Show(ShowArgs),
    /// 导出一份档案连同全部修改历史：JSON，或 Automerge 文档
    Export(ExportArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// 档案编号
    #[arg(value_name = "编号")]
    id: RecordId,
    /// 连同历史：谁、何时、在哪台设备、每个值
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ExportArgs {
    /// 档案编号
    #[arg(value_name = "编号")]
    id: RecordId,
    /// 写成 Automerge 文档，写到这个文件，任何 Automerge 实现都能打开；不填则把 JSON 写到标准输出
    #[arg(long, value_name = "文件")]
    automerge: Option<PathBuf>,
    /// 从服务器导出的用途，记入审计；从服务器导出时必须填写
    #[arg(long, value_name = "用途")]
    purpose: Option<Purpose>,
    /// 从这台设备的副本导出：设备的数据目录
    #[arg(long, value_name = "目录", env = "DOORSTEP_DEVICE_DIR")]
    dir: Option<PathBuf>,
    /// 设备上有多个账号时，用哪一个（登录名）
    #[arg(long, value_name = "登录名", requires = "dir")]
    user: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(command: RecordCommand, json: bool) -> Outcome {
    match command {
        RecordCommand::Show(args) => show(args, json).await,
        RecordCommand::Export(args) => export(&args, json).await,
    }
}

async fn show(args: ShowArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let path = format!("/api/records/{}", args.id);
    let mut record: Value = remote
        .json(remote.request(reqwest::Method::GET, &path))
        .await?;
    if args.history {
        let request = remote.request(reqwest::Method::GET, &format!("{path}/history"));
        record["history"] = remote.json(request).await?;
    }
    if json {
        output::json(&record);
        return Ok(());
    }
    let kind = text(&record, "record_type");
    let declared = records::record_type(&kind);
    output::line(&format!(
        "{}  {}",
        declared.map_or(kind, |declared| declared.label.clone()),
        args.id
    ));
    let fields: Fields = serde_json::from_value(record["fields"].clone()).unwrap_or_default();
    if let Some(declared) = declared {
        output::pairs(&values::rows(declared, &fields));
    }
    if args.history {
        output::line("");
        output::line(&serde_json::to_string_pretty(&record["history"]).unwrap_or_default());
    }
    Ok(())
}

/// From the copy on a device, or from the server for a purpose that its log keeps.
async fn export(args: &ExportArgs, json: bool) -> Outcome {
    let Some(file) = &args.automerge else {
        let record = match device_dir(args) {
            Some(dir) => json_from_device(&dir, args.id)?,
            None => json_from_server(args).await?,
        };
        output::line(&if json {
            record.to_string()
        } else {
            format!("{record:#}")
        });
        return Ok(());
    };
    let chunks = match device_dir(args) {
        Some(dir) => held_on(&dir, args.id)?
            .1
            .into_iter()
            .flat_map(|change| change.bytes)
            .collect(),
        None => from_server(args).await?,
    };
    // The changes are put together by the automerge library, not by our own code, so that what is written is what
    // others read.
    let mut document = Automerge::new();
    document
        .load_incremental(&chunks)
        .map_err(|_| unreadable())?;
    let changes = document.get_changes(&[]).len();
    std::fs::write(file, document.save()).map_err(|error| Failure::file(file, &error))?;
    if json {
        output::json(&json!({ "file": file, "changes": changes }));
    } else {
        output::line(&format!(
            "已导出：{}，共 {changes} 次修改。",
            file.display(),
        ));
    }
    Ok(())
}

fn unreadable() -> Failure {
    Failure::new(
        Exit::Failed,
        "not_automerge",
        "这份档案的修改无法合成文档，请重新同步后再试",
    )
}

fn device_dir(args: &ExportArgs) -> Option<DirArgs> {
    let dir = args.dir.as_deref()?;
    Some(DirArgs::of(dir, args.user.as_deref()))
}

/// A record of a device, with its changes in the order they were taken.
fn held_on(dir: &DirArgs, id: RecordId) -> Result<(StoredRecord, Vec<StoredChange>), Failure> {
    let device = dir.device()?;
    let record = device.record(id)?;
    let changes = device.read(|store| store.changes(id))?;
    Ok((record, changes))
}

/// What a device holds: it knows when each change was made and by which actor, not by whom.
fn json_from_device(dir: &DirArgs, id: RecordId) -> Result<Value, Failure> {
    let (record, changes) = held_on(dir, id)?;
    let declared = records::record_type(&record.record_type);
    let mut registers = Registers::default();
    let mut history = Vec::new();
    for stored in changes {
        let (change, hash) = chunk::decode(&stored.bytes).map_err(|_| unreadable())?;
        let held = change.ops.iter().map(|op| registers.get(&op.key).cloned());
        let before: Vec<_> = held.collect();
        // It was taken once, so what it replaces was known.
        registers.apply(&change, hash).map_err(|_| unreadable())?;
        let moves = change.ops.iter().zip(before);
        let fields: Vec<Value> = moves
            .filter(|(op, _)| !op.key.starts_with('_'))
            .map(|(op, before)| {
                let field = declared.and_then(|declared| declared.field(&op.key));
                json!({
                    "field": op.key,
                    "label": field.map_or(&op.key, |field| &field.label),
                    "before": before,
                    "put": op.value,
                    "after": registers.get(&op.key),
                })
            })
            .collect();
        history.push(json!({
            "hash": hash.to_string(),
            "actor": hex::encode(change.actor.0),
            "made_at": DateTime::from_timestamp_millis(change.time),
            "confirmed": stored.confirmed,
            "fields": fields,
        }));
    }
    let mut fields = registers.fields();
    fields.retain(|key, _| !key.starts_with('_'));
    Ok(json!({
        "id": record.id,
        "record_type": record.record_type,
        "area": record.area,
        "fields": fields,
        "history": { "changes": history },
    }))
}

/// What the server holds, in clear. The history has every value that the record ever held, so that its purpose is
/// stated, and logged, once.
async fn json_from_server(args: &ExportArgs) -> Result<Value, Failure> {
    let purpose = purpose(args)?;
    let path = format!("/api/records/{}", args.id);
    let remote = args.remote.signed_in()?;
    let shown: Value = remote
        .json(remote.request(reqwest::Method::GET, &path))
        .await?;
    let request = remote.request(reqwest::Method::GET, &format!("{path}/history"));
    let history: Value = remote.json(request.query(&[("purpose", purpose)])).await?;
    let mut record = Map::new();
    for name in [
        "id",
        "record_type",
        "area",
        "areas",
        "cancelled",
        "version",
        "updated_at",
    ] {
        record.insert(name.to_owned(), shown[name].clone());
    }
    record.insert("fields".to_owned(), last_values(&history));
    record.insert("history".to_owned(), history);
    Ok(record.into())
}

/// A record's values as its own last changes left them.
fn last_values(history: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut fields = Map::new();
    for change in list(&history["changes"]) {
        if !change["merged_from"].is_null() {
            continue;
        }
        for moved in list(&change["fields"]) {
            match &moved["after"] {
                Value::Null => fields.remove(&text(&moved, "field")),
                after => fields.insert(text(&moved, "field"), after.clone()),
            };
        }
    }
    fields.into()
}

fn purpose(args: &ExportArgs) -> Result<Purpose, Failure> {
    args.purpose.ok_or_else(|| {
        Failure::usage(
            "purpose_missing",
            "从服务器导出要说明用途：--purpose verification|service|correction|emergency|investigation；\
             从本机的副本导出用 --dir",
        )
    })
}

async fn from_server(args: &ExportArgs) -> Result<Vec<u8>, Failure> {
    let purpose = purpose(args)?;
    let path = format!("/api/records/{}/document", args.id);
    let remote = args.remote.signed_in()?;
    let request = remote.request(reqwest::Method::POST, &path);
    remote
        .bytes(request.json(&json!({ "purpose": purpose })))
        .await
}
