//! The parts of an address that its route names.

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::{ApiError, invalid};

/// What the route's `{names}` stand for, as an extractor. Axum's own answers what it cannot read in plain
/// text, without a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    #[expect(clippy::disallowed_types, reason = "the one place where what it refuses gets a code")]
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        use axum::extract::{Path as AxumPath, rejection::PathRejection};
        match AxumPath::from_request_parts(parts, state).await {
            Ok(AxumPath(value)) => Ok(Self(value)),
            // A route whose names do not fit its handler is our own bug.
            Err(error @ PathRejection::MissingPathParams(_)) => Err(error.into_response()),
            Err(error) => Err(unreadable(parts.uri.path(), &error.body_text()).into_response()),
        }
    }
}

fn unreadable(path: &str, why: &str) -> ApiError {
    let shown: String = path.chars().take(80).collect();
    invalid(format!("the path {shown:?} cannot be read: {why}; encode it as UTF-8"))
}
