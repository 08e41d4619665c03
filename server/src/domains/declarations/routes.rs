//! The declarations over HTTP.

use std::sync::OnceLock;

use axum::http::HeaderMap;
use axum::response::Response;
use doorstep_core::crypto::sm3;

use super::model::Declarations;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::http::etag;

/// Types of records with their fields, tables of codes, and what can stand in the audit log. They change with the program only: ask with the ETag.
#[utoipa::path(get, path = "/api/declarations", tag = "registry", operation_id = "show_declarations",
    extensions(("x-access" = json!("signed_in"))),
    responses((status = 200, body = Declarations), (status = 304)))]
pub async fn show_declarations(_: Actor, headers: HeaderMap) -> ApiResult<Response> {
    static SHOWN: OnceLock<(Declarations, String)> = OnceLock::new();
    let (declarations, tag) = match SHOWN.get() {
        Some(shown) => shown,
        None => {
            let declarations = Declarations::built_in();
            let text = serde_json::to_vec(&declarations).map_err(ApiError::internal)?;
            let tag = hex::encode(&sm3::digest(&[&text])[..16]);
            SHOWN.get_or_init(|| (declarations, tag))
        }
    };
    Ok(etag::answer_kept(&headers, tag, declarations))
}
