//! The console's files: built from server/console, carried in the program (read from the folder in a debug build).
//! Files with a hash in their name are kept by browsers for good; the page itself is asked for anew. Knows no route of
//! the API.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::packed::takes;

/// What the build leaves; nothing, before the first build.
#[derive(RustEmbed)]
#[folder = "console/dist"]
struct Files;

/// The page that every address of the console begins with.
const PAGE: &str = "index.html";
/// Where the build puts files whose names change with their content.
const HASHED: &str = "assets/";
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_BUILT: &str = "控制台网页还没有构建：请在源码目录运行 ./x build（需要 Node.js 20），再重新启动服务。\n\
    接口照常可用，说明见 /api/openapi.json\n\
    The web console is not built yet: run ./x build (needs Node.js 20), then start the server again.\n";

/// A file of the console; the page for an address of its own; `None` for a file that isn't there.
pub(super) fn find(path: &str, asked: &HeaderMap) -> Option<Response> {
    let name = path.trim_start_matches('/');
    if let Some(file) = Files::get(name).filter(|_| !name.starts_with('.')) {
        return Some(serve(name, &file, asked));
    }
    let is_file = name
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains('.'));
    if is_file {
        return None;
    }
    Some(match Files::get(PAGE) {
        Some(page) => serve(PAGE, &page, asked),
        None => (StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT).into_response(),
    })
}

fn serve(name: &str, file: &EmbeddedFile, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let known = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|given| given.to_str().is_ok_and(|given| given.contains(&tag)));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body(name, file, asked)
    };
    let headers = response.headers_mut();
    let kept = if name.starts_with(HASHED) {
        FOR_GOOD
    } else {
        ASK_AGAIN
    };
    headers.insert(header::CACHE_CONTROL, kept);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The file, as the build compressed it where the browser takes that.
fn body(name: &str, file: &EmbeddedFile, asked: &HeaderMap) -> Response {
    let packed = takes(asked, "br")
        .then(|| Files::get(&format!("{name}.br")))
        .flatten();
    let is_packed = packed.is_some();
    let data = packed.map_or_else(|| file.data.clone(), |packed| packed.data);
    let mut response = Body::from(data.into_owned()).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(name)),
    );
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_is_the_page_and_a_missing_file_is_missing() {
        let page = find("/conflicts/0190", &HeaderMap::new()).unwrap();
        let built = Files::get(PAGE).is_some();
        let expected = if built {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        assert_eq!(page.status(), expected);
        assert!(find("/assets/gone.js", &HeaderMap::new()).is_none());
        assert!(find("/../Cargo.toml", &HeaderMap::new()).is_none());
        assert!(find("/.gitignore", &HeaderMap::new()).is_none());
    }

    #[test]
    fn a_file_is_kept_for_good_only_if_its_name_has_its_hash() {
        let file = || EmbeddedFile {
            data: b"x".to_vec().into(),
            metadata: rust_embed::Metadata::__rust_embed_new([7; 32], None, None),
        };
        let hashed = serve("assets/a-1b2c.js", &file(), &HeaderMap::new());
        assert_eq!(hashed.headers()[header::CACHE_CONTROL], FOR_GOOD);
        assert_eq!(
            hashed.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        let page = serve(PAGE, &file(), &HeaderMap::new());
        assert_eq!(page.headers()[header::CACHE_CONTROL], ASK_AGAIN);
        let tag = page.headers()[header::ETAG].clone();
        let again = serve(
            PAGE,
            &file(),
            &HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]),
        );
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
}
