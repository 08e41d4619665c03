//! What goes in and out where one rule decides many items.

use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use utoipa::ToSchema;

use super::decisions::DecidedTell;
use super::model::Shown;

/// A rule that decides many items of one field.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum BulkRule {
    /// The value that the server took last. The clocks of phones have no part in it.
    Newest,
    /// The value that this device made.
    Device {
        /// The device.
        device: Uuid,
    },
    /// Values that are equal once normalised; items with values that really differ are left.
    EqualNormalised,
}

/// Decides many items by one rule.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct BulkDecide {
    /// In this area and below.
    pub area: String,
    /// Of this kind: `field`.
    pub kind: String,
    /// Of this field.
    pub field: String,
    /// The rule.
    #[serde(flatten)]
    pub rule: BulkRule,
    /// Only say what would be decided, and whom that would tell.
    #[serde(default)]
    pub dry_run: bool,
    /// What the look before answered and is to be decided: needed unless `dry_run`. Nothing else is decided, and of these
    /// none that is not as it was then.
    pub items: Option<Vec<BulkChosen>>,
    /// Items of a look at most; 200 unless told.
    pub limit: Option<u32>,
    /// Why; kept with each decision.
    pub note: Option<String>,
}

/// An item as a look at a rule showed it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkChosen {
    /// The item.
    pub id: Uuid,
    /// Its version then.
    pub version: i32,
    /// The number of the value that the rule takes.
    pub choice: usize,
}

/// What the rule comes to for one item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkItem {
    /// The item.
    pub id: Uuid,
    /// Its version, as it was looked at.
    pub version: i32,
    /// What names the record, masked.
    pub title: String,
    /// `decided`, `would_decide`, `no_match` (the rule says nothing about it), `stale` (it is not as the look showed it),
    /// or another error's code.
    pub result: String,
    /// What to do, where it was not decided.
    pub message: Option<String>,
    /// The number of the value taken.
    pub choice: Option<usize>,
    /// That value.
    pub value: Option<Shown>,
    /// Whom deciding it tells what.
    pub tells: Vec<DecidedTell>,
}

/// How many of the items tell someone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkTell {
    /// The user.
    pub user: Uuid,
    /// Their name.
    pub user_name: Option<String>,
    /// Messages.
    pub items: usize,
}

/// What a rule did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkDone {
    /// Whether this was only a look.
    pub dry_run: bool,
    /// How many were, or would be, decided.
    pub decided: usize,
    /// Each item.
    pub items: Vec<BulkItem>,
    /// Whom all of them together tell: who hears most first.
    pub tells: Vec<BulkTell>,
    /// More items fit than the limit allowed.
    pub more: bool,
}
