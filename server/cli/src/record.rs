//! `doorstep record`: one record as the server has it, and a record as an Automerge document.

use std::path::PathBuf;

use automerge::Automerge;
use doorstep_core::ids::RecordId;
use doorstep_core::records;
use doorstep_core::store::DeviceStore;
use doorstep_core::value::Fields;
use serde_json::{Value, json};

use crate::device::DirArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::remote::{RemoteArgs, text};
use crate::{output, values};

/// 档案
#[derive(clap::Subcommand, Debug)]
pub(crate) enum RecordCommand {
    /// 显示服务器上的一份档案（个人信息按权限遮蔽）
    Show(ShowArgs),
    /// 把一份档案连同全部修改历史导出为 Automerge 文档
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
    /// 写到哪个文件；任何 Automerge 实现都能打开
    #[arg(long, value_name = "文件")]
    automerge: PathBuf,
    /// 从服务器导出的用途，记入审计：verification、service、correction、emergency 或 investigation
    #[arg(long, value_name = "用途")]
    purpose: Option<String>,
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

/// From the copy on a device, or from the server for a purpose that its log keeps. The changes are put together by the
/// automerge library, not by our own code, so that what is written is what others read.
async fn export(args: &ExportArgs, json: bool) -> Outcome {
    let chunks = match &args.dir {
        Some(dir) => from_device(DirArgs::of(dir, args.user.as_deref()), args.id)?,
        None => from_server(args).await?,
    };
    let mut document = Automerge::new();
    document.load_incremental(&chunks).map_err(|_| {
        Failure::new(
            Exit::Failed,
            "not_automerge",
            "这份档案的修改无法合成文档，请重新同步后再试",
        )
    })?;
    let changes = document.get_changes(&[]).len();
    std::fs::write(&args.automerge, document.save())
        .map_err(|error| Failure::file(&args.automerge, &error))?;
    if json {
        output::json(&json!({ "file": args.automerge, "changes": changes }));
    } else {
        output::line(&format!(
            "已导出：{}，共 {changes} 次修改。",
            args.automerge.display(),
        ));
    }
    Ok(())
}

fn from_device(dir: DirArgs, id: RecordId) -> Result<Vec<u8>, Failure> {
    let device = dir.device()?;
    device.record(id)?;
    let changes = device.read(|store| store.changes(id))?;
    Ok(changes
        .into_iter()
        .flat_map(|change| change.bytes)
        .collect())
}

async fn from_server(args: &ExportArgs) -> Result<Vec<u8>, Failure> {
    let purpose = args.purpose.as_deref().ok_or_else(|| {
        Failure::usage(
            "purpose_missing",
            "从服务器导出要说明用途：--purpose verification|service|correction|emergency|investigation；\
             从本机的副本导出用 --dir",
        )
    })?;
    let path = format!("/api/records/{}/document", args.id);
    let remote = args.remote.signed_in()?;
    let request = remote.request(reqwest::Method::POST, &path);
    remote
        .bytes(request.json(&json!({ "purpose": purpose })))
        .await
}
