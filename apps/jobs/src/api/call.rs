//! A call that changes something, as it comes over HTTP.

use anywire_app::{
    CallKey,
    http::{ApiError, Body, whole_body},
};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;

use crate::api::{errors::Invalid, request};

/// A call that changes something: its body, and its key with what it was used for.
pub(crate) struct Call {
    pub(crate) body: Bytes,
    pub(crate) key: Option<CallKey>,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let request = Request::from_parts(head.clone(), body);
        let is_log = path.ends_with("/log");
        let bytes_max = if is_log { request::LOG_BODY_BYTES_MAX } else { request::BODY_BYTES_MAX };
        let Ok(body) = Body::from_request(request, state).await;
        let body = whole_body(body, bytes_max, "send less")?;
        let key =
            CallKey::of(&head.headers, head.extensions.get(), &head.method, path, &body).map_err(Invalid)?;
        Ok(Self { key, body })
    }
}
