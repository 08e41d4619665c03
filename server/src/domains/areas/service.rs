//! Importing, versioning and finding areas.

use doorstep_core::ids::AreaCode;
use serde_json::json;
use sqlx::PgConnection;

use super::import;
use super::model::{
    Area, AreaChange, AreaDetail, AreaQuery, AreaVersion, ImportQuery, ImportReport,
};
use super::store::{self, Filter};
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::http::{Page, PageParams};
use crate::live::Notice;
use crate::state::AppState;

/// Brings in the city's whole tree as a new version. The same file again changes nothing.
/// Without an actor: the command line on the server's own machine.
///
/// # Errors
/// When a row is wrong (all are named), or the database fails.
pub async fn import(
    state: &AppState,
    actor: Option<&Actor>,
    bytes: &[u8],
    options: &ImportQuery,
) -> ApiResult<ImportReport> {
    let tree = import::read(bytes)?;
    let mut tx = system_tx(&state.pool).await?;
    store::lock_versions(&mut tx).await?;
    let changes = import::compare(&store::all(&mut tx).await?, &tree);
    let mut report = import::report(&tree, &changes);
    if options.dry_run || changes.is_empty() {
        return Ok(report);
    }
    let version = store::last_version(&mut tx).await? + 1;
    let at = state.clock.now();
    let effective_on = options.effective_on.unwrap_or(state.clock.today());
    let by = actor.map(|actor| actor.user.0);
    store::create_version(&mut tx, version, effective_on, &options.note, at, by).await?;
    store::apply(&mut tx, version, &changes).await?;
    report.version = Some(version);
    let entry = match actor {
        Some(actor) => Entry::by(actor, at, Action::ImportAreas),
        None => Entry::by_server(at, Action::ImportAreas),
    };
    audit::record(
        &mut tx,
        entry.subject("area_version", version).detail(json!(report)),
    )
    .await?;
    tx.commit().await?;
    state.live.tell(Notice::AreasChanged);
    Ok(report)
}

/// The city: the root of the tree.
///
/// # Errors
/// `no_areas` before the first import.
pub async fn city(state: &AppState) -> ApiResult<AreaCode> {
    let mut connection = state.pool.acquire().await?;
    let code = store::city(&mut connection).await?;
    code.and_then(|code| code.parse().ok()).ok_or_else(|| {
        ApiError::conflict(
            "no_areas",
            "还没有区划：请先用 doorstep areas import 导入本市区划",
        )
    })
}

/// The areas of these codes, in the order of codes; unknown ones are left out.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut PgConnection, codes: &[AreaCode]) -> ApiResult<Vec<Area>> {
    let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
    Ok(store::by_codes(tx, &codes)
        .await?
        .into_iter()
        .map(Area::from)
        .collect())
}

/// Every area that is in force.
///
/// # Errors
/// When the database fails.
pub async fn tree(state: &AppState) -> ApiResult<Vec<Area>> {
    let mut connection = state.pool.acquire().await?;
    let rows = store::all(&mut connection).await?;
    Ok(rows
        .into_iter()
        .filter(|row| row.retired_in.is_none())
        .map(Area::from)
        .collect())
}

/// The number of the present version; 0 before the first import.
///
/// # Errors
/// When the database fails.
pub async fn version(state: &AppState) -> ApiResult<i32> {
    let mut connection = state.pool.acquire().await?;
    Ok(store::last_version(&mut connection).await?)
}

/// Areas that fit, in the order of codes.
///
/// # Errors
/// When the cursor is wrong or the database fails.
pub async fn list(state: &AppState, query: AreaQuery) -> ApiResult<Page<Area>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let text = query
        .text
        .map(|text| text.trim().replace(['%', '_', '\\'], ""))
        .filter(|text| !text.is_empty());
    let filter = Filter {
        parent: query.parent,
        name_pattern: text.as_ref().map(|text| format!("%{text}%")),
        code_pattern: text.as_ref().map(|text| format!("{text}%")),
        retired: query.retired,
        since: query.since,
        after: paging.after()?,
        rows: paging.rows(),
    };
    let mut connection = state.pool.acquire().await?;
    let rows = store::list(&mut connection, &filter).await?;
    paging.page(rows, |row| row.code, Area::from)
}

/// One area, with those it lies in.
///
/// # Errors
/// `not_found`.
pub async fn show(state: &AppState, code: AreaCode) -> ApiResult<AreaDetail> {
    let text = code.as_str();
    let line: Vec<String> = [2, 4, 6, 9, 12]
        .iter()
        .map(|digits| format!("{:0<12}", &text[..*digits]))
        .collect();
    let mut connection = state.pool.acquire().await?;
    let mut path: Vec<Area> = store::by_codes(&mut connection, &line)
        .await?
        .into_iter()
        .map(Area::from)
        .collect();
    let area = path
        .pop()
        .filter(|area| area.code == code)
        .ok_or_else(|| ApiError::not_found("这个区划"))?;
    let children = store::children(&mut connection, &code).await?;
    Ok(AreaDetail {
        area,
        path,
        children,
    })
}

/// Every version, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(state: &AppState) -> ApiResult<Vec<AreaVersion>> {
    let mut connection = state.pool.acquire().await?;
    Ok(store::versions(&mut connection).await?)
}

/// What changed from one version to a later one.
///
/// # Errors
/// When the order is wrong or the database fails.
pub async fn diff(state: &AppState, from: i32, to: i32) -> ApiResult<Vec<AreaChange>> {
    if from > to {
        return Err(ApiError::field("from", "order", "起始版本不能晚于结束版本"));
    }
    let mut connection = state.pool.acquire().await?;
    Ok(store::diff(&mut connection, from, to).await?)
}

/// The villages in force within these areas, in the order of codes.
///
/// # Errors
/// When the database fails.
pub async fn villages_within(
    tx: &mut PgConnection,
    places: &[AreaCode],
) -> ApiResult<Vec<AreaCode>> {
    let first: Vec<&str> = places.iter().map(AreaCode::as_str).collect();
    let last = places
        .iter()
        .map(|place| format!("{:9<12}", place.prefix()));
    let last: Vec<String> = last.collect();
    let codes = store::villages_between(tx, &first, &last).await?;
    codes
        .iter()
        .map(|code| code.parse().map_err(ApiError::internal))
        .collect()
}
