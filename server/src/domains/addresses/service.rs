//! Importing and listing standard addresses.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::ids::{AreaCode, ScopeId};
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::rights::Permission;
use doorstep_core::standard_address::{self, StandardAddress};
use serde_json::json;

pub use super::control::check_whole;
use super::model::{AddressQuery, AddressReport, AddressView};
use super::read::{self, Row};
use super::store;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, PageParams, area_code};
use crate::register;
use crate::state::AppState;

/// Addresses written in one step.
const STEP: usize = 2_000;
/// The most addresses of one area that are searched.
const MOST: i64 = 100_000;

type NewState = (ScopeId, StateEntry);

/// Brings a file of the police's in: whole or not at all, and the same file again changes nothing. Addresses that the file
/// does not name stay as they are, and so do those of which a newer row came before.
///
/// # Errors
/// When rows are wrong or name no village in force (all are named), or the database fails.
pub async fn import(state: &AppState, bytes: &[u8], dry_run: bool) -> ApiResult<AddressReport> {
    let mut rows = read::read(bytes)?;
    let mut tx = system_tx(&state.pool).await?;
    store::lock(&mut tx).await?;
    let areas: BTreeSet<&AreaCode> = rows.values().map(|row| &row.area).collect();
    let areas: Vec<String> = areas.into_iter().map(ToString::to_string).collect();
    let known = store::villages(&mut tx, &areas).await?;
    let mut problems = Problems::default();
    for area in areas.iter().filter(|area| !known.contains(area)) {
        let message = format!("没有居村委 {area}：请先导入包含它的区划");
        problems.add("area", "unknown_area", message);
    }
    problems.finish()?;
    let keys: Vec<String> = rows
        .keys()
        .map(|code| standard_address::key(code))
        .collect();
    let mut present: BTreeMap<String, (ScopeId, String)> = BTreeMap::new();
    for (scope, key, json) in store::by_keys(&mut tx, &keys).await? {
        let scope = scope.parse().map_err(ApiError::internal)?;
        present.insert(key, (scope, json));
    }
    let read = rows.len();
    let codes: Vec<String> = rows.keys().cloned().collect();
    let times = store::times(&mut tx, &codes).await?;
    let times = pass_over(&mut rows, &times.into_iter().collect());
    let older = read - rows.len();
    let (report, mut told) = compare(rows, &present);
    let report = AddressReport {
        rows: read,
        older,
        ..report
    };
    if dry_run || (told.is_empty() && times.is_empty()) {
        return Ok(report);
    }
    store::set_times(&mut tx, &times).await?;
    // Scopes are locked until the commit: step after step in the one order in which everybody locks them.
    told.sort_by_key(|(scope, _)| *scope);
    let now = state.clock.now();
    let mut sent = register::Told::default();
    for step in told.chunks(STEP) {
        sent.add(register::append_states(&mut tx, step.to_vec(), now).await?);
    }
    let entry = Entry::by_server(now, Action::ImportAddresses).detail(json!(report));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    sent.to(&state.hub);
    Ok(report)
}

/// Takes out the rows of which a newer one came before, and gives the times of those that tell something newer.
fn pass_over(
    rows: &mut BTreeMap<String, Row>,
    known: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    rows.retain(|code, row| {
        let (held, said) = (known.get(code), row.updated_at.as_ref());
        held.zip(said).is_none_or(|(held, said)| said >= held)
    });
    let newer = rows.iter().filter_map(|(code, row)| {
        let said = row.updated_at.as_ref()?;
        (known.get(code) != Some(said)).then(|| (code.clone(), said.clone()))
    });
    newer.collect()
}

/// What must be told for the states to become what the file says.
fn compare(
    rows: BTreeMap<String, Row>,
    present: &BTreeMap<String, (ScopeId, String)>,
) -> (AddressReport, Vec<NewState>) {
    let mut report = AddressReport {
        rows: rows.len(),
        ..AddressReport::default()
    };
    let mut told = Vec::new();
    for (code, row) in rows {
        let scope = ScopeId::Area(row.area);
        let address = row.address;
        let standard = StandardAddress { code, address };
        let new = standard.state();
        match present.get(&new.key) {
            Some((held, _)) if !row.in_force => {
                report.withdrawn += 1;
                told.push((*held, standard_address::withdrawn(&standard.code)));
            }
            None if !row.in_force => {}
            Some((held, json)) if *held == scope && *json == new.json => {}
            Some((held, _)) if *held == scope => {
                report.changed += 1;
                told.push((scope, new));
            }
            Some((held, _)) => {
                report.moved += 1;
                told.push((*held, standard_address::withdrawn(&standard.code)));
                told.push((scope, new));
            }
            None => {
                report.added += 1;
                told.push((scope, new));
            }
        }
    }
    (report, told)
}

/// An area's standard addresses: those that `text` may mean, the nearest first, or all by code.
///
/// # Errors
/// A wrong area, `forbidden`, or the database fails.
pub async fn list(
    state: &AppState,
    actor: &Actor,
    query: AddressQuery,
) -> ApiResult<Page<AddressView>> {
    let area = area_code(&query.area)?;
    actor.require(Permission::ReadRegister, &area)?;
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let scope = ScopeId::Area(area).to_string();
    let mut tx = system_tx(&state.pool).await?;
    let text = query.text.unwrap_or_default();
    if text.trim().is_empty() {
        let after = paging.after::<String>()?;
        let after = after.as_deref().unwrap_or(standard_address::PREFIX);
        let rows = store::of_scope(&mut tx, &scope, after, paging.rows()).await?;
        return paging.page(
            rows,
            |(key, _)| key.clone(),
            |(key, json)| {
                let standard = StandardAddress::read(&StateEntry { key, json });
                view(standard.unwrap_or_default(), None)
            },
        );
    }
    let rows = store::of_scope(&mut tx, &scope, standard_address::PREFIX, MOST).await?;
    drop(tx);
    let states = rows.into_iter().map(|(key, json)| StateEntry { key, json });
    let states: Vec<StateEntry> = states.collect();
    let limit = usize::try_from(paging.limit()).unwrap_or_default();
    let found = standard_address::find(&states, &text, limit).into_iter();
    let items = found.map(|found| {
        let nearness = found.nearness.code().to_owned();
        view(found.standard, Some(nearness))
    });
    Ok(Page {
        items: items.collect(),
        next: None,
    })
}

fn view(standard: StandardAddress, nearness: Option<String>) -> AddressView {
    AddressView {
        code: standard.code,
        address: standard.address,
        nearness,
    }
}
