//! What every request is wrapped in: an id, a time limit, counters, and headers that keep browsers safe.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use crate::error::{ApiError, Kind};
use crate::state::AppState;

/// Names a request in answers, log and audit.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Scripts and styles only from ourselves and from files, nothing framed, nothing posted elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Nobody keeps an answer that says nothing else: it may hold personal data, and a browser's folder outlives the session.
const UNKEPT: &str = "private, no-store";

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request being answered on this task; empty outside of one.
#[must_use]
pub fn current_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Wraps a request; outermost of all layers.
pub async fn track(request: Request, next: Next) -> Response {
    let id = given_id(request.headers()).unwrap_or_else(|| Uuid::new_v4().simple().to_string());
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", |path| path.as_str())
        .to_owned();
    let span = tracing::info_span!("request", method, route, id);
    let started = Instant::now();
    let mut response = CURRENT
        .scope(id.clone(), next.run(request))
        .instrument(span.clone())
        .await;
    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    span.in_scope(|| tracing::debug!(status, seconds, "answered"));
    metrics::counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("http_request_seconds", "route" => route).record(seconds);
    secure(response.headers_mut(), &id);
    response
}

/// A method as the counters and the log name it. A caller may make one up, as long as a head may be: each would be a
/// series of its own for as long as the process lives.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Ends a request that takes too long. What it had not committed is undone.
pub async fn limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(state.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::new(Kind::Unavailable, "timed_out", "处理超时，请稍后重试").into_response()
        }
    }
}

fn secure(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=()"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(UNKEPT));
}

/// A caller may name its request, in a form that can't forge log lines.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !text.is_empty()).then(|| text.to_owned())
}

/// Where a request comes from: the socket's peer, or behind a proxy the last address it added. Some proxies add it to the
/// caller's line, some as a line of their own after it: the last of the last line is the proxy's in either case. One that
/// a socket for both gives as IPv6 is the IPv4 address that it is.
#[must_use]
pub fn client_address(
    state: &AppState,
    headers: &HeaderMap,
    peer: Option<&ConnectInfo<SocketAddr>>,
) -> Option<IpAddr> {
    let forwarded = || {
        headers
            .get_all("x-forwarded-for")
            .iter()
            .next_back()?
            .to_str()
            .ok()?
            .rsplit(',')
            .next()?
            .trim()
            .parse::<IpAddr>()
            .ok()
    };
    if state.config.behind_proxy
        && let Some(address) = forwarded()
    {
        return Some(address.to_canonical());
    }
    peer.map(|ConnectInfo(address)| address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_else_is_kept_by_nobody() {
        let keeping = |mut headers: HeaderMap| {
            secure(&mut headers, "1");
            headers[header::CACHE_CONTROL].clone()
        };
        assert_eq!(keeping(HeaderMap::new()), "private, no-store");
        let kept = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        assert_eq!(keeping(HeaderMap::from_iter([kept])), "no-cache");
    }
}
