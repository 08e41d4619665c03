//! The ledger of changes.

use axum::Json;
use axum::extract::State;

use crate::domains::auth::Actor;
use crate::domains::registry::ledger::{
    self, AddressChangeView, FieldChangeView, LedgerQuery, PopulationChangeView, PopulationCounts,
};
use crate::error::ApiResult;
use crate::http::{Page, Params};
use crate::state::AppState;

/// Key fields that took other values: who, when, before and after.
#[utoipa::path(get, path = "/api/ledger/fields", tag = "registry", operation_id = "list_field_changes",
    params(LedgerQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<FieldChangeView>)))]
pub async fn list_field_changes(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<LedgerQuery>,
) -> ApiResult<Json<Page<FieldChangeView>>> {
    Ok(Json(ledger::fields(&state, &actor, query).await?))
}

/// Residents who came, were born, left, died or were cancelled, by area and period.
#[utoipa::path(get, path = "/api/ledger/population", tag = "registry", operation_id = "list_population_changes",
    params(LedgerQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<PopulationChangeView>)))]
pub async fn list_population_changes(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<LedgerQuery>,
) -> ApiResult<Json<Page<PopulationChangeView>>> {
    Ok(Json(ledger::population(&state, &actor, query).await?))
}

/// How many of each, by area.
#[utoipa::path(get, path = "/api/ledger/population/counts", tag = "registry", operation_id = "count_population_changes",
    params(LedgerQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = PopulationCounts)))]
pub async fn count_population_changes(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<LedgerQuery>,
) -> ApiResult<Json<PopulationCounts>> {
    Ok(Json(
        ledger::population_counts(&state, &actor, query).await?,
    ))
}

/// Main residences that became others: from, to, when, who, evidence.
#[utoipa::path(get, path = "/api/ledger/addresses", tag = "registry", operation_id = "list_address_changes",
    params(LedgerQuery),
    extensions(("x-access" = json!("register.read"))),
    responses((status = 200, body = Page<AddressChangeView>)))]
pub async fn list_address_changes(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<LedgerQuery>,
) -> ApiResult<Json<Page<AddressChangeView>>> {
    Ok(Json(ledger::addresses(&state, &actor, query).await?))
}
