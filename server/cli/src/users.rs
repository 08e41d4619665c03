//! `doorstep users`: accounts and what they are granted, through a running server.

use chrono::NaiveDate;
use doorstep_core::ids::AreaCode;
use doorstep_core::rights::Role;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::output;
use crate::remote::{Remote, RemoteArgs, text};

/// 用户和授权
#[derive(clap::Subcommand, Debug)]
pub(crate) enum UsersCommand {
    /// 新建用户，显示一次性的初始密码
    Create(CreateArgs),
    /// 给用户授权：在某个区划担任某种角色
    Grant(GrantArgs),
    /// 列出用户
    List(ListArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct CreateArgs {
    /// 登录名：3 到 64 个字母、数字或 . _ -
    #[arg(long, value_name = "登录名")]
    login: String,
    /// 姓名
    #[arg(long, value_name = "姓名")]
    name: String,
    /// 所属区划，12 位代码
    #[arg(long, value_name = "区划")]
    area: AreaCode,
    /// 同时授予的角色（在所属区划）
    #[arg(long, value_name = "角色")]
    role: Option<Role>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct GrantArgs {
    /// 登录名或用户编号
    #[arg(value_name = "用户")]
    user: String,
    /// 角色：collector 采集员、supervisor 主管、area_administrator 区划管理员、security_administrator 安全管理员、auditor 审计员
    #[arg(value_name = "角色")]
    role: Role,
    /// 区划：在这里及其下级有效
    #[arg(value_name = "区划")]
    area: AreaCode,
    /// 有效期的最后一天；不填则一直有效，直到收回
    #[arg(long, value_name = "年-月-日")]
    until: Option<NaiveDate>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// 只列这个区划及其下级的
    #[arg(long, value_name = "区划")]
    area: Option<AreaCode>,
    /// 只列有这个角色的
    #[arg(long, value_name = "角色")]
    role: Option<Role>,
    /// 登录名的开头，或完整的姓名
    #[arg(value_name = "文字")]
    text: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(command: UsersCommand, json: bool) -> Outcome {
    match command {
        UsersCommand::Create(args) => create(args, json).await,
        UsersCommand::Grant(args) => grant(args, json).await,
        UsersCommand::List(args) => list(args, json).await,
    }
}

async fn create(args: CreateArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let body = json!({ "login": args.login, "name": args.name, "area": args.area });
    let mut created = remote.post("/api/users", &body).await?;
    if let Some(role) = args.role {
        let user = text(&created["user"], "id");
        created["grant"] = give(&remote, &user, role, args.area, None).await?;
    }
    if json {
        output::json(&created);
    } else {
        output::line(&format!("已建立用户 {}（{}）。", args.login, args.name));
        output::line(&format!(
            "初始密码：{}",
            text(&created, "temporary_password")
        ));
        if let Some(role) = args.role {
            output::line(&format!("已授权：{}，{}。", role.label(), args.area));
        }
        output::line("这个密码只显示这一次，首次登录时必须修改。");
    }
    Ok(())
}

async fn give(
    remote: &Remote,
    user: &str,
    role: Role,
    area: AreaCode,
    until: Option<NaiveDate>,
) -> Result<Value, Failure> {
    let body = json!({ "role": role, "area": area, "ends_on": until });
    remote
        .post(&format!("/api/users/{user}/grants"), &body)
        .await
}

async fn grant(args: GrantArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let user = find(&remote, &args.user).await?;
    let granted = give(&remote, &user, args.role, args.area, args.until).await?;
    if json {
        output::json(&granted);
    } else {
        let until = args
            .until
            .map_or_else(|| "直到收回".to_owned(), |day| format!("到 {day} 为止"));
        output::line(&format!(
            "已授权：{} 任{}，{}，{until}。",
            args.user,
            args.role.label(),
            args.area
        ));
    }
    Ok(())
}

/// A user's id, by itself or by login.
async fn find(remote: &Remote, user: &str) -> Result<String, Failure> {
    if user.parse::<uuid::Uuid>().is_ok() {
        return Ok(user.to_owned());
    }
    let request = remote
        .request(reqwest::Method::GET, "/api/users")
        .query(&[("text", user)]);
    let page: Value = remote.json(request).await?;
    let users = page["items"].as_array().cloned().unwrap_or_default();
    users
        .iter()
        .find(|found| text(found, "login") == user.to_lowercase())
        .map(|found| text(found, "id"))
        .ok_or_else(|| {
            Failure::usage(
                "no_such_user",
                format!("没有登录名为 {user} 的用户，或不在您的管辖范围"),
            )
        })
}

async fn list(args: ListArgs, json: bool) -> Outcome {
    let remote = args.remote.signed_in()?;
    let mut query: Vec<(&str, String)> = vec![("limit", "500".to_owned())];
    query.extend(args.area.map(|area| ("area", area.to_string())));
    query.extend(args.role.map(|role| ("role", role.to_string())));
    query.extend(args.text.map(|text| ("text", text)));
    let users = all_pages(&remote, "/api/users", &query).await?;
    if json {
        output::json(&users);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = users
        .iter()
        .map(|user| {
            ["login", "name", "area", "status", "id"]
                .map(|name| text(user, name))
                .to_vec()
        })
        .collect();
    output::table(&["登录名", "姓名", "区划", "状态", "编号"], &rows);
    Ok(())
}

/// Every item of a list that comes in pages.
pub(crate) async fn all_pages(
    remote: &Remote,
    path: &str,
    query: &[(&str, String)],
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = remote.request(reqwest::Method::GET, path).query(query);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page: Value = remote.json(request).await?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}
