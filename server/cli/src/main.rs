//! The command `doorstep`: serves, administers, and is a whole device. Knows no rule: it reads arguments, calls, and
//! prints. Exit codes: see `failure::Exit`.

mod addresses;
mod admin;
mod areas;
mod audit;
mod backup;
mod conflicts;
mod device;
mod failure;
mod help;
mod keys;
mod local;
mod login;
mod output;
mod purpose;
mod record;
mod register;
mod remote;
mod secrets;
mod serve;
mod users;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::{Exit, Failure, Outcome};

/// The C library's allocator took a tenth of the server's time, most of it in putting freed pieces together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 入户：实有人口、实有房屋登记系统的服务器、管理工具和命令行设备
#[derive(Parser, Debug)]
#[command(name = "doorstep", version, after_help = help::EXIT_CODES)]
struct Cli {
    /// 输出 JSON，供程序读取
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(serve::ServeArgs),
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    #[command(subcommand)]
    Addresses(addresses::AddressesCommand),
    #[command(subcommand)]
    Areas(areas::AreasCommand),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Login(login::LoginArgs),
    Logout(login::LogoutArgs),
    #[command(subcommand)]
    Users(users::UsersCommand),
    #[command(subcommand)]
    Register(register::RegisterCommand),
    #[command(subcommand)]
    Conflicts(conflicts::ConflictsCommand),
    #[command(subcommand)]
    Record(record::RecordCommand),
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// 输出命令补全脚本，例如 doorstep completions bash > /etc/bash_completion.d/doorstep
    Completions {
        /// bash、zsh、fish、elvish 或 powershell
        #[arg(value_name = "外壳")]
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let parsed = help::in_chinese(Cli::command())
        .try_get_matches_from(arguments)
        .and_then(|matches| <Cli as clap::FromArgMatches>::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return help::refuse(&error, wants_json),
    };
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::new(Exit::Failed, "runtime", format!("不能启动：{error}"))
                .report(json);
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

async fn run(cli: Cli) -> Outcome {
    let json = cli.json;
    match cli.command {
        Command::Serve(args) => serve::run(args, json).await,
        Command::Admin(command) => admin::run(command, json).await,
        Command::Addresses(command) => addresses::run(command, json).await,
        Command::Areas(command) => areas::run(command, json).await,
        Command::Keys(command) => keys::run(command, json).await,
        Command::Audit(command) => audit::run(command, json).await,
        Command::Backup(args) => backup::take(args, json).await,
        Command::Restore(args) => backup::restore(args, json).await,
        Command::Login(args) => login::run(args, json).await,
        Command::Logout(args) => login::logout(args, json).await,
        Command::Users(command) => users::run(command, json).await,
        Command::Register(command) => register::run(command, json).await,
        Command::Conflicts(command) => conflicts::run(command, json).await,
        Command::Record(command) => record::run(command, json).await,
        Command::Device(command) => device::run(command, json).await,
        Command::Completions { shell } => {
            let mut command = help::in_chinese(Cli::command());
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "doorstep", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        help::in_chinese(Cli::command()).debug_assert();
    }

    #[test]
    fn every_help_is_in_chinese() {
        fn walk(command: &mut clap::Command, path: &str) {
            let help = help::translate(&command.render_long_help().to_string());
            for english in [
                "Usage:",
                "Options:",
                "Commands:",
                "Arguments:",
                "Print help",
                "Print version",
                "[OPTIONS]",
                "[default",
                "[env",
                "[possible",
            ] {
                assert!(!help.contains(english), "{path}: {english}\n{help}");
            }
            let about = command
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(!about.is_ascii(), "{path} says nothing of itself");
            for argument in command.get_arguments() {
                let says = argument
                    .get_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(!says.is_ascii(), "{path} {}: no help", argument.get_id());
            }
            for sub in command.get_subcommands_mut() {
                let path = format!("{path} {}", sub.get_name());
                walk(sub, &path);
            }
        }
        let mut command = help::in_chinese(Cli::command());
        command.build();
        walk(&mut command, "doorstep");
    }

    /// Set to write the list of commands instead of comparing it.
    const UPDATE: &str = "DOORSTEP_UPDATE";

    /// Every command that does something: its words, arguments, options, and what it says of itself.
    fn commands(command: &clap::Command, path: &str, lines: &mut Vec<String>) {
        let subs: Vec<_> = command.get_subcommands().collect();
        for sub in &subs {
            commands(sub, &format!("{path} {}", sub.get_name()), lines);
        }
        if !subs.is_empty() {
            return;
        }
        let named = |argument: &clap::Arg| argument.get_value_names().unwrap_or_default().join(" ");
        let arguments: Vec<String> = command.get_positionals().map(named).collect();
        let common = ["help", "version", "json"];
        let options: Vec<String> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|long| !common.contains(long))
            .map(|long| format!("--{long}"))
            .collect();
        let about = command.get_about().map(ToString::to_string);
        lines.push(format!(
            "{path}\t{}\t{}\t{}",
            arguments.join(" "),
            options.join(" "),
            about.unwrap_or_default()
        ));
    }

    #[test]
    fn the_list_of_commands_is_this_programs() {
        let mut command = help::in_chinese(Cli::command());
        command.build();
        let mut lines = vec!["command\targuments\toptions\twhat".to_owned()];
        commands(&command, "doorstep", &mut lines);
        let described = lines.join("\n") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.tsv");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(path, &described).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == described,
            "the commands changed: {UPDATE}=1 cargo test -p doorstep-cli --bin doorstep"
        );
    }
}
