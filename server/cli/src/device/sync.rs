//! Syncing, and what there is to know about it: status, outbox, messages.

use doorstep_client::{Event, SyncReport};
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::records;
use doorstep_core::store::DeviceStore;
use doorstep_server::app::termination;
use serde_json::{Value, json};

use super::{CliDevice, DirArgs};
use crate::failure::Outcome;
use crate::{output, values};

#[derive(clap::Args, Debug)]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// 保持连接：随时上传修改、接收他人的修改，直到 Ctrl-C
    #[arg(long)]
    live: bool,
}

pub(crate) async fn sync(args: SyncArgs, json: bool) -> Outcome {
    let device = args.dir.device()?;
    if args.live {
        return live(&device, json).await;
    }
    let report = device.sync_once().await?;
    if json {
        output::json(&json!({ "report": report, "counters": device.counters() }));
        return Ok(());
    }
    say(&report);
    Ok(())
}

fn say(report: &SyncReport) {
    let mut parts = vec![
        format!("上传 {} 项", report.accepted),
        format!("更新 {} 份档案", report.changed),
    ];
    let further = [
        (
            report.refused,
            "项被退回（doorstep device outbox 可查看原因，主管也会看到）",
        ),
        (report.waiting, "项在等待前面的修改"),
        (report.photos_sent, "张照片已上传"),
        (report.photos_refused, "张照片被退回"),
        (report.photos_waiting, "张照片下次再传"),
    ];
    parts.extend(
        further
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    output::line(&format!("同步完成：{}。", parts.join("，")));
}

async fn live(device: &CliDevice, json: bool) -> Outcome {
    let mut events = device.events();
    let told = tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => tell(&event, json),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    let stop = async {
        if termination().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let result = device.run(stop).await;
    told.abort();
    Ok(result?)
}

fn tell(event: &Event, json: bool) {
    let (kind, detail, words) = match event {
        Event::Connected { skew_ms } => (
            "connected",
            json!({ "skew_ms": skew_ms }),
            "已连接".to_owned(),
        ),
        Event::Disconnected { error, retry_in } => {
            let ms = retry_in.map(|wait| wait.as_millis() as u64);
            let words = match retry_in {
                Some(wait) => format!("{}（{} 秒后重试）", error.message, wait.as_secs().max(1)),
                None => error.message.clone(),
            };
            (
                "disconnected",
                json!({ "code": error.code, "message": error.message, "retry_in_ms": ms }),
                words,
            )
        }
        Event::Progress(at) => {
            let words = format!("下载中：{} / {} 字节", at.bytes, at.of);
            (
                "progress",
                json!({ "scope": at.scope, "bytes": at.bytes, "of": at.of, "records": at.records }),
                words,
            )
        }
        Event::Changed(records) => (
            "changed",
            json!({ "records": records }),
            format!("{} 份档案有变化", records.len()),
        ),
        Event::States(keys) => (
            "states",
            json!({ "keys": keys }),
            format!("收到 {} 项通知", keys.len()),
        ),
        Event::Answered { accepted, refused } => {
            let words = format!("已上传 {accepted} 项，退回 {refused} 项");
            (
                "answered",
                json!({ "accepted": accepted, "refused": refused }),
                words,
            )
        }
        Event::Presence(present) => {
            let who: Vec<Value> = present
                .iter()
                .map(|one| json!({ "record": one.record, "user": one.user, "name": one.name }))
                .collect();
            let names: Vec<&str> = present.iter().map(|one| one.name.as_str()).collect();
            (
                "presence",
                json!({ "present": who }),
                format!("正在处理：{}", names.join("、")),
            )
        }
        Event::Settled => ("settled", json!({}), "已与服务器一致".to_owned()),
        Event::PhotoSent { digest } => (
            "photo_sent",
            json!({ "digest": digest }),
            "一张照片已上传".to_owned(),
        ),
        Event::PhotoRefused { digest, error } => {
            let words = format!("一张照片被退回：{}", error.message);
            (
                "photo_refused",
                json!({ "digest": digest, "code": error.code, "message": error.message }),
                words,
            )
        }
        Event::Wiped => ("wiped", json!({}), "本机数据已按管理员要求清除".to_owned()),
    };
    if json {
        let mut line = detail;
        line["event"] = kind.into();
        output::json(&line);
    } else {
        output::line(&words);
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) fn status(args: &StatusArgs, json: bool) -> Outcome {
    let home = args.dir.home()?;
    let user = args.dir.account(&home)?;
    let accounts = home.accounts()?;
    let account = accounts.iter().find(|account| account.user == user);
    let device = home.device(user, doorstep_client::Options::default())?;
    let unsent = device.unsent()?;
    let scopes = device.read(DeviceStore::scopes)?;
    let refused = device.refused()?.len();
    let files = device.files()?;
    let cut = cut_short(&device.states("rights")?);
    let mut counts = Vec::new();
    for declared in records::all()
        .iter()
        .filter(|declared| declared.kind == records::RecordKind::Record)
    {
        counts.push((declared, device.count(Some(&declared.name))?));
    }
    if json {
        output::json(&json!({
            "account": account,
            "records": counts.iter().map(|(declared, count)| (declared.name.clone(), *count)).collect::<std::collections::BTreeMap<_, _>>(),
            "unsent": { "items": unsent.items, "photos": unsent.blobs, "oldest": unsent.oldest },
            "refused": refused,
            "files": files,
            "areas": cut.map(|(followed, granted)| json!({ "followed": followed, "granted": granted })),
            "scopes": scopes.iter().map(|(scope, at)| json!({
                "scope": scope, "seq": at.seq, "digest": hex::encode(at.digest.0),
            })).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let mut rows = Vec::new();
    if let Some(account) = account {
        rows.push((
            "账号".to_owned(),
            format!("{} {}", account.login, account.name),
        ));
        rows.push(("服务器".to_owned(), account.server.clone()));
        rows.push(("设备".to_owned(), account.device.to_string()));
        rows.push((
            "登录".to_owned(),
            if account.signed_in {
                "已登录"
            } else {
                "未登录"
            }
            .to_owned(),
        ));
    }
    for (declared, count) in counts {
        rows.push((declared.label.clone(), count.to_string()));
    }
    let oldest = unsent
        .oldest
        .map(|at| format!("，最早的在 {}", values::time(at.0)))
        .unwrap_or_default();
    rows.push((
        "未上传".to_owned(),
        format!("{} 项，{} 张照片{oldest}", unsent.items, unsent.blobs),
    ));
    rows.push(("被退回".to_owned(), format!("{refused} 项")));
    if let Some((followed, granted)) = cut {
        rows.push((
            "范围".to_owned(),
            format!(
                "授权范围有 {granted} 个村居，这台设备只同步其中 {followed} 个；其余请在管理台查看"
            ),
        ));
    }
    if let Some(message) = files.message() {
        rows.push(("文件".to_owned(), message));
    }
    output::pairs(&rows);
    let rows: Vec<Vec<String>> = scopes
        .iter()
        .map(|(scope, at)| {
            vec![
                scope.to_string(),
                at.seq.to_string(),
                hex::encode(at.digest.0),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::line("");
        output::table(&["范围", "游标", "摘要"], &rows);
    }
    Ok(())
}

/// How many villages the device follows of how many the user's rights reach; none where it follows all.
fn cut_short(states: &[StateEntry]) -> Option<(u64, u64)> {
    let rights = states.iter().find(|state| state.key == "rights")?;
    let rights: Value = serde_json::from_str(&rights.json).ok()?;
    let count = |name: &str| rights["areas"][name].as_u64();
    Some((count("followed")?, count("granted")?))
}

#[derive(clap::Args, Debug)]
pub(crate) struct MessagesArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// 只看这个前缀的条目；all 为全部
    #[arg(long, value_name = "前缀", default_value = "message/")]
    prefix: String,
}

pub(crate) fn messages(args: &MessagesArgs, json: bool) -> Outcome {
    let prefix = if args.prefix == "all" {
        ""
    } else {
        &args.prefix
    };
    let states = args.dir.device()?.states(prefix)?;
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    if json {
        let items: Vec<Value> = states
            .iter()
            .map(|state| json!({ "key": state.key, "value": parsed(&state.json) }))
            .collect();
        output::json(&items);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = states
        .iter()
        .map(|state| {
            let value = parsed(&state.json);
            let words = ["text", "message", "title"]
                .iter()
                .find_map(|name| value[name].as_str().map(str::to_owned));
            vec![
                state.key.clone(),
                words.unwrap_or_else(|| state.json.clone()),
            ]
        })
        .collect();
    output::table(&["条目", "内容"], &rows);
    Ok(())
}
