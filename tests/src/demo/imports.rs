//! Bringing a register's file in over HTTP: first on trial, with a verdict for each row, then for good.
//! Knows no device.

use std::path::Path;

use doorstep_core::ids::AreaCode;
use serde_json::Value;

use super::Say;
use super::stage::number;
use crate::town::Person;

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
    let (import, checked) = supervisor
        .upload(record_type, area, &name, first_rows(file, rows)?)
        .await?;
    let count = |view: &Value, key: &str| number(view, &format!("/counts/{key}"));
    say.timed(&format!(
        "{label}试导入 {} 行：新增 {}，疑似重复 {}，有错误 {}，有提示 {} (dry run)",
        number(&checked, "/rows"),
        count(&checked, "new"),
        count(&checked, "duplicate"),
        count(&checked, "error"),
        count(&checked, "warnings"),
    ))?;
    let done = import.run().await?;
    let written = count(&done, "written");
    say.timed(&format!("{label}正式导入 {written} 行 (imported)"))?;
    Ok(written)
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
