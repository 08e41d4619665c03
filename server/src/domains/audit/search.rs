//! What the log is searched for, and how an entry is shown.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use doorstep_core::ids::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::actions::Action;
use super::chain::EntryRow;
use super::service;
use super::store::Filter;
use crate::error::{ApiResult, Problems};
use crate::http::PageParams;

/// An entry of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntryView {
    /// Its number; gap-free.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who; none for the server itself or a user not known.
    pub user: Option<Uuid>,
    /// That person's name.
    pub user_name: Option<String>,
    /// On which device.
    pub device: Option<Uuid>,
    /// What, by its code: `actions` of the declarations.
    pub action: String,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// Which area it concerns.
    pub area: Option<String>,
    /// What it was done to.
    pub subject_kind: Option<String>,
    /// Its id.
    pub subject_id: Option<String>,
    /// That user's name, when it was done to one.
    pub subject_name: Option<String>,
    /// More about it.
    pub detail: serde_json::Value,
    /// Names the request in the server's log.
    pub request_id: String,
    /// From which address.
    pub address: Option<String>,
    /// SM3 of the entry and the one before, hexadecimal.
    pub hash: String,
}

impl AuditEntryView {
    pub(super) fn new(row: EntryRow, names: &HashMap<UserId, String>) -> Self {
        Self {
            seq: row.seq,
            at: row.at,
            subject_name: row.subject_user().and_then(|id| names.get(&id).cloned()),
            user: row.user_id,
            user_name: row.user_id.and_then(|id| names.get(&UserId(id)).cloned()),
            device: row.device_id,
            action: row.action,
            outcome: row.outcome,
            area: row.area_code,
            subject_kind: row.subject_kind,
            subject_id: row.subject_id,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
            request_id: row.request_id,
            address: row.address,
            hash: hex::encode(row.hash),
        }
    }
}

/// What to look for; all given ones must fit.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// By this user.
    pub user: Option<Uuid>,
    /// What was done, by its code: `actions` of the declarations.
    pub action: Option<String>,
    /// Only what changes something, whether it was done or not: neither looking nor signing in does.
    #[serde(default)]
    pub changes: bool,
    /// `done`, `refused` or `failed`.
    pub outcome: Option<String>,
    /// Id of what it was done to.
    pub subject: Option<String>,
    /// Not before (RFC 3339).
    pub from: Option<String>,
    /// Before (RFC 3339).
    pub until: Option<String>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl AuditQuery {
    pub(super) fn paging(&self) -> PageParams {
        PageParams {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
    }

    /// The codes that fit, where not any does.
    fn actions(&self) -> Option<Vec<String>> {
        let asked = |code: &str| self.action.as_ref().is_none_or(|asked| asked == code);
        if !self.changes {
            return self.action.clone().map(|code| vec![code]);
        }
        let changing = Action::ALL.iter().filter(|action| action.changes());
        let codes = changing.map(|action| action.code().to_owned());
        Some(codes.filter(|code| asked(code)).collect())
    }

    pub(super) fn filter(self, before: Option<i64>, rows: i64) -> ApiResult<Filter> {
        let mut problems = Problems::default();
        let mut time = |path: &str, text: &Option<String>| {
            let at = text.as_deref().and_then(service::instant);
            problems.require(
                text.is_some() == at.is_some(),
                path,
                "time",
                "时间格式应为 2026-11-24T09:00:00+08:00",
            );
            at
        };
        let (from, until) = (time("from", &self.from), time("until", &self.until));
        problems.finish()?;
        let actions = self.actions();
        let Self {
            user,
            outcome,
            subject,
            ..
        } = self;
        Ok(Filter {
            user,
            actions,
            outcome,
            subject,
            from,
            until,
            before,
            rows,
        })
    }
}
