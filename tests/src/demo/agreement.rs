//! The end: every phone, the server and a phone that starts from nothing hold the same, and the audit log is whole.

use std::collections::BTreeSet;
use std::path::Path;

use super::report::Holding;
use super::stage::number;
use super::{Say, Stage};
use crate::town::{Phone, routes};

/// Compares everybody's holdings.
pub(super) async fn compare(
    stage: &mut Stage,
    folder: &Path,
    say: &mut Say<'_>,
) -> anyhow::Result<()> {
    say.step("核对", "everybody agrees")?;
    let fresh = stage
        .phone(
            &stage.phones[0].owner.clone(),
            "新手机",
            &folder.join("phone-new"),
        )
        .await?;
    fresh.device.sync_once().await?;
    stage.phones.push(fresh);
    stage.report.devices = stage.phones.len();
    let end = stage.level().await?;

    let mut holdings = vec![Holding {
        holder: "服务器".to_owned(),
        seq: end.seq,
        digest: hex::encode(&end.digest.0[..8]),
        contents: "—".to_owned(),
        records: None,
    }];
    for phone in &stage.phones {
        holdings.push(holding(stage, phone)?);
    }
    let digests: BTreeSet<&str> = holdings.iter().map(|held| held.digest.as_str()).collect();
    let contents: BTreeSet<&str> = holdings[1..]
        .iter()
        .map(|held| held.contents.as_str())
        .collect();
    let counts: BTreeSet<Option<u64>> = holdings[1..].iter().map(|held| held.records).collect();
    stage.report.digests_equal = digests.len() == 1 && contents.len() == 1 && counts.len() == 1;
    stage.report.records = counts.iter().flatten().max().copied().unwrap_or_default();
    say.check(
        "服务器与每台设备的摘要相同，内容相同，份数相同 (digests, contents, counts)",
        stage.report.digests_equal,
    )?;
    say.check(
        "从零开始的新手机也一样 (so does a new phone)",
        holdings.last().map(|held| &held.contents) == holdings.get(1).map(|held| &held.contents),
    )?;
    stage.report.digests = holdings;

    stage.report.changes_accepted = stage.accepted();
    let all = stage.report.changes_accepted == stage.report.changes_sent;
    let text = format!(
        "上传 {} 项，服务器接收 {} 项 (sent, accepted)",
        stage.report.changes_sent, stage.report.changes_accepted
    );
    say.check(&text, all)?;

    let verified = stage
        .administrators
        .auditor
        .api
        .get(routes::AUDIT_VERIFY)
        .await?;
    stage.report.audit_entries = number(&verified, "/entries");
    let text = format!(
        "审计日志 {} 条，链条完整 (audit chain)",
        stage.report.audit_entries
    );
    say.check(&text, verified["fault"].is_null())
}

fn holding(stage: &Stage, phone: &Phone) -> anyhow::Result<Holding> {
    let cursor = phone.cursor(stage.area)?;
    Ok(Holding {
        holder: phone.name.clone(),
        seq: cursor.seq,
        digest: hex::encode(&cursor.digest.0[..8]),
        contents: phone.contents()?,
        records: Some(phone.count(None)?),
    })
}
