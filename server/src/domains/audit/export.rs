//! The log as a file.

use std::collections::HashMap;

use doorstep_core::ids::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::actions::Action;
use super::chain::EntryRow;
use super::search::{AuditEntryView, AuditQuery};
use super::service;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// Entries in one export at most.
pub(super) const LIMIT: i64 = 100_000;

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// CSV, UTF-8 with a byte order mark.
    #[default]
    Csv,
    /// An entry a line, as JSON.
    Lines,
}

impl ExportForm {
    /// Its media type, and what such a file is called.
    pub(super) fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("text/csv; charset=utf-8", "audit.csv"),
            Self::Lines => ("application/x-ndjson", "audit.jsonl"),
        }
    }
}

/// The entries that fit, up to `LIMIT`, and whether older ones were left out.
pub(super) async fn export(
    state: &AppState,
    actor: &Actor,
    query: AuditQuery,
    form: ExportForm,
) -> ApiResult<(Vec<u8>, bool)> {
    // One more than is given tells whether there are more.
    let filter = query.filter(None, LIMIT + 1)?;
    let mut rows = service::search(state, actor, &filter).await?;
    let cut = cut(&mut rows, LIMIT);
    actor
        .trail
        .note_detail(serde_json::json!({ "entries": rows.len() }));
    let file = match form {
        ExportForm::Csv => csv(rows)?,
        ExportForm::Lines => {
            let names = service::names(state, &rows).await?;
            lines(rows, &names)?
        }
    };
    Ok((file, cut))
}

/// Leaves `limit` rows; tells whether there were more.
fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

/// An entry a line, as JSON.
fn lines(rows: Vec<EntryRow>, names: &HashMap<UserId, String>) -> ApiResult<Vec<u8>> {
    let mut bytes = Vec::new();
    for row in rows {
        let view = AuditEntryView::new(row, names);
        serde_json::to_writer(&mut bytes, &view).map_err(ApiError::internal)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn csv(rows: Vec<EntryRow>) -> ApiResult<Vec<u8>> {
    // Spreadsheets need the mark to read Chinese right.
    let mut file = ::csv::Writer::from_writer(vec![0xEF, 0xBB, 0xBF]);
    let heads = [
        "序号",
        "时间",
        "用户",
        "设备",
        "操作",
        "操作代码",
        "结果",
        "区划",
        "对象类型",
        "对象",
        "说明",
        "请求编号",
        "来源地址",
        "摘要",
    ];
    file.write_record(heads).map_err(ApiError::internal)?;
    for row in rows {
        let text = |value: Option<String>| value.unwrap_or_default();
        let action: Result<Action, _> = row.action.parse();
        let label = action.map_or_else(|_| row.action.clone(), |action| action.label().to_owned());
        file.write_record([
            row.seq.to_string(),
            row.at.to_rfc3339(),
            text(row.user_id.map(|id| id.to_string())),
            text(row.device_id.map(|id| id.to_string())),
            label,
            row.action,
            row.outcome,
            text(row.area_code),
            text(row.subject_kind),
            text(row.subject_id),
            row.detail,
            row.request_id,
            text(row.address),
            hex::encode(row.hash),
        ])
        .map_err(ApiError::internal)?;
    }
    file.into_inner()
        .map_err(|error| ApiError::internal(anyhow::anyhow!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_cut_only_where_there_is_more_than_it_holds() {
        for (found, left, more) in [(2, 2, false), (3, 3, false), (4, 3, true)] {
            let mut rows: Vec<i32> = (0..found).collect();
            assert_eq!((cut(&mut rows, 3), rows.len()), (more, left));
        }
    }
}
