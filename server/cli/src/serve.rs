//! `doorstep serve`: the server, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use doorstep_server::app::{App, termination};
use doorstep_server::bus::Address;
use doorstep_server::clock::SystemClock;
use doorstep_server::config::{Config, StoreSettings, USER_DEVICES};
use doorstep_server::database::Ownership;
use doorstep_server::domains::photos::service::DAILY_MEGABYTES;
use doorstep_server::sync::DEVICE_ITEMS;
use serde_json::json;

use crate::failure::Outcome;
use crate::local::DataArgs;
use crate::output;

/// 启动服务器；收到终止信号（Ctrl-C、SIGTERM）后有序停止
#[derive(clap::Args, Debug)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// 监听地址；端口写 0 则自动选一个空闲端口
    #[arg(
        long,
        value_name = "地址:端口",
        env = "DOORSTEP_LISTEN",
        default_value = "127.0.0.1:8600"
    )]
    listen: SocketAddr,
    /// 照片存储：s3://存储桶/前缀，地址和密钥取自环境变量 AWS_ENDPOINT_URL、AWS_ACCESS_KEY_ID、AWS_SECRET_ACCESS_KEY 等；不填则存入数据目录
    #[arg(long, value_name = "地址", env = "DOORSTEP_PHOTOS")]
    photos: Option<String>,
    /// 几台服务器共用一个数据库时，它们互相通知所用的消息总线：nats://主机:4222，多个地址用逗号分隔；只有一台时不填
    #[arg(long, value_name = "地址", env = "DOORSTEP_BUS")]
    bus: Option<Address>,
    /// 一台设备一次最多上传多少条修改，之后每小时也最多这么多；超出的留在手机上，稍后自动续传
    #[arg(
        long,
        value_name = "条数",
        env = "DOORSTEP_DEVICE_ITEMS",
        default_value_t = DEVICE_ITEMS
    )]
    device_items: u32,
    /// 一位用户一天最多上传多少兆字节照片；超出的留在手机上，稍后自动续传
    #[arg(
        long,
        value_name = "兆字节",
        env = "DOORSTEP_PHOTO_MEGABYTES",
        default_value_t = DAILY_MEGABYTES
    )]
    photo_megabytes: u32,
    /// 一个用户最多登记多少台使用中的设备；再登记须先停用一台
    #[arg(
        long,
        value_name = "台数",
        env = "DOORSTEP_USER_DEVICES",
        default_value_t = USER_DEVICES
    )]
    user_devices: u32,
    /// 前面有反向代理：相信它给出的来访地址
    #[arg(long)]
    behind_proxy: bool,
    /// 日志每行一个 JSON 对象
    #[arg(long)]
    log_json: bool,
}

pub(crate) async fn run(args: ServeArgs, json: bool) -> Outcome {
    doorstep_server::logging::start(args.log_json);
    let config = Config {
        listen: args.listen,
        connections: connections(),
        behind_proxy: args.behind_proxy,
        bus: args.bus,
        device_items: args.device_items,
        photo_megabytes: args.photo_megabytes,
        user_devices: args.user_devices,
        photos: args.photos,
        photo_settings: StoreSettings(store_settings()),
        ..args.data.config()
    };
    let app = App::open(config, Arc::new(SystemClock), Ownership::Own).await?;
    let listener = match app.bind().await {
        Ok(listener) => listener,
        Err(error) => {
            app.close().await?;
            return Err(error.into());
        }
    };
    let address = listener.local_addr().map_err(anyhow::Error::from)?;
    if json {
        output::json(&json!({ "listening": format!("http://{address}") }));
    } else {
        output::line(&format!("服务已启动：http://{address}（按 Ctrl-C 停止）"));
    }
    let signal = async {
        if let Err(error) = termination().await {
            tracing::error!(%error, "signals can't be heard");
            std::future::pending::<()>().await;
        }
    };
    app.serve(listener, signal).await?;
    Ok(())
}

/// Open files that are not connections: the database's, the bus's, photos under way, those who are told that it is full.
const OTHER_FILES: u64 = 400;

/// How many connections can be held. A socket is an open file, and a city's phones are more than the 1,024 that a shell
/// allows at first: takes as many as the system lets this process have.
fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, allowed = limit.current, "no more files may be opened than at first");
    }
    match getrlimit(Resource::Nofile).current {
        Some(files) => {
            usize::try_from(files.saturating_sub(OTHER_FILES.min(files / 2))).unwrap_or(usize::MAX)
        }
        None => usize::MAX,
    }
}

/// What the environment says of S3.
pub(crate) fn store_settings() -> Vec<(String, String)> {
    let named =
        |name: &std::ffi::OsString| name.to_str().is_some_and(|name| name.starts_with("AWS_"));
    std::env::vars_os()
        .filter(|(name, _)| named(name))
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
