//! What is said to a head that reaches no route, of whatever it is: who sends it is found out as well as that
//! can be done.

use std::{net::IpAddr, time::Duration};

use anywire_protocol::{
    Code, Refusal,
    judgement::{ends, lines, request_line},
};

use super::reply::{Rendered, render_to};
use crate::{
    Gateway, admission::credentials::Credentials, reply::Reply, transports::socketio::requests::forbidden,
};

/// How long a head may take, from its first byte. A first request has no longer than this to begin.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long an idle connection is kept for its next request.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Refuses a head of which these bytes have come, and ends the connection.
pub(crate) fn refuse_head(gateway: &Gateway, peer: IpAddr, head: &[u8], refusal: Refusal) -> Rendered {
    let [method, target, version] = request_line(head);
    let version = if version == "HTTP/1.0" { http::Version::HTTP_10 } else { http::Version::HTTP_11 };
    let credentials = Credentials::of(lines(head), version, None);
    let gate = &gateway.admission.gate;
    let (reply, origin) = match gate.check_peer(Some(peer)).and_then(|()| gate.check_place(&credentials)) {
        Ok(origin) => (refusal.into(), origin),
        // In the order of every route: who may not ask at all is told that.
        Err(place) if refusal.code == Code::HeadTooLarge && ends(head, 0) => {
            let path = target.split('?').next().unwrap_or_default();
            let own = gateway.socketio.owns(path);
            (if own { Reply::engine_error(&forbidden(place)) } else { place.into() }, None)
        }
        Err(_) => (refusal.into(), None),
    };
    render_to(&gateway.metrics, method, reply, gateway.admission.recipient(origin).last())
}

/// What is said of a head that does not end.
pub(crate) fn slow_head() -> Refusal {
    let message =
        format!("the head of the request came too slowly: it has {} s; send it again", HEAD_TIME.as_secs());
    Refusal::new(Code::RequestTimeout, message)
}
