//! Photos on a device.

use std::path::PathBuf;

use doorstep_client::PhotoState;
use doorstep_core::ids::RecordId;
use serde_json::json;

use super::DirArgs;
use crate::failure::{Failure, Outcome};
use crate::{output, values};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum PhotoCommand {
    /// 给档案添加照片（先检查大小和格式，再加密排队上传）
    Add(AddArgs),
    /// 列出还在本机的照片：等待上传的和被退回的
    List(ListArgs),
    /// 取出照片存为文件；不在本机时从服务器下载
    Get(GetArgs),
    /// 删除被退回的照片
    Dismiss(DismissArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct AddArgs {
    /// 档案编号
    #[arg(value_name = "编号")]
    id: RecordId,
    /// 照片文件：JPEG、PNG 或 WebP，不超过 10 MB
    #[arg(value_name = "文件")]
    file: PathBuf,
    /// 放在哪一项：居民可用 portrait 人像、photos 其他照片
    #[arg(long, value_name = "项目", default_value = "photos")]
    field: String,
    #[command(flatten)]
    dir: DirArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    dir: DirArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct GetArgs {
    /// 照片编号（档案中显示的 64 位十六进制数字）
    #[arg(value_name = "照片编号")]
    digest: String,
    /// 存到哪个文件
    #[arg(value_name = "文件")]
    file: PathBuf,
    #[command(flatten)]
    dir: DirArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct DismissArgs {
    /// 照片编号
    #[arg(value_name = "照片编号")]
    digest: String,
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) async fn run(command: PhotoCommand, json: bool) -> Outcome {
    match command {
        PhotoCommand::Add(args) => add(&args, json),
        PhotoCommand::List(args) => list(&args, json),
        PhotoCommand::Get(args) => get(args, json).await,
        PhotoCommand::Dismiss(args) => dismiss(&args, json),
    }
}

fn add(args: &AddArgs, json: bool) -> Outcome {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file(&args.file, &error))?;
    let digest = args.dir.device()?.add_photo(args.id, &args.field, &bytes)?;
    if json {
        output::json(&json!({ "digest": digest }));
    } else {
        output::line(&format!("已添加照片，等待上传：{digest}"));
    }
    Ok(())
}

fn list(args: &ListArgs, json: bool) -> Outcome {
    let photos = args.dir.device()?.photos()?;
    if json {
        output::json(&photos);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = photos
        .iter()
        .map(|photo| {
            let state = match &photo.state {
                PhotoState::Waiting { .. } => "等待上传".to_owned(),
                PhotoState::Refused { message, .. } => format!("被退回：{message}"),
            };
            let size = format!("{} KB", photo.size.div_ceil(1024));
            vec![
                values::time(photo.made_at.0),
                size,
                state,
                photo.record.to_string(),
                photo.digest.clone(),
            ]
        })
        .collect();
    output::table(&["时间", "大小", "状态", "档案", "照片编号"], &rows);
    Ok(())
}

async fn get(args: GetArgs, json: bool) -> Outcome {
    let bytes = args.dir.device()?.photo(&args.digest).await?;
    std::fs::write(&args.file, &bytes).map_err(|error| Failure::file(&args.file, &error))?;
    if json {
        output::json(&json!({ "file": args.file, "bytes": bytes.len() }));
    } else {
        output::line(&format!("已保存：{}", args.file.display()));
    }
    Ok(())
}

fn dismiss(args: &DismissArgs, json: bool) -> Outcome {
    args.dir.device()?.dismiss_photo(&args.digest)?;
    if json {
        output::json(&json!({ "dismissed": true }));
    } else {
        output::line("已删除。");
    }
    Ok(())
}
