//! The audit log over HTTP, for auditors.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::chain::{Checker, Verdict};
use super::export::{self, ExportForm};
use super::search::{AuditEntryView, AuditQuery};
use super::service;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::http::{Page, Params};
use crate::state::AppState;

/// Says on an export that older entries were left out, and after how many it was cut.
const CUT_AFTER: HeaderName = HeaderName::from_static("doorstep-cut-after");

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
    Params(ExportQuery { form }): Params<ExportQuery>,
) -> ApiResult<Response> {
    let (bytes, cut) = export::export(&state, &actor, query, form).await?;
    let (media_type, name) = form.file();
    let mut file = attachment(media_type, name, bytes);
    if cut {
        let after = HeaderValue::from(export::LIMIT);
        file.headers_mut().insert(CUT_AFTER, after);
    }
    Ok(file)
}

fn attachment(media_type: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, bytes).into_response()
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
