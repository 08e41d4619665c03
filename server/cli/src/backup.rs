//! `doorstep backup` and `doorstep restore`: on the server's own machine, beside a running server or without one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use doorstep_server::backup;
use doorstep_server::clock::SystemClock;
use doorstep_server::config::{Config, StoreSettings};
use serde_json::json;

use crate::failure::{Exit, Failure, Outcome};
use crate::local::{DataArgs, with_config};
use crate::output;
use crate::serve::store_settings;

/// 备份：数据库和照片存入一个新目录，档案密钥存入另一个目录；服务器可以照常运行
#[derive(clap::Args, Debug)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    data: DataArgs,
    /// 备份存放的目录，必须还不存在
    #[arg(long, value_name = "目录")]
    to: PathBuf,
    /// 密钥存放的目录，不能放在备份里；已有的会被替换，只保留最新一份，旧的不要留存
    #[arg(long, value_name = "目录")]
    keys: PathBuf,
    /// 照片存储，与 serve 的相同；不填则为数据目录
    #[arg(long, value_name = "地址", env = "DOORSTEP_PHOTOS")]
    photos: Option<String>,
    /// 不备份照片：照片存储另有自己的备份
    #[arg(long)]
    without_photos: bool,
}

/// 恢复备份到空的数据目录（或空的数据库）；先把另外保管的服务器密钥放到数据目录的 keys 下
#[derive(clap::Args, Debug)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    data: DataArgs,
    /// 备份所在的目录
    #[arg(long, value_name = "目录")]
    from: PathBuf,
    /// 最新的密钥目录
    #[arg(long, value_name = "目录")]
    keys: PathBuf,
    /// 照片存储，与 serve 的相同；不填则为数据目录
    #[arg(long, value_name = "地址", env = "DOORSTEP_PHOTOS")]
    photos: Option<String>,
}

fn config(data: &DataArgs, photos: Option<String>) -> Config {
    Config {
        photos,
        photo_settings: StoreSettings(store_settings()),
        ..data.config()
    }
}

pub(crate) async fn take(args: BackupArgs, json: bool) -> Outcome {
    let started = Instant::now();
    let config = config(&args.data, args.photos);
    let (to, keys) = (args.to.clone(), args.keys.clone());
    let with_photos = !args.without_photos;
    let taken = with_config(config, |state| async move {
        Ok(backup::backup(&state, &to, &keys, with_photos).await?)
    })
    .await?;
    let seconds = started.elapsed().as_secs_f64();
    if json {
        output::json(&json!({ "taken": taken, "seconds": seconds }));
        return Ok(());
    }
    output::line(&format!(
        "备份完成：{} 张表，{} 行，用时 {seconds:.1} 秒。",
        taken.tables, taken.rows
    ));
    match taken.objects {
        Some(objects) => output::line(&format!(
            "照片对象 {objects} 个，{:.1} MB。",
            taken.object_bytes as f64 / 1e6
        )),
        None => output::line("没有备份照片。"),
    }
    output::line(&format!("备份在 {}", args.to.display()));
    output::line(&format!(
        "{} 份档案密钥在 {}：与备份分开保管，只留最新一份，旧的请销毁；已彻底删除的 {} 份档案不在其中，任何备份都不能再读出。",
        taken.keys,
        args.keys.display(),
        taken.erased
    ));
    output::line(&format!(
        "服务器自己的密钥（{}）不在其中，请另外保管：没有它，备份不能恢复。",
        args.data.data.join("keys").display()
    ));
    Ok(())
}

pub(crate) async fn restore(args: RestoreArgs, json: bool) -> Outcome {
    let started = Instant::now();
    let config = config(&args.data, args.photos);
    let restored = backup::restore(config, Arc::new(SystemClock), &args.from, &args.keys).await?;
    let seconds = started.elapsed().as_secs_f64();
    let broken = restored.audit.fault.is_some();
    if json {
        output::json(&json!({ "restored": restored, "seconds": seconds }));
    } else {
        output::line(&format!(
            "恢复完成：{} 张表，{} 行，{} 个照片对象，逐表核对与备份一致，用时 {seconds:.1} 秒。",
            restored.tables, restored.rows, restored.objects
        ));
        output::line(&format!(
            "备份之后彻底删除过 {} 份档案，已再次删除。",
            restored.erased_again
        ));
        if restored.unlisted > 0 {
            output::line(&format!(
                "备份的照片目录里另有 {} 个不属于这份备份的文件，没有恢复。",
                restored.unlisted
            ));
        }
        output::line("所有人需要重新登录；手机会自动重新连接。");
    }
    if broken {
        let message = "恢复的审计日志不完整，请用 doorstep audit verify 查看，并换一份备份核对。";
        return Err(if json {
            Failure::said(Exit::Differs)
        } else {
            Failure::new(Exit::Differs, "audit_broken", message)
        });
    }
    Ok(())
}
