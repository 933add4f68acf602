//! Who makes a request of the HTTP library.

use anywire_access::{Caller, Principal};
use anywire_protocol::{Refusal, request::query_token};
use axum::extract::Request;

use super::request::{address, credentials};
use crate::{
    Gateway,
    admission::{
        auth::Gate,
        credentials::{Credentials, Page},
        place::Protected,
    },
};

/// Who makes a request.
pub(super) fn find_caller(
    gateway: &Gateway,
    request: &Request,
    find: impl Fn(&Gate, &Credentials<'_>) -> Result<Principal, Refusal>,
) -> Result<Caller, Refusal> {
    // Only that: the other parameters are the routes' own.
    let token = query_token(request.uri().query().unwrap_or(""))?;
    let credentials = Credentials { token: token.as_deref(), ..credentials(request) };
    let principal = find(&gateway.admission.gate, &credentials)?;
    let foreign = match credentials.page() {
        Page::Other(header, value) => Some(
            format!("the request comes from another page ({header}: {value}); sessions count on this server's own pages")
                .into(),
        ),
        Page::Own | Page::Unknown => None,
    };
    Ok(Caller {
        principal,
        address: address(request),
        session: credentials.session.map(Into::into),
        secure: credentials.origin.map_or_else(
            || request.extensions().get::<Protected>().is_some(),
            |origin| origin.starts_with("https://"),
        ),
        foreign,
    })
}
