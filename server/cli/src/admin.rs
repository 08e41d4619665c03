//! `doorstep admin create`: the first administrator of each kind, whom nobody above could appoint.

use doorstep_core::rights::Role;
use doorstep_server::domains::users::service::{NewAdministrator, create_first_administrator};
use doorstep_server::random;
use serde_json::json;

use crate::failure::Outcome;
use crate::local::{DataArgs, with_state};
use crate::{output, secrets};

/// 管理员
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AdminCommand {
    /// 建立全市的第一位管理员（三类管理员各一位，以后的由上级在系统中授权）
    Create(CreateArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    data: DataArgs,
    /// 登录名
    #[arg(long, value_name = "登录名", default_value = "admin")]
    login: String,
    /// 姓名或称呼
    #[arg(long, value_name = "姓名", default_value = "管理员")]
    name: String,
    /// 类别：area_administrator 区划管理员、security_administrator 安全管理员、auditor 审计员
    #[arg(long, value_name = "类别", default_value = "area_administrator")]
    role: Role,
    /// 从文件读取初始密码（第一行）；也可用环境变量 DOORSTEP_PASSWORD，都没有时自动生成并显示一次
    #[arg(long, value_name = "文件")]
    password_file: Option<std::path::PathBuf>,
}

pub(crate) async fn run(command: AdminCommand, json: bool) -> Outcome {
    let AdminCommand::Create(args) = command;
    let given = args.password_file.is_some() || std::env::var_os("DOORSTEP_PASSWORD").is_some();
    let password = if given {
        let source = secrets::SecretArgs {
            password_file: args.password_file.clone(),
            code: None,
        };
        source.password("")?
    } else {
        generate()?
    };
    let new = NewAdministrator {
        login: args.login.clone(),
        name: args.name.clone(),
        password: password.clone(),
        role: args.role,
    };
    let create = |state| async move { Ok(create_first_administrator(&state, new).await?) };
    let user = with_state(&args.data, create).await?;
    let shown = (!given).then_some(&password);
    if json {
        output::json(
            &json!({ "user": user, "login": args.login, "role": args.role, "password": shown }),
        );
    } else {
        output::line(&format!(
            "已建立{}：登录名 {}",
            args.role.label(),
            args.login
        ));
        if let Some(password) = shown {
            output::line(&format!("初始密码：{password}"));
            output::line("这个密码只显示这一次，首次登录时必须修改。");
        }
    }
    Ok(())
}

/// Twelve letters and digits that can't be mistaken for one another, and one of each kind that the rules ask for.
fn generate() -> Result<String, crate::failure::Failure> {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
    let random: [u8; 12] = random::bytes()?;
    let letters = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(format!("D{}-7", letters.collect::<String>()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn generated_passwords_keep_the_rules() {
        for _ in 0..50 {
            let password = super::generate().unwrap();
            assert_eq!(
                doorstep_server::domains::auth::password::problems(&password, "admin"),
                []
            );
        }
    }
}
