//! A file comes in: it is read, its heads are mapped, its rows are kept sealed. And the steps that are begun by hand:
//! another mapping, the check, the writing, taking it back.

use std::future::Future;

use bytes::Bytes;
use doorstep_core::crypto::sm3;
use doorstep_core::ids::ImportId;
use doorstep_core::records::import_map::Mapping;
use doorstep_core::records::{self, RecordType};
use doorstep_core::rights::Permission;
use serde_json::json;
use sqlx::PgConnection;
use tokio::sync::Semaphore;

use super::list::{find_import, view};
use super::model::{ImportRow, ImportView, Meta, Options, RowBody, SetMapping, Step, UploadQuery};
use super::rows::Sealer;
use super::store::{self, NewImport, NewRow};
use super::{forget, table, work};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::area_code;
use crate::random;
use crate::state::AppState;

/// Rows written in one statement.
const CHUNK: usize = 2_000;
/// Files in memory at a time, each as it came: what more are sent waits on the line.
static TAKING: Semaphore = Semaphore::const_new(4);
/// Files read at a time: each may need some hundred megabytes until its rows are stored.
static READING: Semaphore = Semaphore::const_new(2);
/// The longest file name that is kept.
const LONGEST_NAME: usize = 200;

/// The record types that come from files.
pub(super) fn check_type(name: &str) -> ApiResult<&'static RecordType> {
    let known = ["resident", "house"].contains(&name);
    records::record_type(name).filter(|_| known).ok_or_else(|| {
        ApiError::field(
            "type",
            "unknown_type",
            "只能导入居民（resident）或房屋（house）",
        )
    })
}

/// Takes a file in; its bytes are waited for only when the right is shown and a turn is free.
pub(super) async fn upload(
    state: &AppState,
    actor: &Actor,
    query: UploadQuery,
    file: impl Future<Output = ApiResult<Bytes>>,
) -> ApiResult<ImportView> {
    let declared = check_type(&query.record_type)?;
    let area = area_code(&query.area)?;
    actor.require(Permission::ImportRegister, &area)?;
    let step = match query.then.as_deref() {
        None => None,
        Some("check") => Some(false),
        Some("run") => Some(true),
        Some(_) => {
            return Err(ApiError::field(
                "then",
                "unknown_step",
                "下一步只能是 check（核对）或 run（导入）",
            ));
        }
    };
    let taking = TAKING.acquire().await.map_err(ApiError::internal)?;
    let bytes = file.await?;
    let reading = READING.acquire().await.map_err(ApiError::internal)?;
    let read = tokio::task::spawn_blocking(move || {
        // Both turns are held by the work: a caller who hangs up frees nobody's.
        let _taking = taking;
        (sm3::digest(&[&bytes[..]]), table::read(&bytes), reading)
    });
    let (digest, table, _reading) = read.await.map_err(ApiError::internal)?;
    let table = table?;
    let (_, problems) = Mapping::from_heads(declared, &table.heads);
    let meta = Meta {
        file_name: file_name(query.name.as_deref()),
        heads: table.heads,
        problems: problems.iter().map(Into::into).collect(),
    };
    if step.is_some() {
        require_heads(&meta)?;
    }
    let id = random::id(state.clock.timestamp(), ImportId::new)?;
    let (sealer, wrapped) = Sealer::new(state, id, area).await?;
    let rows = seal_rows(state, &sealer, table.rows)?;
    let mut tx = system_tx(&state.pool).await?;
    actor.narrow(&mut tx, Permission::ImportRegister).await?;
    let new = NewImport {
        id: id.0,
        record_type: &declared.name,
        area: area.as_str(),
        status: match step {
            None => "uploaded",
            Some(false) => "checking",
            // Writing judges each row itself.
            Some(true) => "running",
        },
        rows: i32::try_from(rows.len()).unwrap_or(i32::MAX),
        options: Options {
            duplicates: query.duplicates,
        },
        digest: &digest,
        by: actor.user.0,
        at: state.clock.now(),
        wrapped_key: &wrapped.sealed,
        key_version: wrapped.version,
        meta: &sealer.seal_meta(&meta)?,
    };
    store::create(&mut tx, &new).await?;
    for chunk in rows.chunks(CHUNK) {
        store::insert_rows(&mut tx, id.0, area.as_str(), chunk).await?;
    }
    let row = store::find(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这次导入"))?;
    let same = store::same_file(&mut tx, &row).await?;
    let detail =
        json!({ "type": declared.name, "rows": rows.len(), "digest": hex::encode(digest) });
    audit::record(
        &mut tx,
        entry(state, actor, Action::UploadImport, &row)?.detail(detail),
    )
    .await?;
    tx.commit().await?;
    if step.is_some() {
        work::spawn(state);
    }
    view(state, &row, same).await
}

fn entry(state: &AppState, actor: &Actor, action: Action, row: &ImportRow) -> ApiResult<Entry> {
    Ok(Entry::by(actor, state.clock.now(), action)
        .subject("import", row.id)
        .area(row.area()))
}

fn file_name(name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect()
}

fn seal_rows(
    state: &AppState,
    sealer: &Sealer,
    rows: Vec<(i32, Vec<String>)>,
) -> ApiResult<Vec<NewRow>> {
    rows.into_iter()
        .map(|(row, cells)| {
            let numbers = forget::numbers(&state.keys, &cells);
            let body = RowBody {
                cells,
                ..RowBody::default()
            };
            let body = sealer.seal_row(row, &body)?;
            Ok(NewRow { row, body, numbers })
        })
        .collect()
}

/// Refuses heads that nothing can be read under; says all that is wrong.
fn require_heads(meta: &Meta) -> ApiResult<()> {
    let mut problems = Problems::default();
    for problem in &meta.problems {
        let path = problem
            .column
            .map_or_else(|| "heads".to_owned(), |column| format!("heads/{column}"));
        problems.require(
            problem.severity != "error",
            &path,
            &problem.code,
            &problem.message,
        );
    }
    problems.finish()
}

/// Sends columns to other fields than their heads say.
pub(super) async fn set_mapping(
    state: &AppState,
    actor: &Actor,
    id: ImportId,
    input: SetMapping,
    unchanged: impl FnOnce(&str) -> ApiResult<()>,
) -> ApiResult<ImportView> {
    let (mut tx, row) = lock(state, actor, id, &["uploaded", "checked"]).await?;
    unchanged(&row.version.to_string())?;
    let sealer = Sealer::of(state, &row).await?;
    let mut meta = sealer.open_meta(&row)?;
    let declared = check_type(&row.record_type)?;
    let mut problems = Problems::default();
    for (at, wanted) in input.columns.iter().enumerate() {
        let head = match wanted.field.as_deref() {
            None => Some(String::new()),
            Some(name) => head_of(declared, name),
        };
        let slot = wanted
            .column
            .checked_sub(1)
            .and_then(|column| meta.heads.get_mut(column));
        match (slot, head) {
            (Some(slot), Some(head)) => *slot = head,
            (None, _) => problems.add(
                &format!("columns/{at}/column"),
                "unknown_column",
                "文件没有这一列",
            ),
            (_, None) => problems.add(
                &format!("columns/{at}/field"),
                "unknown_field",
                "没有这个项目，请从列表中选择",
            ),
        }
    }
    problems.finish()?;
    let (_, found) = Mapping::from_heads(declared, &meta.heads);
    meta.problems = found.iter().map(Into::into).collect();
    store::set_meta(&mut tx, id.0, &sealer.seal_meta(&meta)?).await?;
    finish(state, actor, tx, Action::MapImport, id).await
}

/// The head that means a field of the record, or of a resident's tie to a place.
fn head_of(declared: &RecordType, name: &str) -> Option<String> {
    let ties = (declared.name == "resident")
        .then(|| records::record_type("residence"))
        .flatten();
    let field = declared
        .named(name)
        .or_else(|| ties.and_then(|ties| ties.named(name)))?;
    Some(field.import.first().unwrap_or(&field.label).clone())
}

/// Begins the check, or the writing.
pub(super) async fn begin(
    state: &AppState,
    actor: &Actor,
    id: ImportId,
    run: bool,
) -> ApiResult<ImportView> {
    let from: &[&str] = if run {
        &["checked", "failed", "undone"]
    } else {
        &["uploaded", "checked", "failed", "undone"]
    };
    let (mut tx, row) = lock(state, actor, id, from).await?;
    require_order(&row, run)?;
    let meta = Sealer::of(state, &row).await?.open_meta(&row)?;
    require_heads(&meta)?;
    // What failed while writing goes on where it stood: what was written is found unchanged.
    let (status, action) = if run {
        ("running", Action::RunImport)
    } else {
        ("checking", Action::CheckImport)
    };
    store::begin(&mut tx, id.0, status).await?;
    let view = finish(state, actor, tx, action, id).await?;
    work::spawn(state);
    Ok(view)
}

/// Refuses to write what no check has gone through, and to check anew what is written in part: a check judges every row
/// from the beginning, and what taking the import back needs would be gone.
fn require_order(row: &ImportRow, run: bool) -> ApiResult<()> {
    match row.failed_step() {
        Some(Step::Check) if run => Err(ApiError::conflict(
            "check_failed",
            "上次核对没有完成，不能直接导入，请先重新核对",
        )),
        Some(Step::Run | Step::Undo) if !run && row.counts.0.written > 0 => {
            Err(ApiError::conflict(
                "written_in_part",
                "这次导入已经写入了一部分，不能重新核对，请继续导入，或先撤销",
            ))
        }
        _ => Ok(()),
    }
}

/// Begins to take an import back.
pub(super) async fn take_back(
    state: &AppState,
    actor: &Actor,
    id: ImportId,
) -> ApiResult<ImportView> {
    let (mut tx, _) = lock(state, actor, id, &["done", "failed"]).await?;
    store::begin(&mut tx, id.0, "undoing").await?;
    let view = finish(state, actor, tx, Action::UndoImport, id).await?;
    work::spawn(state);
    Ok(view)
}

/// Locks an import of the actor's that stands where a step can begin.
async fn lock(
    state: &AppState,
    actor: &Actor,
    id: ImportId,
    from: &[&str],
) -> ApiResult<(crate::database::Tx, ImportRow)> {
    let mut tx = system_tx(&state.pool).await?;
    actor.narrow(&mut tx, Permission::ImportRegister).await?;
    let require = |row: &ImportRow| match from.contains(&row.status.as_str()) {
        true => Ok(()),
        false => Err(ApiError::conflict(
            "wrong_status",
            "这次导入现在不能这样办理，请刷新后看它的状态",
        )),
    };
    // Nobody waits for a batch only to be refused.
    require(&find_import(&mut tx, actor, id).await?)?;
    let row = store::lock(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这次导入"))?;
    require(&row)?;
    Ok((tx, row))
}

async fn finish(
    state: &AppState,
    actor: &Actor,
    mut tx: crate::database::Tx,
    action: Action,
    id: ImportId,
) -> ApiResult<ImportView> {
    let row = store::find(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这次导入"))?;
    let same = store::same_file(&mut tx, &row).await?;
    let tx_ref: &mut PgConnection = &mut tx;
    audit::record(tx_ref, entry(state, actor, action, &row)?).await?;
    tx.commit().await?;
    view(state, &row, same).await
}
