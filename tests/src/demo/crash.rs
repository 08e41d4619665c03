//! The server is killed while a phone is uploading, and comes back: nothing is lost, nothing comes twice.
//! Knows no queue.

use std::collections::BTreeMap;

use anyhow::Context;
use doorstep_client::Event;
use doorstep_core::ids::{ChangeHash, RecordId};
use doorstep_core::store::DeviceStore;
use tokio::sync::broadcast::error::RecvError;

use super::offline::{LI_PHONE, WANG};
use super::{Say, Stage};
use crate::town::Phone;

/// How often it is tried until the kill really hits an upload.
const TRIES: usize = 5;

/// Kills the server in the middle of an upload.
pub(super) async fn interrupt(
    stage: &mut Stage,
    edits: usize,
    say: &mut Say<'_>,
) -> anyhow::Result<()> {
    say.step(
        "上传途中强行结束服务器",
        "kill -9 in the middle of an upload",
    )?;
    for round in 1..=TRIES {
        stage.phones[WANG].go_offline().await?;
        let texts = write(&stage.phones[WANG], edits, round)?;
        stage.report.changes_sent += edits as u64;
        let left = kill_while_uploading(stage).await?;
        if left == 0 {
            stage.server.start().await?;
            stage.level().await?;
            continue; // it was too late: everything had been answered
        }
        stage.report.unanswered_at_kill = left;
        say.line(&format!(
            "王强上传 {} 项，收到第一批回执就 kill -9，尚有 {left} 项没有回执",
            edits
        ))?;
        stage.server.start().await?;
        stage.level().await?;
        say.timed("服务器重新启动，手机自己连上，接着上传")?;
        return verify(stage, &texts, say);
    }
    anyhow::bail!("the upload was over before the server could be killed, {TRIES} times")
}

/// So many edits, of all residents in turn; what each is to read afterwards.
fn write(phone: &Phone, edits: usize, round: usize) -> anyhow::Result<BTreeMap<RecordId, String>> {
    let mut residents = phone.list("resident", "", edits)?;
    residents.sort_by_key(|one| one.id);
    let mut texts = BTreeMap::new();
    for (number, one) in residents.iter().cycle().take(edits).enumerate() {
        let text = format!("第 {round} 轮第 {number} 次，已核对");
        phone.set(one.id, "remark", text.as_str())?;
        texts.insert(one.id, text);
    }
    Ok(texts)
}

/// Kills at the first answer; gives how many items had no answer then.
async fn kill_while_uploading(stage: &mut Stage) -> anyhow::Result<u64> {
    let mut events = stage.phones[WANG].device.events();
    stage.phones[WANG].go_online();
    loop {
        match events.recv().await {
            Ok(Event::Answered { .. }) => break,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(error) => return Err(error).context("the phone stopped"),
        }
    }
    stage.server.kill()?;
    Ok(stage.phones[WANG].unsent()?.0)
}

fn verify(
    stage: &mut Stage,
    texts: &BTreeMap<RecordId, String>,
    say: &mut Say<'_>,
) -> anyhow::Result<()> {
    let (writer, reader) = (&stage.phones[WANG], &stage.phones[LI_PHONE]);
    let (mut lost, mut doubled) = (0, 0);
    for (record, text) in texts {
        let (ours, theirs) = (hashes(writer, *record)?, hashes(reader, *record)?);
        lost += u64::from(
            reader.text(*record, "remark")? != *text
                || ours.iter().any(|hash| !theirs.contains(hash)),
        );
        doubled += theirs.iter().filter(|hash| !ours.contains(hash)).count() as u64;
        doubled += u64::from(reader.device.record(*record)?.registers.all("remark").len() > 1);
    }
    let refused = writer.device.refused()?.len() as u64;
    stage.report.lost = lost + refused;
    stage.report.doubled = doubled;
    let text = format!(
        "{} 项修改一项不少、一项不重，别的手机都看得到 (nothing lost, nothing doubled)",
        texts.len()
    );
    say.check(&text, lost + refused + doubled == 0)
}

fn hashes(phone: &Phone, record: RecordId) -> anyhow::Result<Vec<ChangeHash>> {
    let changes = phone.device.read(|store| store.changes(record))?;
    Ok(changes.into_iter().map(|change| change.hash).collect())
}
