//! Conditional requests: who has the newest answer already gets `304` and no body.

use std::fmt::Display;

use anywire_codes::conditional::none_match;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Whether the client has what it would get: `If-None-Match` names the tag, also weakly, as a proxy that
/// compresses writes it.
#[must_use]
pub fn not_modified(headers: &HeaderMap, tag: &ETag) -> bool {
    // A tag may hold letters beyond ASCII (RFC 9110, section 8.8.3).
    let lines = headers.get_all(header::IF_NONE_MATCH).iter();
    none_match(lines.filter_map(|line| std::str::from_utf8(line.as_bytes()).ok()), &tag.0)
}

/// An entity tag, with its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// A tag that says which version it is, such as a cursor. The text holds no quotes.
    #[must_use]
    pub fn new(version: impl Display) -> Self {
        Self(format!("\"{version}\""))
    }

    /// The tag as the header has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The answer with this tag, or `304` if the client has it. Caches must ask before they use it again.
    pub fn respond<R: IntoResponse>(&self, headers: &HeaderMap, answer: impl FnOnce() -> R) -> Response {
        let mut response = if not_modified(headers, self) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            answer().into_response()
        };
        if let Ok(tag) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        let caching = HeaderValue::from_static("no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, caching);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_behind_a_proxy_that_compresses_gets_304_all_the_same() {
        let tag = ETag::new("1f0c93ab-18");
        for (known, status) in [
            ("W/\"1f0c93ab-18\"", 304),
            ("\"1f0c93ab-18\"", 304),
            ("\"\u{e4}\", \"1f0c93ab-18\"", 304),
            ("\"1f0c93ab-17\"", 200),
            ("\"1f0c93ab-18\"x", 200),
        ] {
            let value = HeaderValue::from_bytes(known.as_bytes()).expect("a value");
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]);
            let response = tag.respond(&headers, || "body");
            assert_eq!(response.status().as_u16(), status, "{known}");
            assert_eq!(response.headers()[header::ETAG], tag.as_str());
        }
    }
}
