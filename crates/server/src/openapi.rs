//! The description of the API, and a page to read it.
//!
//! Knows: two files. Does not know: the routes they describe (a test compares them).

use axum::{Router, http::header, response::Html, routing::get};

/// The description (OpenAPI 3.1).
pub(crate) const DESCRIPTION: &str = include_str!("../api/openapi.json");
const PAGE: &str = include_str!("../api/docs.html");

pub(crate) fn routes() -> Router {
    let description = async || ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION);
    Router::new().route("/api/openapi.json", get(description)).route("/api/docs", get(async || Html(PAGE)))
}
