//! What is given to anyone who asks, and never changes while the server runs: written and compressed once, so that it
//! costs no more than its sending. And what codings a caller takes. Knows no route.

use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use doorstep_core::crypto::sm3;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::etag;
use crate::error::{ApiError, ApiResult};

/// A JSON text as it is written and as it is compressed, with its tag.
#[derive(Clone, Debug)]
pub struct Packed {
    tag: String,
    plain: Bytes,
    packed: Bytes,
}

impl Packed {
    /// Writes and compresses a value.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn json(value: &impl Serialize) -> ApiResult<Self> {
        let plain = serde_json::to_vec(value).map_err(ApiError::internal)?;
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&plain).map_err(ApiError::internal)?;
        let packed = packer.finish().map_err(ApiError::internal)?;
        Ok(Self {
            tag: etag::tag(&hex::encode(&sm3::digest(&[&plain])[..16])),
            plain: plain.into(),
            packed: packed.into(),
        })
    }

    /// The answer: compressed where the caller takes that, 304 when it has it.
    ///
    /// # Errors
    /// When the tag is no header.
    pub fn answer(&self, asked: &HeaderMap) -> ApiResult<Response> {
        let mut response = if etag::names(asked, &header::IF_NONE_MATCH, &self.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.body(asked)
        };
        let headers = response.headers_mut();
        let tag = HeaderValue::from_str(&self.tag).map_err(ApiError::internal)?;
        headers.insert(header::ETAG, tag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        Ok(response)
    }

    fn body(&self, asked: &HeaderMap) -> Response {
        // 'identity' is said, too: what names its coding nobody compresses again on the way out.
        let (bytes, coding) = if takes(asked, "gzip") {
            (&self.packed, "gzip")
        } else {
            (&self.plain, "identity")
        };
        let mut response = Body::from(bytes.clone()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        response
    }
}

/// Whether a caller takes a coding.
#[must_use]
pub fn takes(asked: &HeaderMap, coding: &str) -> bool {
    asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|way| {
            let (name, weight) = way.split_once(';').unwrap_or((way, ""));
            name.trim() == coding
                && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_coding_goes_to_callers_that_take_it() {
        assert!(takes(&asking("gzip, deflate, br, zstd"), "br"));
        assert!(takes(&asking("br;q=0.5"), "br"));
        assert!(!takes(&asking("gzip, br;q=0"), "br"));
        assert!(!takes(&asking("gzip"), "br") && !takes(&HeaderMap::new(), "br"));
    }
}
