//! Enrolling, signing in and out, changing the password: the accounts of a device.

use std::path::{Path, PathBuf};

use doorstep_client::{Home, Login, Secrets};
use serde_json::json;

use super::DirArgs;
use crate::failure::{Failure, Outcome};
use crate::remote::{self, TrustArgs};
use crate::{output, secrets};

#[derive(clap::Args, Debug)]
pub(crate) struct EnrollArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// 服务器地址
    #[arg(long, value_name = "地址", env = "DOORSTEP_SERVER")]
    server: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// 登录名
    #[arg(long, value_name = "登录名", env = "DOORSTEP_LOGIN")]
    login: String,
    /// 设备的叫法，管理员会看到
    #[arg(long, value_name = "名称", default_value = "命令行设备")]
    name: String,
    #[command(flatten)]
    password: secrets::SecretArgs,
    /// 首次登录须改密码：从文件读取新密码；也可用环境变量 DOORSTEP_NEW_PASSWORD，或在终端输入
    #[arg(long, value_name = "文件")]
    new_password_file: Option<PathBuf>,
}

pub(crate) async fn enroll(args: EnrollArgs, json: bool) -> Outcome {
    let server = remote::address(&args.server, args.trust.authority()?.as_deref())?;
    let home = args.dir.home()?;
    let secrets = Secrets {
        login: args.login.trim().to_lowercase(),
        password: args.password.password("密码：")?,
        code: args.password.code.clone(),
    };
    let session = home.enrol(&server, &secrets, &args.name, "cli").await?;
    let login = home.login(session.user, std::sync::Arc::default())?;
    let new = args.new_password_file.as_deref();
    let changed = session.must_change_password && change_first(&login, &secrets, new).await?;
    let device = login.who().device;
    if json {
        output::json(&json!({
            "device": device,
            "user": session.user,
            "server": server.to_string(),
            "must_change_password": session.must_change_password && !changed,
        }));
    } else {
        output::line(&format!("设备已登记：{device}"));
        say_password(session.must_change_password, changed);
    }
    Ok(())
}

fn say_password(must: bool, changed: bool) {
    if changed {
        output::line("密码已修改。");
    } else if must {
        output::line("首次登录必须修改密码：请运行 doorstep device password，然后才能同步。");
    }
}

/// Changes a first password where a new one is at hand, and signs in with it.
async fn change_first(
    login: &Login,
    secrets: &Secrets,
    new: Option<&Path>,
) -> Result<bool, Failure> {
    if !secrets::can_choose(new) {
        return Ok(false);
    }
    let new = secrets::new_password(new)?;
    login.change_password(&secrets.password, &new).await?;
    login.sign_in(&new, secrets.code.as_deref()).await?;
    Ok(true)
}

#[derive(clap::Args, Debug)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    dir: DirArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    password: secrets::SecretArgs,
}

fn login_of(dir: &DirArgs, home: &Home) -> Result<Login, Failure> {
    Ok(home.login(dir.account(home)?, std::sync::Arc::default())?)
}

pub(crate) async fn login(args: LoginArgs, json: bool) -> Outcome {
    let home = args.dir.home()?;
    if let Some(authority) = args.trust.authority()? {
        home.trust(args.dir.account(&home)?, &authority)?;
    }
    let login = login_of(&args.dir, &home)?;
    let password = args.password.password("密码：")?;
    let session = login
        .sign_in(&password, args.password.code.as_deref())
        .await?;
    if json {
        output::json(
            &json!({ "user": session.user, "must_change_password": session.must_change_password }),
        );
    } else {
        output::line("已登录。");
        say_password(session.must_change_password, false);
    }
    Ok(())
}

#[derive(clap::Args, Debug)]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) async fn logout(args: LogoutArgs, json: bool) -> Outcome {
    let home = args.dir.home()?;
    login_of(&args.dir, &home)?.sign_out().await?;
    if json {
        output::json(&json!({ "signed_out": true }));
    } else {
        output::line("已退出登录；未上传的内容仍在本机，下次登录后上传。");
    }
    Ok(())
}

#[derive(clap::Args, Debug)]
pub(crate) struct PasswordArgs {
    #[command(flatten)]
    dir: DirArgs,
    #[command(flatten)]
    password: secrets::SecretArgs,
    /// 从文件读取新密码；也可用环境变量 DOORSTEP_NEW_PASSWORD，或在终端输入
    #[arg(long, value_name = "文件")]
    new_password_file: Option<PathBuf>,
}

pub(crate) async fn password(args: PasswordArgs, json: bool) -> Outcome {
    let home = args.dir.home()?;
    let login = login_of(&args.dir, &home)?;
    let current = args.password.password("现在的密码：")?;
    let new = secrets::new_password(args.new_password_file.as_deref())?;
    login.change_password(&current, &new).await?;
    login.sign_in(&new, args.password.code.as_deref()).await?;
    if json {
        output::json(&json!({ "changed": true }));
    } else {
        output::line("密码已修改。");
    }
    Ok(())
}
