//! `doorstep device`: a whole device on the command line, over the same core, store and websocket as a phone.

mod account;
mod address;
mod outbox;
mod photo;
mod record;
mod sync;

use std::path::{Path, PathBuf};

use doorstep_client::{Device, Home, Options};
use doorstep_core::ids::UserId;

use crate::failure::{Failure, Outcome};
use crate::remote::write_private;

/// The store that a device on the command line has.
pub(crate) type CliDevice = Device<doorstep_client::SqliteStore>;

/// 一台完整的设备：离线登记、修改、查询、走访、拍照，有网络时同步
#[derive(clap::Subcommand, Debug)]
pub(crate) enum DeviceCommand {
    /// 登记这台设备并登录（需要账号密码）
    Enroll(account::EnrollArgs),
    /// 重新登录
    Login(account::LoginArgs),
    /// 退出登录；本机数据保留
    Logout(account::LogoutArgs),
    /// 修改密码
    Password(account::PasswordArgs),
    /// 与服务器同步，直到两边一致；--live 则保持连接
    Sync(sync::SyncArgs),
    /// 本机状态：账号、数量、未上传、游标
    Status(sync::StatusArgs),
    /// 查询标准地址
    Addresses(address::AddressesArgs),
    /// 新建档案；与本机已有档案相同时先列出来
    New(record::NewArgs),
    /// 修改档案
    Set(record::SetArgs),
    /// 列出档案
    List(record::ListArgs),
    /// 显示一份档案
    Show(record::ShowArgs),
    /// 查询：姓名、拼音、首字母、地址、证件或手机尾号
    Search(record::SearchArgs),
    /// 记录一次走访
    Visit(record::VisitArgs),
    /// 照片
    #[command(subcommand)]
    Photo(photo::PhotoCommand),
    /// 未上传的和被退回的内容；--dismiss 把看过的退回内容移出列表
    Outbox(outbox::OutboxArgs),
    /// 服务器发来的消息和裁决结果
    Messages(sync::MessagesArgs),
}

pub(crate) async fn run(command: DeviceCommand, json: bool) -> Outcome {
    match command {
        DeviceCommand::Enroll(args) => account::enroll(args, json).await,
        DeviceCommand::Login(args) => account::login(args, json).await,
        DeviceCommand::Logout(args) => account::logout(args, json).await,
        DeviceCommand::Password(args) => account::password(args, json).await,
        DeviceCommand::Sync(args) => sync::sync(args, json).await,
        DeviceCommand::Status(args) => sync::status(&args, json),
        DeviceCommand::Addresses(args) => address::addresses(&args, json),
        DeviceCommand::New(args) => record::new(&args, json),
        DeviceCommand::Set(args) => record::set(&args, json),
        DeviceCommand::List(args) => record::list(&args, json),
        DeviceCommand::Show(args) => record::show(&args, json),
        DeviceCommand::Search(args) => record::search(&args, json),
        DeviceCommand::Visit(args) => record::visit(&args, json),
        DeviceCommand::Photo(command) => photo::run(command, json).await,
        DeviceCommand::Outbox(args) => outbox::outbox(&args, json),
        DeviceCommand::Messages(args) => sync::messages(&args, json),
    }
}

/// Which device, and whose account on it.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct DirArgs {
    /// 设备的数据目录
    #[arg(long, value_name = "目录", env = "DOORSTEP_DEVICE_DIR")]
    pub(crate) dir: PathBuf,
    /// 本机密钥文件（32 字节）；不填则为数据目录里的 host.key，没有时自动生成
    #[arg(long, value_name = "文件", env = "DOORSTEP_DEVICE_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// 设备上有多个账号时，用哪一个（登录名）
    #[arg(long, value_name = "登录名")]
    user: Option<String>,
}

impl DirArgs {
    /// A device's folder with its own key file.
    pub(crate) fn of(dir: &Path, user: Option<&str>) -> Self {
        Self {
            dir: dir.to_owned(),
            key_file: None,
            user: user.map(str::to_owned),
        }
    }

    /// The device's folder, opened.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        let path = self
            .key_file
            .clone()
            .unwrap_or_else(|| self.dir.join("host.key"));
        Ok(Home::open(&self.dir, host_key(&path)?)?)
    }

    /// The account that is meant.
    pub(crate) fn account(&self, home: &Home) -> Result<UserId, Failure> {
        let accounts = home.accounts()?;
        let logins = || {
            accounts
                .iter()
                .map(|account| account.login.as_str())
                .collect::<Vec<_>>()
                .join("、")
        };
        match &self.user {
            Some(login) => accounts
                .iter()
                .find(|account| account.login == *login)
                .map(|account| account.user)
                .ok_or_else(|| {
                    Failure::usage(
                        "no_such_account",
                        format!("本机没有账号 {login}，已登记的有：{}", logins()),
                    )
                }),
            None if accounts.len() == 1 => Ok(accounts[0].user),
            None if accounts.is_empty() => Err(Failure::usage(
                "not_enrolled",
                "这台设备还没有登记：请先运行 doorstep device enroll",
            )),
            None => Err(Failure::usage(
                "which_account",
                format!("本机有多个账号，请用 --user 指明：{}", logins()),
            )),
        }
    }

    /// The device, for the account that is meant.
    pub(crate) fn device(&self) -> Result<CliDevice, Failure> {
        let home = self.home()?;
        let user = self.account(&home)?;
        let device = home.device(user, Options::default())?;
        let files = device.files()?;
        if let Some(message) = files.message().filter(|_| files.requeued > 0) {
            crate::output::complain(&message);
        }
        Ok(device)
    }
}

/// On a phone the key lies in the system's key store; here in a file that only its owner reads, made at first use.
fn host_key(path: &Path) -> Result<[u8; 32], Failure> {
    match std::fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            Failure::usage(
                "key_file",
                format!("密钥文件 {} 应正好是 32 字节", path.display()),
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = doorstep_server::random::bytes::<32>()?;
            write_private(path, &key).map_err(|error| Failure::file(path, &error))?;
            Ok(key)
        }
        Err(error) => Err(Failure::file(path, &error)),
    }
}
