//! Rows, what callers ask and what they are shown.

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ConflictId};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::{ApiError, ApiResult};

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 主要居住地核查: whether a resident's main residence is where it is claimed to be.
    MainResidence,
    /// 户主核查: who is head of a household whose head left it.
    HouseholdHead,
    /// 监护人核查: who is guardian, where the guardian's file ended.
    Guardian,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::MainResidence, Self::HouseholdHead, Self::Guardian];

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::MainResidence => "main_residence",
            Self::HouseholdHead => "household_head",
            Self::Guardian => "guardian",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::MainResidence => "主要居住地核查",
            Self::HouseholdHead => "户主变更核查",
            Self::Guardian => "监护人变更核查",
        }
    }

    pub(super) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// What is asked of those responsible.
    pub(super) fn question(self) -> &'static str {
        match self {
            Self::MainResidence => {
                "有一位居民的主要居住地被认领到另一处。请上门核查您负责的地址：变更属实请确认，仍住在原处请否认，无法核实请退回并写明原因。"
            }
            Self::HouseholdHead => {
                "这一户的户主已注销、迁出或不再是户主。请核实新户主和各成员与户主的关系，更新档案后确认；情况不属实请否认。"
            }
            Self::Guardian => {
                "这位居民的监护人档案已注销。请核实现在由谁监护，更新档案后确认；情况不属实请否认。"
            }
        }
    }
}

/// A check.
#[derive(Clone, Debug, FromRow)]
pub(super) struct CheckRow {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) area_code: String,
    pub(super) resident: Uuid,
    pub(super) residence: Option<Uuid>,
    pub(super) conflict_id: Option<Uuid>,
    pub(super) other: Option<Uuid>,
    pub(super) status: String,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) due_at: DateTime<Utc>,
    pub(super) escalated_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) answered_by: Option<Uuid>,
}

impl CheckRow {
    pub(super) fn area(&self) -> ApiResult<AreaCode> {
        self.area_code.parse().map_err(ApiError::internal)
    }

    pub(super) fn kind(&self) -> ApiResult<Kind> {
        Kind::from_code(&self.kind)
            .ok_or_else(|| ApiError::internal(anyhow::anyhow!("no kind of check {}", self.kind)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.status == "open"
    }

    pub(super) fn item(&self) -> Option<ConflictId> {
        self.conflict_id.map(ConflictId)
    }
}

/// What an open check is about.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct OpenCheck {
    /// The check.
    pub id: Uuid,
    /// Whom.
    pub resident: Uuid,
    /// Which of that person's residences, for a main residence.
    pub residence: Option<Uuid>,
    /// Until when it is to be answered.
    pub due_at: DateTime<Utc>,
}

/// Which checks to list; all given conditions must fit.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CheckQuery {
    /// In this area and below.
    pub area: Option<String>,
    /// Of this resident.
    pub resident: Option<Uuid>,
    /// `main_residence`, `household_head` or `guardian`.
    pub kind: Option<String>,
    /// `open` (if not told), `confirmed`, `denied`, `returned`, `closed` or `any`.
    pub status: Option<String>,
    /// Only those that were due before now.
    #[serde(default)]
    pub overdue: bool,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A check as callers see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckView {
    /// The check.
    pub id: Uuid,
    /// `main_residence`, `household_head` or `guardian`.
    pub kind: String,
    /// Its name.
    pub kind_label: &'static str,
    /// What is asked.
    pub question: &'static str,
    /// Whose collectors are asked.
    pub area: String,
    /// The resident whose file it is about.
    pub resident: Uuid,
    /// The residence that lies there, for a main residence.
    pub residence: Option<Uuid>,
    /// The claim in the conflict queue, for a main residence.
    pub conflict: Option<Uuid>,
    /// The former head or the guardian.
    pub other: Option<Uuid>,
    /// `open`, `confirmed`, `denied`, `returned`, or `closed`: settled without an answer.
    pub status: String,
    /// When it was asked.
    pub opened_at: DateTime<Utc>,
    /// Until when.
    pub due_at: DateTime<Utc>,
    /// Whether it was not answered in time.
    pub overdue: bool,
    /// When supervisors were told of that.
    pub escalated_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who answered.
    pub answered_by: Option<Uuid>,
    /// That person's name.
    pub answered_by_name: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerCheck {
    /// Code of the table `check_answer`: `01` confirmed, `02` denied, `03` returned.
    pub answer: String,
    /// In words; needed when it is returned.
    pub note: Option<String>,
    /// Digests of photos that show it.
    #[serde(default)]
    pub photos: Vec<String>,
}
