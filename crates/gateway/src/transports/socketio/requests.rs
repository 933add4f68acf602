//! What an Engine.IO request asks for, and whether it may.

use std::{net::IpAddr, sync::Arc};

use anywire_access::is_ticket;
use anywire_protocol::{
    Code, Refusal,
    engineio::{Carrier, EngineError, Query},
    websocket::{Accepted, Subprotocols, accept},
};

use super::state::{Handshake, Inbound, Session};
use crate::{Gateway, admission::credentials::Credentials, admission::limits::Counted};

/// A request, as far as its head tells.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) credentials: Credentials<'a>,
    pub(crate) address: IpAddr,
    pub(crate) listener: &'a Arc<str>,
    /// When it came, among all.
    pub(crate) arrival: u64,
}

/// What is to be done.
pub(crate) enum EngineRequest {
    /// Refused.
    Refused(EngineError),
    /// Begin a session that polls.
    Open(Box<Inbound>, Counted),
    /// Wait for packets; with when it came, among all requests.
    Poll(Arc<Session>, u64),
    /// Take packets.
    Post(Arc<Session>),
    /// Begin a session on a WebSocket.
    Connect(Accepted, Box<Inbound>),
    /// Try to change a session over to a WebSocket.
    Upgrade(Accepted, Arc<Session>),
    /// Close a WebSocket for a session that is none: only so can a page's script learn why.
    Stray(Accepted),
}

/// Judges a request. `headers` are for the WebSocket handshake.
pub(crate) fn engine_request<'h>(
    gateway: &Gateway,
    request: &Request<'_>,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> EngineRequest {
    match judge(gateway, request, headers) {
        Ok(asked) => asked,
        Err(error) => {
            tracing::debug!(address = %request.address, %error, "a Socket.IO request was refused");
            EngineRequest::Refused(error)
        }
    }
}

fn judge<'h>(
    gateway: &Gateway,
    request: &Request<'_>,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<EngineRequest, EngineError> {
    gateway.admission.gate.check_place(&request.credentials).map_err(forbidden)?;
    if gateway.admission.closing.is_cancelled() {
        return Err(forbidden(gateway.admission.shutting_down()));
    }
    let query = Query::parse(request.query)?;
    let session =
        query.session.as_deref().map(|id| gateway.socketio.session(id).ok_or(EngineError::UnknownSession));
    let session = match session.transpose() {
        Err(_) if query.carrier == Carrier::WebSocket => {
            let accepted = accept(request.method, headers, Subprotocols::Any);
            return accepted.map(EngineRequest::Stray).map_err(|_| EngineError::BadRequest);
        }
        session => session?,
    };
    match (query.carrier, request.method, session) {
        (Carrier::WebSocket, _, session) => {
            if gateway.lab.blocks_websocket() {
                let message = "the network lab blocks WebSocket; use polling, or lift the block";
                return Err(forbidden(Refusal::new(Code::TransportBlocked, message)));
            }
            let accepted =
                accept(request.method, headers, Subprotocols::Any).map_err(|_| EngineError::BadRequest)?;
            match session {
                Some(session) => Ok(EngineRequest::Upgrade(accepted, session)),
                None => Ok(EngineRequest::Connect(accepted, inbound(gateway, request, &query)?)),
            }
        }
        (Carrier::Polling, "GET", Some(session)) => Ok(EngineRequest::Poll(session, request.arrival)),
        (Carrier::Polling, "POST", Some(session)) => Ok(EngineRequest::Post(session)),
        (Carrier::Polling, "GET", None) => {
            // A session that polls holds no connection between its polls, but is one all the same.
            let counted = gateway.admission.connections.count(request.address).map_err(forbidden)?;
            Ok(EngineRequest::Open(inbound(gateway, request, &query)?, counted))
        }
        (Carrier::Polling, _, None) => Err(EngineError::BadMethod),
        (Carrier::Polling, _, Some(_)) => Err(EngineError::BadRequest),
    }
}

fn inbound(gateway: &Gateway, request: &Request<'_>, query: &Query) -> Result<Box<Inbound>, EngineError> {
    gateway.admission.charge_handshake(request.address).map_err(forbidden)?;
    // By a WebSocket, something may be changed.
    let reads = request.credentials.reads && query.carrier == Carrier::Polling;
    // One that does not count says nothing: whoever it is may still bring a token.
    let session = gateway.admission.gate.session(&Credentials { reads, ..request.credentials });
    let session = session.unwrap_or_default();
    // A ticket is good for this request, not for each namespace that is joined later.
    let ticket = query.token.as_deref().filter(|token| is_ticket(token));
    let by_ticket = ticket.and_then(|ticket| gateway.admission.gate.principal_of(ticket).ok());
    let token = query.token.as_deref().filter(|_| by_ticket.is_none());
    let Some(pending) = gateway.socketio.count_handshake() else {
        let limit = gateway.socketio.config.handshakes_max;
        let message = format!(
            "{limit} clients have connected and joined no namespace yet, the limit (socketio.handshakes_max); try again later"
        );
        gateway.metrics.connections_refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        return Err(forbidden(Refusal::new(Code::TooManyConnections, message)));
    };
    let kept = gateway.admission.unfinished.keep_nothing();
    let boxed = |text: &str| text.to_owned().into_boxed_str();
    let handshake = Handshake {
        listener: Arc::clone(request.listener),
        address: request.address,
        authorization: request.credentials.authorization.map(boxed),
        token: token.map(boxed),
        session: by_ticket.or(session),
        client: query.client.as_deref().map(boxed),
        echoed: gateway.socketio.echoes(request.path),
    };
    Ok(Box::new(Inbound::new(kept, handshake, pending)))
}

/// A refusal as Engine.IO spells it.
pub(crate) fn forbidden(refusal: Refusal) -> EngineError {
    let (status, retry_ms) = (refusal.code.http_status(), refusal.retry_ms);
    EngineError::Forbidden { status, retry_ms, reason: refusal.message }
}
