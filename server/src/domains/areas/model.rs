//! Areas as rows and as callers see them.

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::ids::{AreaCode, AreaLevel};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// An area of the city.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct Area {
    /// 12-digit statistical code.
    #[schema(value_type = String)]
    pub code: AreaCode,
    /// Name.
    pub name: String,
    /// City, district, street or village.
    #[schema(value_type = String)]
    pub level: AreaLevel,
    /// The area it lies in; none for the city.
    #[schema(value_type = Option<String>)]
    pub parent: Option<AreaCode>,
    /// The version that gave it its present content.
    pub changed_in: i32,
    /// The version that retired it.
    pub retired_in: Option<i32>,
}

#[derive(Clone, Debug, FromRow)]
pub(super) struct AreaRow {
    #[sqlx(try_from = "String")]
    pub(super) code: AreaCode,
    pub(super) name: String,
    pub(super) parent: Option<String>,
    pub(super) changed_in: i32,
    pub(super) retired_in: Option<i32>,
}

impl From<AreaRow> for Area {
    fn from(row: AreaRow) -> Self {
        Self {
            code: row.code,
            name: row.name,
            level: row.code.level(),
            parent: row.parent.and_then(|parent| parent.parse().ok()),
            changed_in: row.changed_in,
            retired_in: row.retired_in,
        }
    }
}

/// A version of the tree.
#[derive(Clone, Debug, FromRow, Serialize, ToSchema)]
pub struct AreaVersion {
    /// Its number, from 1.
    pub version: i32,
    /// The day from which it holds.
    pub effective_on: NaiveDate,
    /// What it is about.
    pub note: String,
    /// When it was brought in.
    pub created_at: DateTime<Utc>,
    /// By whom; none: the command line.
    pub created_by: Option<Uuid>,
    /// Areas that it changed.
    pub changes: i64,
}

/// What happened to an area between two versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ChangeKind {
    /// 新设
    Added,
    /// 更名
    Renamed,
    /// 改变隶属
    Moved,
    /// 撤销
    Retired,
    /// 恢复
    Restored,
}

impl ChangeKind {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Retired => "retired",
            Self::Restored => "restored",
        }
    }
}

/// One area's change. After several versions: from what it was before the first to what it is after the last.
#[derive(Clone, Debug, Eq, PartialEq, FromRow, Serialize, ToSchema)]
pub struct AreaChange {
    /// The area.
    pub code: String,
    /// What happened last.
    pub kind: String,
    /// Name before; none: it was not there.
    pub name_before: Option<String>,
    /// Name after; none: it is retired.
    pub name_after: Option<String>,
    /// Parent before.
    pub parent_before: Option<String>,
    /// Parent after.
    pub parent_after: Option<String>,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, ToSchema)]
pub struct ImportReport {
    /// Rows read.
    pub rows: usize,
    /// The new version; none when nothing changed or nothing was written.
    pub version: Option<i32>,
    /// New areas.
    pub added: usize,
    /// Areas with another name.
    pub renamed: usize,
    /// Areas in another parent.
    pub moved: usize,
    /// Areas that the file has no more.
    pub retired: usize,
    /// Retired areas that the file has again.
    pub restored: usize,
}

/// How to import.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// The day from which the version holds; today unless told.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub effective_on: Option<NaiveDate>,
    /// What it is about.
    #[serde(default)]
    pub note: String,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which areas to list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AreaQuery {
    /// Children of this area.
    pub parent: Option<String>,
    /// Part of a name, or beginning of a code.
    pub text: Option<String>,
    /// Retired ones too.
    #[serde(default)]
    pub retired: bool,
    /// Changed after this version only: for a copy that is to be brought up to date. Retired ones are in it.
    pub since: Option<i32>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Between which versions.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// The earlier version; 0 is before the first.
    pub from: i32,
    /// The later version.
    pub to: i32,
}

/// An area with those it lies in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AreaDetail {
    /// The area.
    #[serde(flatten)]
    pub area: Area,
    /// Those it lies in, the city first.
    pub path: Vec<Area>,
    /// How many lie directly in it.
    pub children: i64,
}
