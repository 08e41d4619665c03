//! `doorstep login`, `logout`, `password`: the session that other commands use.

use std::path::PathBuf;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::remote::{Remote, RemoteArgs, Session};
use crate::secrets::{self, SecretArgs};

/// 登录服务器，供 users、register、conflicts、record 等命令使用
#[derive(clap::Args, Debug)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    /// 登录名
    #[arg(long, value_name = "登录名", env = "DOORSTEP_LOGIN")]
    login: String,
    #[command(flatten)]
    password: SecretArgs,
    /// 首次登录须改密码：从文件读取新密码；也可用环境变量 DOORSTEP_NEW_PASSWORD，或在终端输入
    #[arg(long, value_name = "文件")]
    new_password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Opened {
    token: String,
    must_change_password: bool,
}

pub(crate) async fn run(args: LoginArgs, json: bool) -> Outcome {
    let remote = args.remote.anyone()?;
    let password = args.password.password("密码：")?;
    let mut opened = sign_in(
        &remote,
        &args.login,
        &password,
        args.password.code.as_deref(),
    )
    .await?;
    let mut changed = false;
    if opened.must_change_password {
        if !secrets::can_choose(args.new_password_file.as_deref()) {
            return Err(Failure::new(
                Exit::SignIn,
                "must_change_password",
                "首次登录必须修改密码：请设置环境变量 DOORSTEP_NEW_PASSWORD，或用 --new-password-file",
            ));
        }
        let new = secrets::new_password(args.new_password_file.as_deref())?;
        let request = remote_as(&args.remote, &opened.token)?
            .request(Method::POST, "/api/auth/password")
            .json(&json!({ "current": password, "new": new }));
        remote.json::<Value>(request).await?;
        opened = sign_in(&remote, &args.login, &new, args.password.code.as_deref()).await?;
        changed = true;
    }
    let session = Session {
        server: remote.server(),
        ca: remote.authority(),
        login: args.login.clone(),
        token: opened.token,
    };
    let path = args.remote.keep(&session)?;
    if json {
        output::json(&json!({
            "server": session.server, "login": session.login, "session": path, "password_changed": changed,
        }));
    } else {
        output::line(&format!("{} 已登录 {}。", session.login, session.server));
        if changed {
            output::line("密码已修改。");
        }
    }
    Ok(())
}

async fn sign_in(
    remote: &Remote,
    login: &str,
    password: &str,
    code: Option<&str>,
) -> Result<Opened, Failure> {
    let body = json!({ "login": login, "password": password, "code": code });
    remote
        .json(
            remote
                .request(Method::POST, "/api/auth/sign-in")
                .json(&body),
        )
        .await
}

fn remote_as(args: &RemoteArgs, token: &str) -> Result<Remote, Failure> {
    Ok(args.anyone()?.with_token(token))
}

/// 退出登录
#[derive(clap::Args, Debug)]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn logout(args: LogoutArgs, json: bool) -> Outcome {
    if let Ok(remote) = args.remote.signed_in() {
        // An ended session is as good as signed out.
        let request = remote.request(Method::POST, "/api/auth/sign-out");
        remote.json::<Value>(request).await.ok();
    }
    args.remote.forget()?;
    if json {
        output::json(&json!({ "signed_out": true }));
    } else {
        output::line("已退出登录。");
    }
    Ok(())
}
