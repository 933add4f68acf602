//! What a request of the HTTP library says about who sends it, and from where.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::HeaderMap;

use crate::{
    admission::{
        credentials::Credentials,
        place::{ClientAddress, PeerAddress},
    },
    gateway::UNKNOWN_ADDRESS,
};

/// What a request says about who sends it.
pub(crate) fn credentials(request: &Request) -> Credentials<'_> {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let said = Credentials::of(lines(request.headers()), request.version(), authority);
    Credentials { reads: request.method().is_safe(), ..said }
}

/// The lines of a head.
pub(super) fn lines(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// The client that a request came from, as it was found out when it was let in.
pub(crate) fn address(request: &Request) -> IpAddr {
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
    client.or_else(|| known_address(request)).unwrap_or(UNKNOWN_ADDRESS)
}

/// Where a request came from: our own listener knows, and somebody's server if it was told to
/// (`into_make_service_with_connect_info`).
pub(super) fn known_address(request: &Request) -> Option<IpAddr> {
    let extensions = request.extensions();
    let ours = extensions.get::<PeerAddress>().map(|peer| peer.0);
    ours.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical()))
}
