//! Rows of an import as they are kept (sealed under the import's key) and shown, and the result as a file.

use doorstep_core::crypto::seal::{self, Place, SealKey};
use doorstep_core::ids::{ImportId, RecordId};
use doorstep_core::protocol::codec;
use doorstep_core::records::{self, split_key};
use doorstep_core::rights::Permission;
use serde_json::json;

use super::list::find_import;
use super::model::{ImportRow, Meta, ResultQuery, RowBody, RowQuery, RowRow, RowView, Verdict};
use super::store;
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::registry::service::Purpose;
use crate::error::{ApiError, ApiResult, Kind, Problems};
use crate::http::{Page, PageParams};
use crate::keys::WrappedKey;
use crate::random;
use crate::state::AppState;

/// Rows of a result file read at a time.
const CHUNK: i64 = 2_000;

/// The key of an import, and what it seals.
pub(super) struct Sealer {
    key: SealKey,
    id: ImportId,
}

impl Sealer {
    /// Of an import that is kept.
    pub(super) async fn of(state: &AppState, import: &ImportRow) -> ApiResult<Self> {
        let key = state
            .keys
            .record_key(RecordId(import.id), &import.wrapped)
            .await?;
        Ok(Self {
            key,
            id: import.id(),
        })
    }

    /// Of a new import, with the key to be kept.
    pub(super) async fn new(
        state: &AppState,
        id: ImportId,
        area: doorstep_core::ids::AreaCode,
    ) -> ApiResult<(Self, WrappedKey)> {
        let (key, wrapped) = state.keys.new_record_key(RecordId(id.0), area).await?;
        Ok((Self { key, id }, wrapped))
    }

    fn place<'a>(table: &'a str, row: &'a [u8], column: &'a str) -> Place<'a> {
        Place {
            table,
            row,
            column,
            version: 1,
        }
    }

    fn row_name(&self, row: i32) -> Vec<u8> {
        [&self.id.as_bytes()[..], &row.to_be_bytes()[..]].concat()
    }

    pub(super) fn seal_row(&self, row: i32, body: &RowBody) -> ApiResult<Vec<u8>> {
        let name = self.row_name(row);
        let place = Self::place("import_rows", &name, "body");
        seal::seal(&self.key, place, random::bytes()?, &codec::to_bytes(body))
            .map_err(ApiError::internal)
    }

    pub(super) fn open_row(&self, row: &RowRow) -> ApiResult<RowBody> {
        let name = self.row_name(row.row);
        let place = Self::place("import_rows", &name, "body");
        let plain = seal::open(&self.key, place, &row.body).map_err(ApiError::internal)?;
        codec::from_bytes(&plain).map_err(ApiError::internal)
    }

    pub(super) fn seal_meta(&self, meta: &Meta) -> ApiResult<Vec<u8>> {
        let place = Self::place("imports", self.id.as_bytes(), "meta");
        seal::seal(&self.key, place, random::bytes()?, &codec::to_bytes(meta))
            .map_err(ApiError::internal)
    }

    pub(super) fn open_meta(&self, import: &ImportRow) -> ApiResult<Meta> {
        let place = Self::place("imports", self.id.as_bytes(), "meta");
        let plain = seal::open(&self.key, place, &import.meta).map_err(ApiError::internal)?;
        codec::from_bytes(&plain).map_err(ApiError::internal)
    }
}

/// A page of an import's rows with their verdicts.
pub(super) async fn list_rows(
    state: &AppState,
    actor: &Actor,
    id: ImportId,
    query: RowQuery,
) -> ApiResult<Page<RowView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let verdict = check_verdict(query.verdict.as_deref())?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ImportRegister).await?;
    let import = find_import(&mut tx, actor, id).await?;
    let rows = store::rows_of(
        &mut tx,
        id.0,
        verdict.map(Verdict::code),
        query.warnings.unwrap_or(false),
        paging.after()?.unwrap_or(0),
        paging.rows(),
    )
    .await?;
    drop(tx);
    let sealer = Sealer::of(state, &import).await?;
    let page = paging.page(rows, |row| row.row, |row| row)?;
    let items = page
        .items
        .iter()
        .map(|row| Ok(view(&import, row, sealer.open_row(row)?)))
        .collect::<ApiResult<_>>()?;
    Ok(Page {
        items,
        next: page.next,
    })
}

/// The verdict of a code; none: any.
fn check_verdict(code: Option<&str>) -> ApiResult<Option<Verdict>> {
    let verdict = code.map(Verdict::from_code);
    let mut problems = Problems::default();
    problems.require(
        !matches!(verdict, Some(None)),
        "verdict",
        "unknown_verdict",
        "没有这种结果，请从列表中选择",
    );
    problems.finish()?;
    Ok(verdict.flatten())
}

fn view(import: &ImportRow, row: &RowRow, body: RowBody) -> RowView {
    let verdict = Verdict::from_code(&row.verdict).unwrap_or_default();
    let changed = body
        .changed
        .iter()
        .map(|key| label(&import.record_type, key));
    RowView {
        row: row.row,
        verdict,
        verdict_label: verdict.label(),
        state: row.state.clone(),
        record: row.record_id,
        duplicate_of: row.duplicate_of,
        duplicate_row: row.duplicate_row,
        changed: changed.collect(),
        problems: body.problems,
    }
}

/// A field's label: of the record, or of a tie to a place.
fn label(record_type: &str, key: &str) -> String {
    [record_type, "residence"]
        .iter()
        .filter_map(|name| records::record_type(name)?.named(split_key(key).0))
        .map(|field| field.label.clone())
        .next()
        .unwrap_or_else(|| key.to_owned())
}

/// A file holds its cells in clear: it is for who brought it in; else for who exports, and says why.
fn require_export(actor: &Actor, import: &ImportRow, purpose: Option<Purpose>) -> ApiResult<()> {
    if import.created_by == actor.user.0 {
        return Ok(());
    }
    actor.require(Permission::ExportRegister, &import.area())?;
    if purpose.is_some() {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Forbidden,
        "purpose_required",
        "这份文件是别人导入的，内容没有遮挡，请先选择用途再下载，系统会记录",
    ))
}

/// The rows as they were read, with what each came to: a CSV that spreadsheets open.
pub(super) async fn result_file(
    state: &AppState,
    actor: &Actor,
    id: ImportId,
    query: ResultQuery,
) -> ApiResult<Vec<u8>> {
    let verdict = check_verdict(query.verdict.as_deref())?.map(Verdict::code);
    let mut tx = scoped_tx(&state.pool, actor, Permission::ImportRegister).await?;
    let import = find_import(&mut tx, actor, id).await?;
    require_export(actor, &import, query.purpose)?;
    let sealer = Sealer::of(state, &import).await?;
    let meta = sealer.open_meta(&import)?;
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let own = ["行号", "结果", "说明", "档案编号"].map(str::to_owned);
    let theirs = meta.heads.iter().map(|head| plain_cell(head));
    let heads: Vec<String> = own.into_iter().chain(theirs).collect();
    writer.write_record(&heads).map_err(ApiError::internal)?;
    let (mut after, mut taken) = (0, 0);
    loop {
        let rows = store::rows_of(&mut tx, id.0, verdict, false, after, CHUNK).await?;
        let Some(last) = rows.last() else { break };
        after = last.row;
        taken += rows.len();
        for row in &rows {
            let body = sealer.open_row(row)?;
            let mut cells = body.cells.clone();
            cells.resize(meta.heads.len(), String::new());
            let view = view(&import, row, body);
            let said = said(&view);
            let record = row.record_id.map(|id| id.to_string()).unwrap_or_default();
            let line = [
                view.row.to_string(),
                view.verdict_label.to_owned(),
                said,
                record,
            ]
            .into_iter()
            .chain(cells.iter().map(|cell| plain_cell(cell)));
            writer.write_record(line).map_err(ApiError::internal)?;
        }
    }
    let mut detail = json!({ "rows": taken });
    if let Some(purpose) = query.purpose {
        detail["purpose"] = json!(purpose);
    }
    actor.trail.note_detail(detail);
    writer
        .into_inner()
        .map_err(|error| ApiError::internal(anyhow::anyhow!("{error}")))
}

fn said(view: &RowView) -> String {
    let changed = (!view.changed.is_empty()).then(|| format!("变化：{}", view.changed.join("、")));
    let problems =
        view.problems
            .iter()
            .map(|problem| match (&problem.column, problem.head.as_str()) {
                (Some(column), head) => format!("第{column}列“{head}”：{}", problem.message),
                (None, "") => problem.message.clone(),
                (None, head) => format!("“{head}”：{}", problem.message),
            });
    let kept = (view.state == "kept").then(|| "撤销导入时已被他人修改，保留现状".to_owned());
    changed
        .into_iter()
        .chain(problems)
        .chain(kept)
        .collect::<Vec<_>>()
        .join("；")
}

/// A cell that a spreadsheet takes for text, never for a formula.
fn plain_cell(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(plain_cell("=1+1"), "'=1+1");
        assert_eq!(plain_cell("@x"), "'@x");
        assert_eq!(plain_cell("叶海思"), "叶海思");
    }
}
