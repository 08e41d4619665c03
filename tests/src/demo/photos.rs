//! Photos: one that is on its way up when the server is killed, and all of them as the others see them. Knows no merging.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use doorstep_core::blob;
use doorstep_core::ids::RecordId;
use serde_json::Value;

use super::offline::{LI_TABLET, Plot, WANG};
use super::people::picture;
use super::{Say, Stage};
use crate::town::routes;

/// How often it is tried until the kill really hits an upload.
const TRIES: u32 = 5;
/// Between two looks at an upload.
const LOOK_AGAIN: Duration = Duration::from_millis(4);
/// The longer side of a thumbnail at most, in pixels.
const THUMBNAIL: u32 = 320;

/// Kills the server in the middle of a photo's upload.
pub(super) async fn interrupt(
    stage: &mut Stage,
    plot: &Plot,
    say: &mut Say<'_>,
) -> anyhow::Result<()> {
    say.step(
        "照片上传途中强行结束服务器",
        "kill -9 in the middle of a photo",
    )?;
    for round in 0..TRIES {
        stage.phones[WANG].go_offline().await?;
        let bytes = picture(2_400 + round)?;
        let digest = stage.phones[WANG]
            .device
            .add_photo(plot.shared, "photos", &bytes)?;
        stage.report.changes_sent += stage.phones[WANG].unsent()?.0;
        stage.phones[WANG].go_online();
        let cut = cut_in_the_middle(stage, plot.shared, &digest).await?;
        stage.phones[WANG].go_offline().await?;
        stage.server.start().await?;
        let kept = state_of(stage, plot.shared, &digest).await?;
        stage.phones[WANG].go_online();
        stage.level().await?;
        if !cut || kept["state"] != "arriving" {
            continue; // it was too late: the photo was there
        }
        let received = kept["received"].as_u64().unwrap_or_default();
        stage.report.photo_resumed_at = received;
        say.line(&format!(
            "王强的照片 {:.1} MB，传到第 {received} 字节时 kill -9",
            bytes.len() as f64 / 1e6
        ))?;
        let whole = state_of(stage, plot.shared, &digest).await?;
        return say.check(
            "服务器重启后保留了已传部分，手机接着传完 (it goes on where it stood)",
            received > 0 && whole["state"] == "arrived",
        );
    }
    anyhow::bail!("the photo was up before the server could be killed, {TRIES} times")
}

/// Kills the server once it has a part of the photo; `false` when it had all of it.
async fn cut_in_the_middle(
    stage: &mut Stage,
    record: RecordId,
    digest: &str,
) -> anyhow::Result<bool> {
    loop {
        let state = state_of(stage, record, digest).await?;
        let arriving = state["received"].as_u64().is_some_and(|bytes| bytes > 0);
        if arriving || state["state"] == "arrived" {
            stage.server.kill()?;
            return Ok(state["state"] == "arriving");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What the server says of a record's photo; nothing while the record does not name it.
async fn state_of(stage: &Stage, record: RecordId, digest: &str) -> anyhow::Result<Value> {
    let photos = list(stage, &record.to_string()).await?;
    let named = |photo: &Value| photo["digest"] == digest;
    Ok(photos.into_iter().find(named).unwrap_or_default())
}

async fn list(stage: &Stage, record: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("{}/{record}/photos", routes::RECORDS);
    let photos = stage.supervisor.api.get(&path).await?;
    Ok(photos.as_array().context("no list of photos")?.clone())
}

/// All photos of the resident and the visit: another phone fetches each and checks its digest, the supervisor sees each
/// thumbnail.
pub(super) async fn look(stage: &mut Stage, plot: &Plot, say: &mut Say<'_>) -> anyhow::Result<()> {
    let mut photos = list(stage, &plot.shared.to_string()).await?;
    photos.extend(list(stage, &plot.visit.to_string()).await?);
    let digests: BTreeSet<&str> = photos
        .iter()
        .filter_map(|photo| photo["digest"].as_str())
        .collect();
    let tablet = &stage.phones[LI_TABLET].device;
    let (mut seen, mut bytes) = (0, 0);
    for digest in &digests {
        let whole = tablet.photo(digest).await?;
        let path = format!("{}/{digest}/thumbnail?purpose=verification", routes::PHOTOS);
        let small = stage.supervisor.api.get_bytes(&path).await?;
        let small = image::load_from_memory(&small).context("thumbnail")?;
        let right =
            blob::digest(&whole) == *digest && small.width().max(small.height()) == THUMBNAIL;
        seen += u64::from(right);
        bytes += whole.len() as u64;
    }
    stage.report.photos_taken = digests.len() as u64;
    stage.report.photos_seen = seen;
    stage.report.photo_bytes = bytes;
    let text = format!(
        "{} 张照片到齐，平板逐张取回并核对摘要，主管看到缩略图 (photos)",
        digests.len()
    );
    say.check(&text, seen >= 3 && seen == digests.len() as u64)
}
