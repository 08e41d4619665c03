//! `doorstep keys`: on the server's own machine, beside a running server or without one.

use doorstep_core::ids::AreaCode;
use doorstep_server::rotation;

use crate::failure::Outcome;
use crate::local::{DataArgs, with_state};
use crate::output;

/// 密钥
#[derive(clap::Subcommand, Debug)]
pub(crate) enum KeysCommand {
    /// 更换区划密钥，并用新密钥重新封装档案密钥；服务器可以照常运行，中断后再次运行即可
    Rotate(RotateArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    data: DataArgs,
    /// 只更换这些区划的密钥；不填则更换所有区划的
    #[arg(long, value_name = "区划代码")]
    area: Vec<AreaCode>,
}

pub(crate) async fn run(command: KeysCommand, json: bool) -> Outcome {
    let KeysCommand::Rotate(args) = command;
    let work = |state| async move {
        let areas = match args.area.is_empty() {
            true => rotation::areas(&state).await?,
            false => args.area,
        };
        let mut done = Vec::new();
        for (at, area) in areas.iter().enumerate() {
            let rotated = rotation::rotate(&state, *area).await?;
            if !json {
                output::line(&format!(
                    "{}/{}  {area}：已换为第 {} 版，重新封装 {} 个档案密钥",
                    at + 1,
                    areas.len(),
                    rotated.version,
                    rotated.wrapped
                ));
            }
            done.push(rotated);
        }
        Ok(done)
    };
    let done = with_state(&args.data, work).await?;
    if json {
        output::json(&done);
    } else if done.is_empty() {
        output::line("还没有任何区划密钥，无需更换。");
    }
    Ok(())
}
