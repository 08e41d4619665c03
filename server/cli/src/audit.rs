//! `doorstep audit verify`: whether the audit log is whole, from its first entry to its head.

use doorstep_server::domains::audit::{self, Fault};

use crate::failure::{Exit, Failure, Outcome};
use crate::local::{DataArgs, with_state};
use crate::output;

/// 审计日志
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// 核验整个审计日志：指出第一条被改动、缺失或调换的记录
    Verify(DataArgs),
}

pub(crate) async fn run(command: AuditCommand, json: bool) -> Outcome {
    let AuditCommand::Verify(data) = command;
    let verdict = with_state(
        &data,
        |state| async move { Ok(audit::verify(&state).await?) },
    )
    .await?;
    if json {
        output::json(&verdict);
        return match verdict.fault {
            None => Ok(()),
            Some(_) => Err(Failure::said(Exit::Differs)),
        };
    }
    let found = match &verdict.fault {
        None => {
            output::line(&format!(
                "审计日志完整：{} 条记录、{} 个签名全部相符。",
                verdict.entries, verdict.signatures
            ));
            return Ok(());
        }
        Some(Fault::Altered { seq }) => format!("第 {seq} 条记录被改动"),
        Some(Fault::Missing { seq }) => format!("第 {seq} 条记录缺失"),
        Some(Fault::Reordered { seq, written_as }) => {
            format!("第 {seq} 条记录原来是第 {written_as} 条，次序被调换")
        }
        Some(Fault::Cut { last, head }) => {
            format!("日志应到第 {head} 条，只到第 {last} 条，其后被截去")
        }
        Some(Fault::Signature { seq }) => format!("第 {seq} 条处的签名不符，日志可能被整体重写"),
    };
    let message = format!("审计日志不完整：{found}。请保留现场，并从备份核对。");
    Err(Failure::new(Exit::Differs, "audit_broken", message))
}
