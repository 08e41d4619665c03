//! Imports as they stand: one, or a page of them, and the template of a file.

use std::collections::HashMap;

use doorstep_core::ids::{ImportId, UserId};
use doorstep_core::records;
use doorstep_core::records::import_map::Mapping;
use doorstep_core::rights::Permission;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{ColumnView, ImportField, ImportQuery, ImportRow, ImportView};
use super::rows::Sealer;
use super::store;
use crate::database::below;
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiError, ApiResult};
use crate::http::{Page, PageParams, area_code};
use crate::state::AppState;

/// An import of the actor's areas; else 'not found'.
pub(super) async fn find_import(
    tx: &mut PgConnection,
    actor: &Actor,
    id: ImportId,
) -> ApiResult<ImportRow> {
    actor.trail.note_subject("import", id);
    let row = store::find(tx, id.0).await?.ok_or_else(not_found)?;
    let area = row.area();
    if actor.why(Permission::ImportRegister, &area).is_none() {
        return Err(not_found());
    }
    actor.trail.note_area(area);
    Ok(row)
}

fn not_found() -> ApiError {
    ApiError::not_found("这次导入")
}

/// One import.
pub(super) async fn show(state: &AppState, actor: &Actor, id: ImportId) -> ApiResult<ImportView> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::ImportRegister).await?;
    let row = find_import(&mut tx, actor, id).await?;
    let same = store::same_file(&mut tx, &row).await?;
    drop(tx);
    view(state, &row, same).await
}

/// The names of those who brought imports in.
async fn authors(state: &AppState, rows: &[ImportRow]) -> ApiResult<HashMap<UserId, String>> {
    let ids: Vec<UserId> = rows.iter().map(|row| UserId(row.created_by)).collect();
    users::service::names(state, &ids).await
}

/// Imports of the actor's areas, the newest first.
pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: ImportQuery,
) -> ApiResult<Page<ImportView>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let area = query.area.as_deref().map(area_code).transpose()?;
    let area = actor.area_asked(Permission::ImportRegister, area)?;
    let pattern = area.map(below);
    let mut tx = scoped_tx(&state.pool, actor, Permission::ImportRegister).await?;
    let rows = store::list(&mut tx, pattern.as_deref(), paging.after()?, paging.rows()).await?;
    let page = paging.page(rows, |row| (row.created_at, row.id), |row| row)?;
    let mut same = Vec::with_capacity(page.items.len());
    for row in &page.items {
        same.push(store::same_file(&mut tx, row).await?);
    }
    drop(tx);
    let names = authors(state, &page.items).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for (row, same) in page.items.iter().zip(same) {
        items.push(named(state, row, same, &names).await?);
    }
    Ok(Page {
        items,
        next: page.next,
    })
}

/// An import as callers see it; `same` is the last earlier one of the same file. Uses a connection of its own: not while a
/// transaction is open.
pub(super) async fn view(
    state: &AppState,
    row: &ImportRow,
    same: Option<Uuid>,
) -> ApiResult<ImportView> {
    let names = authors(state, std::slice::from_ref(row)).await?;
    named(state, row, same, &names).await
}

async fn named(
    state: &AppState,
    row: &ImportRow,
    same: Option<Uuid>,
    names: &HashMap<UserId, String>,
) -> ApiResult<ImportView> {
    let meta = Sealer::of(state, row).await?.open_meta(row)?;
    let declared = records::record_type(&row.record_type).ok_or_else(not_found)?;
    let (mapping, _) = Mapping::from_heads(declared, &meta.heads);
    let columns = meta.heads.iter().enumerate().map(|(at, head)| {
        let field = mapping.field(at);
        ColumnView {
            column: at + 1,
            head: head.clone(),
            field: field.map(|field| field.name.clone()),
            label: field.map(|field| field.label.clone()),
        }
    });
    Ok(ImportView {
        id: row.id,
        record_type: row.record_type.clone(),
        area: row.area(),
        file_name: meta.file_name,
        status: row.status.clone(),
        rows: row.rows,
        percent: percent(row),
        counts: row.counts.0,
        columns: columns.collect(),
        problems: meta.problems,
        same_as: same,
        failure: row.failure.clone(),
        failed_step: row.failed_step(),
        created_by: row.created_by,
        created_by_name: names
            .get(&UserId(row.created_by))
            .cloned()
            .unwrap_or_default(),
        created_at: row.created_at,
        finished_at: row.finished_at,
        version: row.version,
    })
}

/// How much of the present step is done.
fn percent(row: &ImportRow) -> i32 {
    match row.status.as_str() {
        "checking" | "running" => {
            let whole = i64::from(row.rows.max(1));
            // Blank lines between rows make the last row's number greater than their count.
            let done = (i64::from(row.at_row) * 100 / (whole + 1)).min(99);
            i32::try_from(done).unwrap_or(99)
        }
        "undoing" => {
            let counts = row.counts.0;
            let done = (counts.undone + counts.kept) * 100 / counts.written.max(1);
            i32::try_from(done.min(99)).unwrap_or(99)
        }
        "uploaded" => 0,
        _ => 100,
    }
}

/// The heads of a file for a record type, as a CSV that spreadsheets open.
pub(super) fn template(record_type: &str) -> ApiResult<Vec<u8>> {
    let declared = super::upload::check_type(record_type)?;
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    writer
        .write_record(Mapping::template(declared))
        .map_err(ApiError::internal)?;
    writer
        .into_inner()
        .map_err(|error| ApiError::internal(anyhow::anyhow!("{error}")))
}

/// The fields that columns of a record type's file may go to: its own, then those of a resident's tie to a place.
pub(super) fn fields(record_type: &str) -> ApiResult<Vec<ImportField>> {
    let declared = super::upload::check_type(record_type)?;
    let ties = (declared.name == "resident")
        .then(|| records::record_type("residence"))
        .flatten();
    // A name that both have means the record's own.
    let tied = ties
        .into_iter()
        .flat_map(records::RecordType::offered)
        .filter(|field| declared.named(&field.name).is_none())
        .map(|field| (field, false));
    let own = declared.offered().map(|field| (field, field.required));
    Ok(own
        .chain(tied)
        .filter_map(|(field, required)| {
            Some(ImportField {
                field: field.name.clone(),
                label: field.import.first()?.clone(),
                required,
            })
        })
        .collect())
}
