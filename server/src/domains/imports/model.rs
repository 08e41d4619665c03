//! What goes in and out of imports.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ImportId, RecordId};
use doorstep_core::records::Severity;
use doorstep_core::records::import_map::{HeadProblem, RowProblem};
use doorstep_core::value::Fields;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::types::{Json, Uuid};
use utoipa::{IntoParams, ToSchema};

use crate::domains::registry::service::Purpose;
use crate::keys::WrappedKey;

/// An import's columns.
#[derive(Clone, Debug, FromRow)]
pub(super) struct ImportRow {
    pub(super) id: Uuid,
    pub(super) record_type: String,
    #[sqlx(flatten)]
    pub(super) wrapped: WrappedKey,
    pub(super) status: String,
    pub(super) rows: i32,
    pub(super) at_row: i32,
    pub(super) counts: Json<Counts>,
    pub(super) options: Json<Options>,
    pub(super) digest: Vec<u8>,
    pub(super) failure: Option<String>,
    pub(super) created_by: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) version: i32,
    pub(super) meta: Vec<u8>,
}

impl ImportRow {
    pub(super) fn id(&self) -> ImportId {
        ImportId(self.id)
    }

    pub(super) fn area(&self) -> AreaCode {
        self.wrapped.area
    }

    /// The step that failed, by what [`Step::failure`] left.
    pub(super) fn failed_step(&self) -> Option<Step> {
        let (status, _) = self.failure.as_deref()?.split_once(':')?;
        Step::of(status)
    }
}

/// What the work on an import is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The dry run.
    Check,
    /// The writing.
    Run,
    /// Taking back what was written.
    Undo,
}

impl Step {
    /// By the status of an import that is at it.
    pub(super) fn of(status: &str) -> Option<Self> {
        match status {
            "checking" => Some(Self::Check),
            "running" => Some(Self::Run),
            "undoing" => Some(Self::Undo),
            _ => None,
        }
    }

    /// The status of an import that is at it.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Check => "checking",
            Self::Run => "running",
            Self::Undo => "undoing",
        }
    }

    /// What is kept of its failing.
    pub(super) fn failure(self, code: &str) -> String {
        format!("{}: {code}", self.status())
    }
}

/// How many rows came to what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(default)]
pub struct Counts {
    /// Not in the register.
    pub new: i64,
    /// In the register as the file says.
    pub unchanged: i64,
    /// In the register, with other values.
    pub changed: i64,
    /// Likely the same as another record, or the same as an earlier row.
    pub duplicate: i64,
    /// Can't be taken.
    pub error: i64,
    /// Rows with something to look at, of any verdict.
    pub warnings: i64,
    /// Rows that were written.
    pub written: i64,
    /// Rows that were taken back.
    pub undone: i64,
    /// Rows that were not taken back, since someone edited them after.
    pub kept: i64,
}

/// What to do with a row that is likely the same as another record.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Take it, and let a supervisor decide whether the two are one.
    #[default]
    Create,
    /// Leave it out.
    Skip,
}

/// What the import is to do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Options {
    pub(super) duplicates: Duplicates,
}

/// The file's name and heads, sealed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Meta {
    pub(super) file_name: String,
    pub(super) heads: Vec<String>,
    pub(super) problems: Vec<HeadProblemView>,
}

/// A row's cells and all that is known of it, sealed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct RowBody {
    pub(super) cells: Vec<String>,
    pub(super) problems: Vec<RowProblemView>,
    /// Fields that differ from the register.
    pub(super) changed: Vec<String>,
    pub(super) writes: Vec<Written>,
}

/// What a row wrote to one record.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Written {
    pub(super) record: RecordId,
    pub(super) record_type: String,
    /// The row made the record.
    pub(super) created: bool,
    pub(super) before: Fields,
    pub(super) after: Fields,
}

/// A row's columns.
#[derive(Clone, Debug, FromRow)]
pub(super) struct RowRow {
    pub(super) row: i32,
    pub(super) verdict: String,
    pub(super) warnings: i32,
    pub(super) state: String,
    pub(super) record_id: Option<Uuid>,
    pub(super) duplicate_of: Option<Uuid>,
    pub(super) duplicate_row: Option<i32>,
    pub(super) body: Vec<u8>,
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not looked at yet.
    #[default]
    Waiting,
    /// Not in the register.
    New,
    /// In the register as the file says.
    Unchanged,
    /// In the register, with other values.
    Changed,
    /// Likely the same as another record, or the same as an earlier row.
    Duplicate,
    /// Can't be taken.
    Error,
}

impl Verdict {
    const ALL: [Self; 6] = [
        Self::Waiting,
        Self::New,
        Self::Unchanged,
        Self::Changed,
        Self::Duplicate,
        Self::Error,
    ];

    /// Its code.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::New => "new",
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Duplicate => "duplicate",
            Self::Error => "error",
        }
    }

    /// Its name.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Waiting => "待核对",
            Self::New => "新增",
            Self::Unchanged => "无变化",
            Self::Changed => "有变化",
            Self::Duplicate => "疑似重复",
            Self::Error => "有错误",
        }
    }

    /// From its code.
    pub(super) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.code() == code)
    }
}

/// How to bring a file in.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// `resident` or `house`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The area whose register this is, 12 digits.
    pub area: String,
    /// The file's name, for showing.
    pub name: Option<String>,
    /// `create` (unless told) or `skip`: what to do with likely duplicates.
    #[serde(default)]
    #[param(inline)]
    pub duplicates: Duplicates,
    /// `check` or `run`: go on at once. Without it the file waits for a look at its heads.
    pub then: Option<String>,
}

/// Which imports to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Of this area and below.
    pub area: Option<String>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which rows to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RowQuery {
    /// With this verdict.
    pub verdict: Option<String>,
    /// Only rows with something to look at.
    pub warnings: Option<bool>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// What a template is for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TemplateQuery {
    /// `resident` or `house`.
    #[serde(rename = "type")]
    pub record_type: String,
}

/// Which rows of the result to give.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultQuery {
    /// With this verdict; all, unless told.
    pub verdict: Option<String>,
    /// Why, of a file that someone else brought in: `verification`, `service`, `correction`, `emergency` or
    /// `investigation`. It is written to the audit log.
    #[param(inline)]
    pub purpose: Option<Purpose>,
}

/// A field that a column may go to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImportField {
    /// Its name, as `PUT …/mapping` takes it.
    pub field: String,
    /// Its head in the template.
    pub label: String,
    /// A file without it can't be taken in.
    pub required: bool,
}

/// Which columns go to which fields.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMapping {
    /// Columns to change.
    pub columns: Vec<ColumnField>,
}

/// Where a column goes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnField {
    /// The column, from 1.
    pub column: usize,
    /// The field's name; `null`: leave the column out.
    pub field: Option<String>,
}

/// An import.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImportView {
    /// The import.
    pub id: Uuid,
    /// `resident` or `house`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The area whose register this is.
    #[schema(value_type = String)]
    pub area: AreaCode,
    /// The file's name.
    pub file_name: String,
    /// `uploaded`, `checking`, `checked`, `running`, `done`, `undoing`, `undone`, `failed`.
    pub status: String,
    /// Rows in the file, without the heads.
    pub rows: i32,
    /// How much of the present step is done, 0 to 100.
    pub percent: i32,
    /// How many rows came to what.
    pub counts: Counts,
    /// Where each column goes.
    pub columns: Vec<ColumnView>,
    /// What is to be said about the heads.
    pub problems: Vec<HeadProblemView>,
    /// An earlier import of the very same file.
    pub same_as: Option<Uuid>,
    /// The step that failed, and the error's code.
    pub failure: Option<String>,
    /// The step that failed: what can be begun again.
    pub failed_step: Option<Step>,
    /// Who brought it in.
    pub created_by: Uuid,
    /// That person's name.
    pub created_by_name: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When the last step ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// For If-Match.
    pub version: i32,
}

/// A column of the file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ColumnView {
    /// The column, from 1.
    pub column: usize,
    /// Its head.
    pub head: String,
    /// The field it goes to; none: it is left out.
    pub field: Option<String>,
    /// That field's label.
    pub label: Option<String>,
}

/// What is to be said about a head.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct HeadProblemView {
    /// The column, from 1; none for one that isn't there.
    pub column: Option<usize>,
    /// The head.
    pub head: String,
    /// Stable code.
    pub code: String,
    /// What to do.
    pub message: String,
    /// `error` or `warning`.
    pub severity: String,
}

impl From<&HeadProblem> for HeadProblemView {
    fn from(problem: &HeadProblem) -> Self {
        Self {
            column: problem.column.map(|column| column + 1),
            head: problem.head.clone(),
            code: problem.code.to_owned(),
            message: problem.message.clone(),
            severity: severity(problem.severity).to_owned(),
        }
    }
}

/// Something about a row.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct RowProblemView {
    /// The column, from 1; none where the file has none for it.
    pub column: Option<usize>,
    /// Its head, or the field's label.
    pub head: String,
    /// The field.
    pub path: String,
    /// Stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
    /// `error` or `warning`.
    pub severity: String,
}

impl From<&RowProblem> for RowProblemView {
    fn from(problem: &RowProblem) -> Self {
        Self {
            column: problem.column.map(|column| column + 1),
            head: problem.head.clone(),
            path: problem.path.clone(),
            code: problem.code.clone().into_owned(),
            message: problem.message.clone(),
            severity: severity(problem.severity).to_owned(),
        }
    }
}

impl RowProblemView {
    /// About the row as a whole.
    pub(super) fn of_row(code: &str, message: impl Into<String>, severity_: Severity) -> Self {
        Self {
            column: None,
            head: String::new(),
            path: String::new(),
            code: code.to_owned(),
            message: message.into(),
            severity: severity(severity_).to_owned(),
        }
    }

    /// Whether it keeps the row out.
    pub(super) fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A row with its verdict.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowView {
    /// The row's number in the file; heads are row 1.
    pub row: i32,
    /// What it comes to.
    pub verdict: Verdict,
    /// In words.
    pub verdict_label: &'static str,
    /// `waiting`, `done`, `undone`, `kept`.
    pub state: String,
    /// The record it is or became.
    pub record: Option<Uuid>,
    /// The record that is likely the same.
    pub duplicate_of: Option<Uuid>,
    /// The earlier row that says the same.
    pub duplicate_row: Option<i32>,
    /// Labels of the fields that differ from the register.
    pub changed: Vec<String>,
    /// What is to be said about it, by column.
    pub problems: Vec<RowProblemView>,
}
