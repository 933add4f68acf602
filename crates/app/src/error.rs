//! The one shape of an HTTP error (PROTOCOL.md, section 11).
//!
//! Knows: status, code, message. Does not know: what went wrong in whom.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An HTTP error with a code that clients act on and a message that people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The permanent code.
    pub code: &'static str,
    /// Names the thing, its value and the way out.
    pub message: String,
}

/// Makes an [`ApiError`].
#[must_use]
pub fn api_error(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError { status, code, message: message.into() }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "code": self.code, "message": self.message }))).into_response()
    }
}
