//! What every route takes: who asks, and a body of JSON.

use anywire_access::Caller;
use anywire_app::http::{ApiError, Body, parse_json, whole_body};
use anywire_codes::Code;
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use serde::de::DeserializeOwned;

/// The largest body: a name, a password and some roles.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

/// Who asks, and may manage access.
pub(super) struct MayManage(pub(super) Caller);

impl<S: Send + Sync> FromRequestParts<S> for MayManage {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = caller(parts)?;
        let principal = &caller.principal;
        if principal.is_nobody() {
            let message = "no token was given; sign in, or send \"Authorization: Bearer <token>\"";
            return Err(ApiError::new(Code::Unauthorized, message));
        }
        if !principal.may_do("access", "manage", None) {
            let message = format!(
                "this needs the right access:manage, which {principal} does not have; use a role that has it"
            );
            return Err(ApiError::new(Code::Forbidden, message));
        }
        Ok(Self(caller))
    }
}

/// Who asks.
pub(super) struct Anybody(pub(super) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Anybody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        caller(parts).map(Self)
    }
}

fn caller(parts: &Parts) -> Result<Caller, ApiError> {
    // Whoever mounts these routes says who asks.
    let caller = parts.extensions.get::<Caller>().cloned();
    caller.ok_or_else(|| ApiError::new(Code::Internal, "nobody said who asks; this is a bug"))
}

/// A body of JSON, and nothing that a form could send: a page elsewhere can post a form unasked.
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_kind(request.headers())?;
        let body = Body::from_request(request, state).await;
        let Ok(body) = body;
        let body = whole_body(body, BODY_BYTES_MAX, "send less at a time")?;
        parse_json(&body, "an object with the members of this route").map(Self)
    }
}

fn check_kind(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap_or_default());
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => {
            let message = format!("Content-Type is {kind:?}; send application/json");
            Err(ApiError::new(Code::MediaType, message))
        }
    }
}
