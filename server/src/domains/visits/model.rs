//! Rows, what callers ask and what they are shown.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::place::Place;

/// A visit, still sealed.
#[derive(Clone, Debug, FromRow)]
pub(super) struct VisitRow {
    pub(super) id: Uuid,
    pub(super) area: String,
    pub(super) user_id: Uuid,
    pub(super) device_id: Uuid,
    pub(super) happened_at: DateTime<Utc>,
    pub(super) accepted_at: DateTime<Utc>,
}

/// Which visits to list; all given conditions must fit.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VisitQuery {
    /// In this area and below.
    pub area: Option<String>,
    /// Of this person or house.
    pub record: Option<Uuid>,
    /// By this collector.
    pub user: Option<Uuid>,
    /// From this day on (Shanghai), by when it happened.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub from: Option<NaiveDate>,
    /// Until this day, included.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub until: Option<NaiveDate>,
    /// Code of the table `visit_purpose`.
    pub purpose: Option<String>,
    /// Code of the table `visit_mode`.
    pub mode: Option<String>,
    /// Code of the table `visit_result`.
    pub result: Option<String>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A visit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VisitView {
    /// The visit.
    pub id: Uuid,
    /// The area.
    pub area: String,
    /// Who went.
    pub user: Uuid,
    /// That person's name.
    pub user_name: String,
    /// On which device it was recorded.
    pub device: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
    /// Where it was made, by the phone's location and what is registered of the area's houses.
    pub place: Place,
    /// What it says by key; personal values masked.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub fields: BTreeMap<String, Value>,
}

/// How many visits, and what of the register they verified.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct VisitCounts {
    /// In all.
    pub visits: i64,
    /// By purpose's code.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub purposes: BTreeMap<String, i64>,
    /// By result's code.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub results: BTreeMap<String, i64>,
    /// By collector.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub collectors: BTreeMap<String, i64>,
    /// People and houses that a visit of the period verified.
    pub verified: i64,
}

/// A planned visit that is due, before names are read.
#[derive(Clone, Debug, FromRow)]
pub(super) struct DueRow {
    pub(super) record: Uuid,
    pub(super) record_type: String,
    pub(super) area: String,
    pub(super) due_on: NaiveDate,
    pub(super) last_visit: Uuid,
    pub(super) last_at: DateTime<Utc>,
    pub(super) user: Uuid,
}

/// A visit that was planned for a day and not made since.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DueVisit {
    /// The person or house.
    pub record: Uuid,
    /// `resident` or `house`.
    pub record_type: String,
    /// What names it, masked.
    pub title: String,
    /// The area.
    pub area: String,
    /// The day that was planned.
    pub due_on: NaiveDate,
    /// The visit on which it was planned.
    pub last_visit: Uuid,
    /// When that was.
    pub last_at: DateTime<Utc>,
    /// Who went then, and goes again.
    pub user: Uuid,
    /// That person's name.
    pub user_name: String,
}

/// Which planned visits to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DueQuery {
    /// In this area and below.
    pub area: Option<String>,
    /// Planned for this day or before; today unless told.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub by: Option<NaiveDate>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}
