//! The purposes for which personal data may be seen in clear, as arguments. What they mean and who may have one is the
//! server's to say; a test holds the two equal.

use serde::Serialize;

/// Written to the audit log of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// 上门核实
    Verification,
    /// 办理服务事项
    Service,
    /// 裁决或更正信息
    Correction,
    /// 紧急联系
    Emergency,
    /// 依法协助调查
    Investigation,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use clap::ValueEnum;
    use doorstep_server::domains::registry::service;

    use super::*;

    #[test]
    fn the_server_knows_each_by_the_name_that_is_typed() {
        for purpose in Purpose::value_variants() {
            let value = serde_json::to_value(purpose).unwrap();
            let typed = purpose.to_possible_value().unwrap();
            assert_eq!(value, typed.get_name());
            let known: service::Purpose = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(known).unwrap(), value);
        }
    }
}
