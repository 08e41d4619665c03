//! Help and complaints about arguments, in Chinese.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use crate::failure::{Exit, Failure};
use crate::output;

/// Below the help of the whole command.
pub(crate) const EXIT_CODES: &str = "\
退出码：
  0  完成
  1  被拒绝，或没有完成
  2  参数或内容填写不正确
  3  没有登录，或登录已过期
  4  连接不上服务器，或服务器繁忙，可稍后重试
  5  核对的结果不一致（审计日志不完整、导入文件有错误的行）

命令出错时，说明写到标准错误；加 --json 时，标准输出为 {\"error\":{\"code\":…,\"message\":…,\"fields\":[…]}}。";

const TEMPLATE: &str = "{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// The command with Chinese headings, on every level.
pub(crate) fn in_chinese(command: Command) -> Command {
    let arguments = |command: Command| {
        command.mut_args(|argument| {
            let heading = if argument.is_positional() {
                "参数"
            } else {
                "选项"
            };
            argument.help_heading(heading)
        })
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let mut command = arguments(command)
        .help_template(TEMPLATE)
        .subcommand_help_heading("命令")
        .subcommand_value_name("命令")
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help("显示帮助")
                .help_heading("选项"),
        );
    if command.get_version().is_some() {
        command = command.disable_version_flag(true).arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("显示版本")
                .help_heading("选项"),
        );
    }
    for name in names {
        command = command.mut_subcommand(name, in_chinese);
    }
    command
}

/// What the library says in English and no setting changes.
const IN_CHINESE: [(&str, &str); 5] = [
    ("[OPTIONS]", "[选项]"),
    ("[default: ", "[默认："),
    ("[env: ", "[环境变量："),
    ("[possible values: ", "[可选："),
    ("Possible values:", "可选："),
];

/// Shows the help or version that was asked for, or says what is wrong with the arguments.
pub(crate) fn refuse(error: &clap::Error, json: bool) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        output::line(translate(&error.render().to_string()).trim_end());
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        output::complain(translate(&error.render().to_string()).trim_end());
        return ExitCode::from(Exit::Usage as u8);
    }
    let said = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join("、"),
        _ => String::new(),
    };
    let argument = said(ContextKind::InvalidArg);
    let value = said(ContextKind::InvalidValue);
    let message = match error.kind() {
        ErrorKind::UnknownArgument => format!("没有这个参数：{argument}"),
        ErrorKind::InvalidSubcommand => {
            format!("没有这个命令：{}", said(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingRequiredArgument => format!("缺少参数：{argument}"),
        ErrorKind::MissingSubcommand => "缺少命令，加 --help 查看有哪些".to_owned(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if value.is_empty() => {
            format!("{argument} 缺少内容")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{argument} 的内容“{value}”不正确")
        }
        ErrorKind::ArgumentConflict => format!("参数重复或互相矛盾：{argument}"),
        _ => "参数不正确".to_owned(),
    };
    Failure::usage("arguments", format!("{message}（加 --help 查看用法）")).report(json)
}

/// The words that clap puts into help by itself.
pub(crate) fn translate(help: &str) -> String {
    IN_CHINESE
        .iter()
        .fold(help.to_owned(), |help, (english, chinese)| {
            help.replace(english, chinese)
        })
}
