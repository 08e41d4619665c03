//! Rows, what callers ask and what they are shown.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::FieldProblem;
use crate::register::SealedRecord;

/// A record, still sealed.
#[derive(Clone, Debug, FromRow)]
pub(super) struct RecordRow {
    #[sqlx(flatten)]
    pub(super) sealed: SealedRecord,
    /// When a visit last verified it.
    pub(super) verified_at: Option<DateTime<Utc>>,
}

/// A residence of a resident, still sealed.
#[derive(Clone, Debug, FromRow)]
pub(super) struct TieRow {
    #[sqlx(flatten)]
    pub(super) sealed: SealedRecord,
    pub(super) resident: Uuid,
    pub(super) house: Option<Uuid>,
    pub(super) house_address: Option<String>,
    pub(super) active: bool,
}

/// Which records to list; all given conditions must fit.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// What was typed: a name, its pinyin or initials, a certificate's number or its end, a phone, an address, a code.
    pub text: Option<String>,
    /// In this area and below, 12 digits.
    pub area: Option<String>,
    /// Values of fields that lists are narrowed by, such as `house_use:4,managed:claimed` or `population_kind:02`;
    /// with nothing after the colon, those without: `standard_address_code:` finds houses whose address is proposed.
    pub facets: Option<String>,
    /// `false` (if not told): those in force; `true`: those cancelled; `any`: both.
    pub cancelled: Option<String>,
    /// Not verified since this day.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub unverified_since: Option<NaiveDate>,
    /// Whether to count what fits.
    pub count: Option<bool>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of records.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecordPage {
    /// The records.
    pub items: Vec<RecordView>,
    /// Give it back as `cursor` for the next page; none at the end.
    pub next: Option<String>,
    /// How many fit, at most 10,001; only where `count` was asked.
    pub total: Option<i64>,
}

/// A record as callers see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecordView {
    /// Its id.
    pub id: Uuid,
    /// `resident`, `house` or `residence`.
    pub record_type: String,
    /// What names it to a person; masked.
    pub title: String,
    /// The area it was made in.
    pub area: String,
    /// The areas whose devices hold it.
    pub areas: Vec<String>,
    /// Whether it is cancelled.
    pub cancelled: bool,
    /// For If-Match.
    pub version: i32,
    /// When it was written last.
    pub updated_at: DateTime<Utc>,
    /// By whom.
    pub updated_by: Option<Uuid>,
    /// When it was last verified: the day registered, or of a visit that came later.
    pub last_verified: Option<NaiveDate>,
    /// Its values by key; personal ones masked.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub fields: BTreeMap<String, Value>,
    /// Where a resident lives, is registered, owns or rents; active ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub residences: Vec<TieView>,
}

/// A residence as callers see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TieView {
    /// The residence.
    pub id: Uuid,
    /// The resident.
    pub resident: Uuid,
    /// The house, where one is named.
    pub house: Option<Uuid>,
    /// The address: the house's, else as written, masked.
    pub address: String,
    /// `register`, `living`, `owning`, `renting` or `visiting`.
    pub kind: String,
    /// Its name.
    pub kind_label: String,
    /// Whether it is the main residence.
    pub main: bool,
    /// Whether it is in force.
    pub active: bool,
    /// The area it lies in.
    pub area: String,
    /// For If-Match.
    pub version: i32,
    /// From when; masked.
    pub from: Option<String>,
    /// Until when: masked as told; else the day on which it was cancelled.
    pub until: Option<String>,
    /// Why it ended.
    pub ended_because: Option<String>,
}

/// A person's file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ResidentFile {
    /// The person.
    pub resident: RecordView,
    /// Residences in force and those that ended.
    pub residences: Vec<TieView>,
    /// The people of the same house or the same household.
    pub household: Vec<HouseMember>,
    /// Guardians and linked persons that have files here.
    pub linked: Vec<LinkedPerson>,
    /// The latest visits.
    pub visits: Vec<VisitNote>,
    /// Photos by field: digests.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub photos: BTreeMap<String, Vec<String>>,
    /// How many items about the person await a decision.
    pub open_conflicts: i64,
}

/// A house's file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HouseFile {
    /// The house.
    pub house: RecordView,
    /// Who lives, is registered, owns or rents there.
    pub people: Vec<HouseMember>,
    /// How many of each class.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub classes: BTreeMap<&'static str, i64>,
    /// The latest visits.
    pub visits: Vec<VisitNote>,
    /// Photos by field: digests.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub photos: BTreeMap<String, Vec<String>>,
    /// How many items about the house await a decision.
    pub open_conflicts: i64,
}

/// Which of a house's people to show.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HouseQuery {
    /// Of this class only: `here_both`, `lives_only`, `register_only`, `owner_only`, `visitor`, or `absent`: those who
    /// are away for a while. All unless told.
    pub class: Option<String>,
}

/// A person in a house.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HouseMember {
    /// The person.
    pub resident: Uuid,
    /// Name, masked.
    pub name: String,
    /// The houses that this person shares with whom or what the file is about.
    pub houses: Vec<Uuid>,
    /// `here_both`, `lives_only`, `register_only`, `owner_only` or `visitor`; none for a member of the household elsewhere.
    pub class: Option<&'static str>,
    /// Its name.
    pub class_label: Option<String>,
    /// Kinds of residences there.
    pub kinds: Vec<String>,
    /// Whether the house is the person's main residence.
    pub main: bool,
    /// Temporarily away.
    pub away: bool,
    /// Relation to the head of the household.
    pub relation: Option<String>,
    /// Whether the household number is the same.
    pub same_household: bool,
}

/// Someone whom a file names.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct LinkedPerson {
    /// `guardians` or `linked_persons`.
    pub field: String,
    /// The person's file.
    pub resident: Uuid,
    /// Name, masked.
    pub name: String,
    /// Relation's code.
    pub relation: Option<String>,
    /// Whether that file is cancelled.
    pub cancelled: bool,
}

/// A visit in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct VisitNote {
    /// The visit.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub user: Uuid,
    /// Purpose, mode, result and what was checked, by key.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub fields: BTreeMap<String, Value>,
}

/// What to create a record from.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRecord {
    /// An id of the caller's (UUIDv7): sent again, it creates nothing twice.
    pub id: Option<Uuid>,
    /// The village it is made in, 12 digits; for a residence in a house, the house's unless told.
    pub area: Option<String>,
    /// Values by key.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub fields: BTreeMap<String, Value>,
}

/// What to change of a record; null clears a field or takes an element out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditRecord {
    /// Values by key.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub fields: BTreeMap<String, Value>,
}

/// A record after it was written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Written {
    /// As it stands now.
    pub record: RecordView,
    /// What was taken and should be looked at.
    pub warnings: Vec<FieldProblem>,
    /// How many items await a decision because of it: the same number in another file, say.
    pub conflicts_opened: usize,
}

/// Why a record is cancelled.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRecord {
    /// Code of the table `cancel_reason`.
    pub reason: String,
    /// On which day; today unless told.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub on: Option<NaiveDate>,
    /// In words.
    pub note: Option<String>,
    /// Digests of photos that show it.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// For a house: what becomes of the people in it.
    pub people: Option<PeopleOfHouse>,
}

/// What becomes of the people in a house that is cancelled.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "action", deny_unknown_fields)]
pub enum PeopleOfHouse {
    /// Their residences there end.
    End,
    /// Their residences go to another house.
    Move {
        /// Which.
        house: Uuid,
    },
}

/// Why a record is restored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRecord {
    /// In words.
    pub note: String,
}
