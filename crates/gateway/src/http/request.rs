//! What a request of the HTTP library says about who sends it, and from where.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::{HeaderName, header};

use crate::{
    admission::{auth::Credentials, place::PeerAddress},
    gateway::UNKNOWN_ADDRESS,
};

/// What a request says about who sends it.
pub(crate) fn credentials(request: &Request) -> Credentials<'_> {
    // As on a socket: any text.
    let text = |name: HeaderName| {
        request.headers().get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    };
    Credentials {
        host: text(header::HOST).or_else(|| request.uri().authority().map(http::uri::Authority::as_str)),
        origin: text(header::ORIGIN),
        authorization: text(header::AUTHORIZATION),
        token: None,
    }
}

pub(crate) fn address(request: &Request) -> IpAddr {
    known_address(request).unwrap_or(UNKNOWN_ADDRESS)
}

/// Where a request came from: our own listener knows, and somebody's server if it was told to
/// (`into_make_service_with_connect_info`).
pub(super) fn known_address(request: &Request) -> Option<IpAddr> {
    let extensions = request.extensions();
    let ours = extensions.get::<PeerAddress>().map(|peer| peer.0);
    ours.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical()))
}
