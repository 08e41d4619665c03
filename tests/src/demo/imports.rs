//! Bringing a register's file in over HTTP: first on trial, with a verdict for each row, then for good.
//! Knows no device.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use doorstep_core::ids::AreaCode;
use serde_json::{Value, json};

use super::Say;
use super::stage::number;
use crate::town::{Person, routes};

/// How long one step of an import may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// HTTP has no way of telling when it is done: it is asked so often.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Imports one file; gives how many rows were written.
pub(super) async fn import(
    supervisor: &Person,
    area: AreaCode,
    record_type: &str,
    file: &Path,
    rows: Option<usize>,
    say: &mut Say<'_>,
) -> anyhow::Result<u64> {
    let label = if record_type == "house" {
        "房屋"
    } else {
        "居民"
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let path = format!(
        "{}?type={record_type}&area={area}&name={name}&then=check",
        routes::IMPORTS
    );
    let api = &supervisor.api;
    let uploaded = api
        .post_file(&path, "application/octet-stream", first_rows(file, rows)?)
        .await?;
    let id = uploaded["id"].as_str().context("no id")?.to_owned();
    let checked = wait(supervisor, &id, "checked").await?;
    let count = |view: &Value, key: &str| number(view, &format!("/counts/{key}"));
    say.timed(&format!(
        "{label}试导入 {} 行：新增 {}，疑似重复 {}，有错误 {}，有提示 {} (dry run)",
        number(&checked, "/rows"),
        count(&checked, "new"),
        count(&checked, "duplicate"),
        count(&checked, "error"),
        count(&checked, "warnings"),
    ))?;
    api.post(&format!("{}/{id}/run", routes::IMPORTS), &json!({}))
        .await?;
    let done = wait(supervisor, &id, "done").await?;
    let written = count(&done, "written");
    say.timed(&format!("{label}正式导入 {written} 行 (imported)"))?;
    Ok(written)
}

/// Waits until an import has come so far.
async fn wait(supervisor: &Person, id: &str, wanted: &str) -> anyhow::Result<Value> {
    let path = format!("{}/{id}", routes::IMPORTS);
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let view = supervisor.api.get(&path).await?;
        match view["status"].as_str().unwrap_or_default() {
            status if status == wanted => return Ok(view),
            "failed" => bail!("the import failed: {}", view["failure"]),
            _ => tokio::time::sleep(ASK_EVERY).await,
        }
    }
    bail!("the import is not {wanted} after {PATIENCE:?}")
}

/// The head of a file and so many rows below it.
fn first_rows(file: &Path, rows: Option<usize>) -> anyhow::Result<Vec<u8>> {
    let text = std::fs::read_to_string(file)?;
    let Some(rows) = rows else {
        return Ok(text.into_bytes());
    };
    let lines: Vec<&str> = text.split_inclusive('\n').take(rows + 1).collect();
    Ok(lines.concat().into_bytes())
}
