//! The ledger of changes as lists: key fields, population, addresses; by area, record and period.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::ids::{AreaLevel, EventId};
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::model::TieView;
use super::store::{self, AddressChangeRow, FieldChangeRow, Period, PopulationChangeRow};
use super::view::{self, Open};
use super::{history, search};
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiResult, Problems};
use crate::http::{self, Page, PageParams, area_in};
use crate::register::{self, SERVER_DEVICE};
use crate::state::AppState;

/// Which entries of the ledger to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LedgerQuery {
    /// In this area and below.
    pub area: Option<String>,
    /// Of this record.
    pub record: Option<Uuid>,
    /// Of this field (`name`), or of this kind of population change (`in`, `birth`, `out`, `death` …).
    pub what: Option<String>,
    /// From this day on (Shanghai), by when the server took it.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub from: Option<NaiveDate>,
    /// Until this day, included.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub until: Option<NaiveDate>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A key field that took another value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldChangeView {
    /// The entry.
    pub id: Uuid,
    /// The record.
    pub record: Uuid,
    /// What names it; masked.
    pub title: String,
    /// The area.
    pub area: String,
    /// The field.
    pub field: String,
    /// Its Chinese label.
    pub label: String,
    /// Before; masked.
    #[schema(value_type = serde_json::Value)]
    pub before: Value,
    /// After; masked.
    #[schema(value_type = serde_json::Value)]
    pub after: Value,
    /// Who changed it.
    pub user: Uuid,
    /// On which device; none: on the console, by a decision or from a file.
    pub device: Option<Uuid>,
    /// The device's clock then.
    pub made_at: DateTime<Utc>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
}

/// A resident who began or ceased to count in an area.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PopulationChangeView {
    /// The entry.
    pub id: i64,
    /// The resident.
    pub resident: Uuid,
    /// Name, masked; none where the file is no longer in the reader's area.
    pub name: Option<String>,
    /// The area.
    pub area: String,
    /// `in`, `birth`, `restored`, `out`, `death` or `cancelled`.
    pub kind: String,
    /// Its name.
    pub kind_label: &'static str,
    /// The residence by which the resident began to count.
    pub residence: Option<Uuid>,
    /// Where the resident went to or came from.
    pub other_area: Option<String>,
    /// Who recorded it.
    pub user: Uuid,
    /// On which device.
    pub device: Option<Uuid>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
}

/// How often each kind occurred.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct PopulationCounts {
    /// In all, by kind.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub total: BTreeMap<String, i64>,
    /// By area and kind.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, i64>>)]
    pub areas: BTreeMap<String, BTreeMap<String, i64>>,
    /// How many more there are at the end than at the beginning.
    pub growth: i64,
}

/// A main residence that became another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AddressChangeView {
    /// The entry.
    pub id: i64,
    /// The resident.
    pub resident: Uuid,
    /// The areas of both addresses.
    pub areas: Vec<String>,
    /// The main residence before; none for the first.
    pub from: Option<TieView>,
    /// The main residence after; none when there is none any more.
    pub to: Option<TieView>,
    /// Digests of photos that show the new one.
    pub evidence: Vec<String>,
    /// Who recorded it.
    pub user: Uuid,
    /// On which device.
    pub device: Option<Uuid>,
    /// The device's clock then.
    pub made_at: DateTime<Utc>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
}

pub(super) async fn fields(
    state: &AppState,
    actor: &Actor,
    query: LedgerQuery,
) -> ApiResult<Page<FieldChangeView>> {
    let (paging, period) = period(actor, query)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::field_changes(&mut tx, &period, paging.after()?).await?;
    let page = paging.page(
        rows,
        |row: &FieldChangeRow| (row.accepted_at, row.id),
        |row| row,
    )?;
    let records = records(state, &mut tx, page.items.iter().map(|row| row.record_id)).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        // A record that has since left the reader's areas is no longer the reader's to see.
        let Some(open) = records.get(&row.record_id) else {
            continue;
        };
        let declared = view::declared(&open.row.sealed.record_type)?;
        let values =
            register::field_values(&state.keys, &open.row.sealed, EventId(row.id), &row.body)
                .await?;
        items.push(FieldChangeView {
            id: row.id,
            record: row.record_id,
            title: open.view(Vec::new())?.title,
            area: row.area,
            label: declared
                .field(&row.field)
                .map_or_else(|| row.field.clone(), |field| field.label.clone()),
            before: history::masked(declared, &row.field, &values.0),
            after: history::masked(declared, &row.field, &values.1),
            field: row.field,
            user: row.user_id,
            device: device(row.device_id),
            made_at: row.made_at,
            accepted_at: row.accepted_at,
        });
    }
    Ok(Page {
        items,
        next: page.next,
    })
}

pub(super) async fn population(
    state: &AppState,
    actor: &Actor,
    query: LedgerQuery,
) -> ApiResult<Page<PopulationChangeView>> {
    let (paging, period) = period(actor, query)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::population_changes(&mut tx, &period, paging.after()?).await?;
    let page = paging.page(rows, |row: &PopulationChangeRow| row.id, |row| row)?;
    let people = records(state, &mut tx, page.items.iter().map(|row| row.resident)).await?;
    let view = |row: PopulationChangeRow| PopulationChangeView {
        id: row.id,
        name: people.get(&row.resident).map(Open::masked_name),
        resident: row.resident,
        area: row.area,
        kind_label: kind_label(&row.kind),
        kind: row.kind,
        residence: row.residence,
        other_area: row.other_area,
        user: row.user_id,
        device: device(row.device_id),
        accepted_at: row.accepted_at,
    };
    Ok(Page {
        items: page.items.into_iter().map(view).collect(),
        next: page.next,
    })
}

pub(super) async fn population_counts(
    state: &AppState,
    actor: &Actor,
    query: LedgerQuery,
) -> ApiResult<PopulationCounts> {
    let (_, period) = period(actor, query)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let mut counts = PopulationCounts::default();
    for (area, kind, count) in store::population_counts(&mut tx, &period).await? {
        let came = ["in", "birth", "restored"].contains(&kind.as_str());
        counts.growth += if came { count } else { -count };
        *counts.total.entry(kind.clone()).or_insert(0) += count;
        counts.areas.entry(area).or_default().insert(kind, count);
    }
    Ok(counts)
}

pub(super) async fn addresses(
    state: &AppState,
    actor: &Actor,
    query: LedgerQuery,
) -> ApiResult<Page<AddressChangeView>> {
    let (paging, period) = period(actor, query)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::address_changes(&mut tx, &period, paging.after()?).await?;
    let page = paging.page(rows, |row: &AddressChangeRow| row.id, |row| row)?;
    let residents: BTreeSet<Uuid> = page.items.iter().map(|row| row.resident).collect();
    let ties = store::ties(&mut tx, &residents.into_iter().collect::<Vec<_>>(), true).await?;
    let mut residences = BTreeMap::new();
    let mut evidence = BTreeMap::new();
    for tie in ties {
        let id = tie.sealed.id;
        let fields = tie.sealed.fields(&state.keys).await?;
        let digests = fields
            .keys()
            .filter_map(|key| key.strip_prefix("evidence/").map(str::to_owned));
        evidence.insert(id, digests.collect::<Vec<_>>());
        residences.insert(id, view::tie(state, tie).await?);
    }
    let named = |id: Option<Uuid>| id.and_then(|id| residences.get(&id).cloned());
    let view = |row: AddressChangeRow| AddressChangeView {
        id: row.id,
        resident: row.resident,
        areas: row.areas,
        from: named(row.from_residence),
        to: named(row.to_residence),
        evidence: row
            .to_residence
            .and_then(|id| evidence.get(&id).cloned())
            .unwrap_or_default(),
        user: row.user_id,
        device: device(row.device_id),
        made_at: row.made_at,
        accepted_at: row.accepted_at,
    };
    Ok(Page {
        items: page.items.into_iter().map(view).collect(),
        next: page.next,
    })
}

/// The records of a page that the reader may see, opened.
async fn records(
    state: &AppState,
    tx: &mut PgConnection,
    ids: impl Iterator<Item = Uuid>,
) -> ApiResult<BTreeMap<Uuid, Open>> {
    let ids: BTreeSet<Uuid> = ids.collect();
    let rows = store::records(tx, &ids.into_iter().collect::<Vec<_>>()).await?;
    let open = Open::all(state, rows).await?;
    Ok(open
        .into_iter()
        .map(|open| (open.row.sealed.id, open))
        .collect())
}

fn period(actor: &Actor, query: LedgerQuery) -> ApiResult<(PageParams, Period)> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    let (from, until) = http::period(&mut problems, query.from, query.until);
    problems.finish()?;
    search::areas(actor, area)?;
    if let Some(record) = query.record {
        actor.trail.note_subject("record", record);
    }
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let period = Period {
        area: area
            .filter(|area| area.level() != AreaLevel::City)
            .map(|area| area.prefix().to_owned()),
        record: query.record,
        what: query.what,
        from,
        until,
        rows: paging.rows(),
    };
    Ok((paging, period))
}

fn device(id: Uuid) -> Option<Uuid> {
    (id != SERVER_DEVICE.0).then_some(id)
}

fn kind_label(kind: &str) -> &'static str {
    match kind {
        "in" => "迁入",
        "birth" => "出生",
        "restored" => "恢复",
        "out" => "迁出",
        "death" => "死亡",
        "cancelled" => "注销",
        _ => "其他",
    }
}
