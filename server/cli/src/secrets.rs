//! Passwords: from the environment, a file, or typed unseen. Never from an argument: others can read those.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where a password comes from.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct SecretArgs {
    /// 从文件读取密码（第一行）；也可用环境变量 DOORSTEP_PASSWORD，都没有时会在终端询问
    #[arg(long, value_name = "文件")]
    pub(crate) password_file: Option<PathBuf>,
    /// 动态验证码（账号已启用双因素认证时需要）
    #[arg(long, value_name = "六位数字")]
    pub(crate) code: Option<String>,
}

impl SecretArgs {
    /// The password.
    pub(crate) fn password(&self, prompt: &str) -> Result<String, Failure> {
        get(self.password_file.as_deref(), "DOORSTEP_PASSWORD", prompt)
    }
}

/// A new password, where one must be chosen.
pub(crate) fn new_password(file: Option<&Path>) -> Result<String, Failure> {
    get(file, "DOORSTEP_NEW_PASSWORD", "新密码：")
}

/// Whether a new password can be had without asking, or somebody can be asked.
pub(crate) fn can_choose(file: Option<&Path>) -> bool {
    file.is_some()
        || std::env::var_os("DOORSTEP_NEW_PASSWORD").is_some()
        || std::io::stdin().is_terminal()
}

fn get(file: Option<&Path>, variable: &str, prompt: &str) -> Result<String, Failure> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if let Ok(password) = std::env::var(variable) {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "password_missing",
            format!("没有提供密码：请设置环境变量 {variable}，或用密码文件"),
        ));
    }
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::usage("password_missing", format!("读取密码失败：{error}")))
}
