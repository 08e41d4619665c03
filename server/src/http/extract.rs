//! Extractors whose refusals take the API's error form.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Kind};

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = whole(request, state).await?;
        if has_zero(&bytes) {
            return Err(zero_character());
        }
        // The message of serde_json names fields and positions; it is ours to word, so only the place is kept.
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let message = match error.classify() {
                serde_json::error::Category::Data => missing_or_wrong(&error),
                _ => format!(
                    "请求内容不是有效的 JSON（第 {} 行第 {} 列）",
                    error.line(),
                    error.column()
                ),
            };
            ApiError::new(Kind::Malformed, "malformed_body", message)
        })
    }
}

/// Whether a text in this JSON holds a zero character, which no text of the database can. It can only be escaped there.
fn has_zero(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = &rest[at + 1..];
        if rest.starts_with(b"u0000") {
            return true;
        }
        // Whatever is escaped, a second backslash with it, begins no escape of its own.
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

fn zero_character() -> ApiError {
    ApiError::new(
        Kind::Malformed,
        "zero_character",
        "内容里有看不见的空字符，请删去后再提交",
    )
}

/// Names the field that serde found missing, unknown or of a wrong type.
fn missing_or_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let named = text.split('`').nth(1);
    match named {
        Some(field) if text.starts_with("missing field") => format!("缺少字段 {field}"),
        Some(field) if text.starts_with("unknown field") => format!("没有这个字段：{field}"),
        _ => format!(
            "第 {} 行第 {} 列的内容类型不对",
            error.line(),
            error.column()
        ),
    }
}

/// A body's bytes, within the route's bound: for handlers that ask something else first.
///
/// # Errors
/// `body_too_large`, `body_incomplete`.
pub async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(body_refused)
}

fn body_refused(rejection: BytesRejection) -> ApiError {
    if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(
            Kind::TooLarge,
            "body_too_large",
            "提交的内容太大，请分批提交",
        )
    } else {
        ApiError::new(
            Kind::Malformed,
            "body_incomplete",
            "请求内容没有传完，请重试",
        )
    }
}

/// Parameters of the query.
#[derive(Clone, Copy, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(zero_character());
        }
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            // Why would quote what was typed, a name perhaps; the request's span names the route.
            .map_err(|_: QueryRejection| {
                tracing::debug!("query refused");
                ApiError::new(
                    Kind::Malformed,
                    "malformed_query",
                    "网址中的参数不对，请检查名称和格式",
                )
            })
    }
}

/// Parameters of the path. One that is no valid id names nothing, so it answers 'not found'.
#[derive(Clone, Copy, Debug)]
pub struct Segment<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(value)| Self(value))
            .map_err(|_: PathRejection| {
                tracing::debug!("path refused");
                ApiError::not_found("所请求的内容")
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{self, Write};
    use std::sync::mpsc;

    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_zero_character_is_seen_through_its_escape() {
        let zero = [r#"{"a":"\u0000"}"#, r#"["x\\\u0000"]"#, r#"{"\u0000":1}"#];
        assert!(zero.iter().all(|json| has_zero(json.as_bytes())));
        let none = [r#"{"a":"\\u0000"}"#, r#"["\u0001"]"#, "\\"];
        assert!(!none.iter().any(|json| has_zero(json.as_bytes())));
    }

    /// Where the log goes.
    struct Log(mpsc::Sender<Vec<u8>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Debug, Deserialize)]
    enum Purpose {
        Visit,
    }

    #[tokio::test]
    async fn what_was_typed_is_not_in_the_log_when_it_is_refused() -> anyhow::Result<()> {
        let (sender, log) = mpsc::channel();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || Log(sender.clone()))
            .finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let typed = axum::http::Request::get("/?purpose=%E7%8E%8B%E5%B0%8F%E4%BA%8C");
        let (mut parts, ()) = typed.body(())?.into_parts();
        let refused = Params::<HashMap<String, Purpose>>::from_request_parts(&mut parts, &()).await;
        drop(logging);
        let code = refused.map_err(|error| error.code).err();
        assert_eq!(code, Some("malformed_query"));
        let logged: Vec<u8> = log.try_iter().flatten().collect();
        let logged = String::from_utf8(logged)?;
        assert!(logged.contains("query refused"), "{logged}");
        assert!(!logged.contains("王小二"), "{logged}");
        Ok(())
    }
}
