//! Ranges: a download that broke off goes on where it stood.

use axum::http::{HeaderMap, header};

/// The first byte that a request wants, as `bytes=N-`; other forms are answered with the whole, as HTTP allows.
#[must_use]
pub fn start(headers: &HeaderMap) -> Option<usize> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_open_ranges_are_taken() {
        let of = |text| {
            start(&HeaderMap::from_iter([(
                header::RANGE,
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(of("bytes=100-"), Some(100));
        assert_eq!(of("bytes=-5"), None);
        assert_eq!(of("bytes=1-2"), None);
        assert_eq!(of("lines=1-"), None);
    }
}
