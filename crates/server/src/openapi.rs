//! The description of the API, and a page to read it.

use axum::{
    Router,
    http::{HeaderName, header},
    response::Html,
    routing::get,
};

/// The description (OpenAPI 3.1).
pub(crate) const DESCRIPTION: &str = include_str!("../api/openapi.json");
const PAGE: &str = include_str!("../api/docs.html");

/// The page is one file: its script and style stand in it, and it reads the description from its own origin.
const POLICY: &str = "default-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'self'";

/// Both come with the binary and change with it only.
const COMMON: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-cache"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];

pub(crate) fn routes() -> Router {
    let description = async || (COMMON, [(header::CONTENT_TYPE, "application/json")], DESCRIPTION);
    let page = async || (COMMON, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE));
    Router::new().route("/api/openapi.json", get(description)).route("/api/docs", get(page))
}
