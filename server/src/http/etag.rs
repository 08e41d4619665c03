//! ETags: a reader that has the present version gets 304; a writer that read an older one gets 412.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{ApiError, ApiResult, Kind};

/// The tag of a version: any text that changes whenever the content does.
#[must_use]
pub fn tag(version: &str) -> String {
    format!("\"{version}\"")
}

/// `body` with its tag, or 304 when the caller has that version. Nobody keeps it (see `request`); the tag is for
/// If-Match.
pub fn answer(headers: &HeaderMap, version: &str, body: impl Serialize) -> Response {
    let tag = tag(version);
    let value = HeaderValue::from_str(&tag).ok();
    let mut response = if names(headers, &header::IF_NONE_MATCH, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(body).into_response()
    };
    if let Some(value) = value {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// As [`answer`], of what holds no personal data and is asked for often: a browser may keep it and ask whether it is
/// still so.
pub fn answer_kept(headers: &HeaderMap, version: &str, body: impl Serialize) -> Response {
    let mut response = answer(headers, version, body);
    let kept = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

/// Refuses a write that was made on another version than the present one. Without If-Match it passes.
///
/// # Errors
/// When the caller names another version.
pub fn require(headers: &HeaderMap, version: &str) -> ApiResult<()> {
    if !headers.contains_key(header::IF_MATCH) || names(headers, &header::IF_MATCH, &tag(version)) {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Stale,
        "stale",
        "这条数据刚被别人改过，请刷新后再修改",
    ))
}

/// Whether a header names a tag.
pub(crate) fn names(headers: &HeaderMap, header: &axum::http::HeaderName, tag: &str) -> bool {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim().trim_start_matches("W/") == tag || given.trim() == "*")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_reader_with_the_present_version_gets_no_body() {
        let known = headers(header::IF_NONE_MATCH, "\"6\", W/\"7\"");
        assert_eq!(answer(&known, "7", 1).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer(&known, "8", 1).status(), StatusCode::OK);
    }

    #[test]
    fn only_what_holds_no_personal_data_is_kept_by_browsers() {
        let keeping = |response: Response| response.headers().get(header::CACHE_CONTROL).cloned();
        let none = HeaderMap::new();
        assert_eq!(keeping(answer(&none, "7", 1)), None);
        assert_eq!(
            keeping(answer_kept(&none, "7", 1)),
            Some(HeaderValue::from_static("private, no-cache"))
        );
    }

    #[test]
    fn a_writer_with_an_old_version_is_refused() {
        let old = headers(header::IF_MATCH, "\"6\"");
        assert_eq!(require(&old, "7").unwrap_err().kind, Kind::Stale);
        assert!(require(&old, "6").is_ok() && require(&HeaderMap::new(), "7").is_ok());
    }
}
