//! The audit log over HTTP, for auditors.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use doorstep_core::ids::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::actions::Action;
use super::chain::{Checker, EntryRow, Verdict};
use super::service;
use super::store::Filter;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::{Page, PageParams, Params};
use crate::state::AppState;

/// Entries in one export at most.
const EXPORT_LIMIT: i64 = 100_000;
/// Says on an export that older entries were left out, and after how many it was cut.
const CUT_AFTER: HeaderName = HeaderName::from_static("doorstep-cut-after");

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
    fn new(row: EntryRow, names: &HashMap<UserId, String>) -> Self {
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
    fn paging(&self) -> PageParams {
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

    fn filter(self, before: Option<i64>, rows: i64) -> ApiResult<Filter> {
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

/// Entries of the auditor's areas, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", operation_id = "search_audit", params(AuditQuery),
    extensions(("x-access" = json!("audit.read"))),
    responses((status = 200, body = Page<AuditEntryView>)))]
pub async fn search_audit(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<AuditQuery>,
) -> ApiResult<Json<Page<AuditEntryView>>> {
    let paging = query.paging();
    let filter = query.filter(paging.after()?, paging.rows())?;
    let rows = service::search(&state, &actor, &filter).await?;
    let names = service::names(&state, &rows).await?;
    let view = |row| AuditEntryView::new(row, &names);
    Ok(Json(paging.page(rows, |row| row.seq, view)?))
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// CSV, UTF-8 with a byte order mark.
    #[default]
    Csv,
    /// An entry a line, as JSON.
    Lines,
}

/// The form of an export.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `csv` (unless told) or `lines`: JSON, an entry a line.
    #[serde(default)]
    #[param(inline)]
    pub form: ExportForm,
}

/// The same as a file, up to 100,000 entries: CSV, or JSON lines. Where there are more, the header `doorstep-cut-after`
/// says so; the rest is found by an earlier `until`.
#[utoipa::path(get, path = "/api/audit/export", tag = "audit", operation_id = "export_audit",
    params(AuditQuery, ExportQuery),
    extensions(("x-access" = json!("audit.read"))),
    responses((status = 200, description = "CSV, UTF-8 with a byte order mark; or JSON lines",
        headers(("doorstep-cut-after" = i64, description = "How many entries there are here, when older ones that fit \
            were left out; absent from a whole export.")),
        content((String = "text/csv"), (String = "application/x-ndjson")))))]
pub async fn export_audit(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<AuditQuery>,
    Params(export): Params<ExportQuery>,
) -> ApiResult<Response> {
    // One more than is given tells whether there are more.
    let filter = query.filter(None, EXPORT_LIMIT + 1)?;
    let mut rows = service::search(&state, &actor, &filter).await?;
    let cut = cut(&mut rows, EXPORT_LIMIT);
    actor
        .trail
        .note_detail(serde_json::json!({ "entries": rows.len() }));
    let mut file = match export.form {
        ExportForm::Csv => csv_file(rows)?,
        ExportForm::Lines => {
            let names = service::names(&state, &rows).await?;
            lines_file(rows, &names)?
        }
    };
    if cut {
        let after = HeaderValue::from(EXPORT_LIMIT);
        file.headers_mut().insert(CUT_AFTER, after);
    }
    Ok(file)
}

/// Leaves `limit` rows; tells whether there were more.
fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

fn lines_file(rows: Vec<EntryRow>, names: &HashMap<UserId, String>) -> ApiResult<Response> {
    let mut bytes = Vec::new();
    for row in rows {
        let view = AuditEntryView::new(row, names);
        serde_json::to_writer(&mut bytes, &view).map_err(ApiError::internal)?;
        bytes.push(b'\n');
    }
    Ok(attachment("application/x-ndjson", "audit.jsonl", bytes))
}

fn attachment(media_type: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, bytes).into_response()
}

fn csv_file(rows: Vec<EntryRow>) -> ApiResult<Response> {
    // Spreadsheets need the mark to read Chinese right.
    let mut file = csv::Writer::from_writer(vec![0xEF, 0xBB, 0xBF]);
    let heads = [
        "序号",
        "时间",
        "用户",
        "设备",
        "操作",
        "操作代码",
        "结果",
        "区划",
        "对象类型",
        "对象",
        "说明",
        "请求编号",
        "来源地址",
        "摘要",
    ];
    file.write_record(heads).map_err(ApiError::internal)?;
    for row in rows {
        let text = |value: Option<String>| value.unwrap_or_default();
        let action: Result<Action, _> = row.action.parse();
        let label = action.map_or_else(|_| row.action.clone(), |action| action.label().to_owned());
        file.write_record([
            row.seq.to_string(),
            row.at.to_rfc3339(),
            text(row.user_id.map(|id| id.to_string())),
            text(row.device_id.map(|id| id.to_string())),
            label,
            row.action,
            row.outcome,
            text(row.area_code),
            text(row.subject_kind),
            text(row.subject_id),
            row.detail,
            row.request_id,
            text(row.address),
            hex::encode(row.hash),
        ])
        .map_err(ApiError::internal)?;
    }
    let bytes = file
        .into_inner()
        .map_err(|error| ApiError::internal(anyhow::anyhow!("{error}")))?;
    Ok(attachment("text/csv; charset=utf-8", "audit.csv", bytes))
}

/// Which part of the log to check.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VerifyQuery {
    /// Goes on after this entry (a former answer's `entries`)…
    pub after: Option<i64>,
    /// …whose hash was this (its `hash`).
    pub hash: Option<String>,
    /// Checks about so many entries; all that are left, unless told.
    pub most: Option<u32>,
}

/// Checks the log; names the first altered, missing or reordered entry. A long log is checked in steps: each goes on
/// from the answer before, until `entries` reaches `head`; the last also checks the signed heads.
#[utoipa::path(get, path = "/api/audit/verify", tag = "audit", operation_id = "verify_audit", params(VerifyQuery),
    extensions(("x-access" = json!("audit.read"))),
    responses((status = 200, body = Verdict)))]
pub async fn verify_audit(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<VerifyQuery>,
) -> ApiResult<Json<Verdict>> {
    service::require_whole_city(&actor)?;
    let hash = query.hash.as_deref().map(hex::decode);
    let checker = match (query.after, hash) {
        (None, None) => Checker::default(),
        (Some(after @ 1..), Some(Ok(hash))) if hash.len() == 32 => Checker::after(after, hash),
        _ => {
            return Err(ApiError::field(
                "after",
                "wrong_step",
                "请从头重新核验：上一步的序号和摘要要一起给出",
            ));
        }
    };
    let most = query.most.map_or(i64::MAX, |most| i64::from(most.max(1)));
    Ok(Json(service::verify_step(&state, checker, most).await?))
}

/// A signed head of the log. Keep it elsewhere: who rewrites the log can't rewrite it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignatureView {
    /// The entry that was the last.
    pub seq: i64,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// When it was signed.
    pub signed_at: DateTime<Utc>,
    /// The server's SM2 key, base64 (65 bytes).
    pub public_key: String,
    /// SM2 signature, base64 (64 bytes).
    pub signature: String,
}

/// Every signed head, oldest first.
#[utoipa::path(get, path = "/api/audit/signatures", tag = "audit", operation_id = "list_audit_signatures",
    extensions(("x-access" = json!("audit.read"))),
    responses((status = 200, body = [SignatureView])))]
pub async fn list_audit_signatures(
    State(state): State<AppState>,
    actor: Actor,
) -> ApiResult<Json<Vec<SignatureView>>> {
    service::require_whole_city(&actor)?;
    let rows = service::signatures(&state).await?;
    let view = |row: super::store::SignatureRow| SignatureView {
        seq: row.seq,
        hash: hex::encode(row.hash),
        signed_at: row.signed_at,
        public_key: STANDARD.encode(row.public_key),
        signature: STANDARD.encode(row.signature),
    };
    Ok(Json(rows.into_iter().map(view).collect()))
}

/// What signing the head gave.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedView {
    /// The entry that is signed now.
    pub seq: i64,
}

/// Signs the log's present head now.
#[utoipa::path(post, path = "/api/audit/signatures", tag = "audit", operation_id = "sign_audit_head",
    extensions(("x-access" = json!("audit.read"))),
    responses((status = 200, body = SignedView)))]
pub async fn sign_audit_head(
    State(state): State<AppState>,
    actor: Actor,
) -> ApiResult<Json<SignedView>> {
    service::require_whole_city(&actor)?;
    Ok(Json(SignedView {
        seq: service::sign_head(&state).await?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_cut_only_where_there_is_more_than_it_holds() {
        for (found, left, more) in [(2, 2, false), (3, 3, false), (4, 3, true)] {
            let mut rows: Vec<i32> = (0..found).collect();
            assert_eq!((cut(&mut rows, 3), rows.len()), (more, left));
        }
    }
}
