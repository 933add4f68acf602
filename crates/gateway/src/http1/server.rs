//! The hot requests of cleartext HTTP/1.1, answered on the socket directly: WebSocket, SSE, polls,
//! publishing.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anywire_protocol::{
    Refusal,
    head::{self, Head, Request},
    request::query_token,
    websocket::{Accepted, SUBPROTOCOL, Subprotocols, accept},
};
use bytes::{Buf, BytesMut};
use smallvec::SmallVec;
use tokio::net::TcpStream;

use super::{
    connection::linger,
    polling::PollRequest,
    reply::{Rendered, render},
    socket::{Flow, read_ready},
    unanswered::{HEAD_TIME, KEEP_ALIVE, refuse_head, slow_head},
};
use crate::{
    Gateway,
    admission::{
        credentials::Credentials,
        entry::{Admitted, StreamRequest},
        limits::Counted,
        place::Place,
        single,
    },
    readers::OpenReader,
    reply::Reply,
    transports::{
        publish::Posting,
        socketio::{
            polling,
            requests::{self, EngineRequest},
        },
        sse, websocket,
    },
};

/// How serving a connection directly ended.
enum After {
    Close,
    /// The HTTP library takes over with these bytes.
    Library(BytesMut),
}

/// What a head asks for. Boxed content: a connection remembers only what it still needs.
enum Route {
    WebSocket(Accepted, Box<Admitted>),
    Sse(Box<Admitted>),
    Poll(Box<Admitted>, Option<Box<str>>),
    /// With the origin of the page that may read the answer, and the bytes of body that follow.
    SocketIo(Box<EngineRequest>, Option<Box<str>>, usize),
    Publish(Box<Posting>),
    /// By its head.
    Refused(Box<Rendered>),
    Library,
}

/// What the next request asks for, and for which client.
struct Asked {
    address: IpAddr,
    route: Route,
    /// The client, as long as it is answered.
    counted: Option<Box<Counted>>,
}

impl Asked {
    fn by_nobody_else(place: &Place, route: Route) -> Self {
        Self { address: place.address, route, counted: None }
    }
}

/// Serves a connection until it ends, or until it asks for something that the HTTP library serves: then the
/// bytes read so far are returned.
pub(crate) async fn serve(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    place: &Place,
) -> Option<BytesMut> {
    let mut poller = None;
    match serve_requests(gateway, stream, place, &mut poller).await {
        After::Library(bytes) => Some(bytes),
        After::Close => None,
    }
}

async fn serve_requests(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    place: &Place,
    poller: &mut Option<OpenReader>,
) -> After {
    let mut bytes = BytesMut::new();
    let mut patience = HEAD_TIME;
    loop {
        // Boxed, and gone when the request is known: an idle connection keeps only what comes after.
        let Some(Asked { address, route, counted: _counted }) =
            Box::pin(next_route(gateway, stream, place, &mut bytes, patience)).await
        else {
            return After::Close;
        };
        match route {
            Route::Library => return After::Library(bytes),
            Route::Refused(refused) => {
                if !Box::pin(refused.send(stream)).await {
                    Box::pin(linger(stream)).await;
                    return After::Close;
                }
            }
            Route::WebSocket(accepted, admitted) => {
                if Box::pin(switch(gateway, stream, accepted)).await {
                    let (gateway, stream) = (Arc::clone(gateway), Arc::clone(stream));
                    Box::pin(websocket::serve_direct(gateway, stream, admitted, address)).await;
                }
                return After::Close;
            }
            Route::SocketIo(asked, origin, body_bytes) => {
                let serve = polling::serve(gateway, stream, *asked, origin, address, &mut bytes, body_bytes);
                if !serve.await {
                    return After::Close;
                }
            }
            Route::Publish(posting) => {
                if !Box::pin(posting.serve(gateway, stream, address, &mut bytes)).await {
                    return After::Close;
                }
            }
            Route::Sse(admitted) => {
                Box::pin(sse::serve_direct(gateway, stream, admitted, address)).await;
                return After::Close;
            }
            Route::Poll(admitted, known_tags) => {
                let poll = PollRequest { gateway, stream, address, admitted, known_tags };
                if !Box::pin(poll.serve(poller, &mut bytes)).await {
                    return After::Close;
                }
            }
        }
        patience = KEEP_ALIVE;
    }
}

/// Counts what a client asks for over a proxy's connection, while it lasts; or what it is told.
fn count_client(
    gateway: &Gateway,
    place: &Place,
    client: IpAddr,
    request: &Request<'_>,
) -> Result<Option<Box<Counted>>, Route> {
    if client == place.address {
        return Ok(None);
    }
    let counted = gateway.admission.connections.count_client(client);
    counted.map(|counted| Some(Box::new(counted))).map_err(|refusal| {
        gateway.metrics.connections_refused.fetch_add(1, Relaxed);
        let origin = gateway.admission.gate.check_place(&credentials(request)).ok().flatten();
        let reply = refuse(gateway, request, &refusal);
        let recipient = gateway.admission.recipient(origin).last();
        Route::Refused(Box::new(render(&gateway.metrics, reply, recipient)))
    })
}

/// Answers that the connection becomes a WebSocket; whether it does.
async fn switch(gateway: &Gateway, stream: &TcpStream, accepted: Accepted) -> bool {
    let recipient = gateway.admission.recipient(None);
    render(&gateway.metrics, Reply::switching(&accepted), recipient).send(stream).await
}

/// What the next request asks for; `None` when none comes in time, or none may come any
/// more.
async fn next_route(
    gateway: &Arc<Gateway>,
    stream: &TcpStream,
    place: &Place,
    bytes: &mut BytesMut,
    patience: Duration,
) -> Option<Asked> {
    tokio::select! {
        read = read_request(gateway, stream, place, bytes, patience) => read.ok()?,
        () = gateway.admission.closing.cancelled() => None,
    }
}

/// Waits for a head to begin, as long as that is worth while, and for its end, as long as a head has.
async fn read_request(
    gateway: &Arc<Gateway>,
    stream: &TcpStream,
    place: &Place,
    bytes: &mut BytesMut,
    patience: Duration,
) -> io::Result<Option<Asked>> {
    if bytes.is_empty()
        && !matches!(tokio::time::timeout(patience, read_more(stream, bytes)).await, Ok(Ok(true)))
    {
        return Ok(None);
    }
    match tokio::time::timeout(HEAD_TIME, read_head(gateway, stream, place, bytes)).await {
        Ok(read) => read,
        Err(_) => {
            let refused = refuse_head(gateway, place.address, bytes, slow_head());
            Ok(Some(Asked::by_nobody_else(place, Route::Refused(Box::new(refused)))))
        }
    }
}

/// Waits for bytes; false at the end of the connection.
async fn read_more(stream: &TcpStream, bytes: &mut BytesMut) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        let take = |fresh: &mut [u8]| {
            bytes.extend_from_slice(fresh);
            Flow::Go
        };
        if let Some(flow) = read_ready(stream, take) {
            return Ok(flow == Flow::Go);
        }
    }
}

/// Reads until a head is complete and says what it asks for; `None` at the end of the connection.
async fn read_head(
    gateway: &Arc<Gateway>,
    stream: &TcpStream,
    place: &Place,
    bytes: &mut BytesMut,
) -> io::Result<Option<Asked>> {
    loop {
        match head::parse(bytes) {
            Head::Partial => {}
            Head::Other => return Ok(Some(Asked::by_nobody_else(place, Route::Library))),
            Head::Complete(request) => {
                let length = request.bytes;
                let address = gateway.admission.client(place.address, lines(&request));
                let (counted, route) = match count_client(gateway, place, address, &request) {
                    Ok(counted) => (counted, route(gateway, place, address, &request)),
                    Err(refused) => (None, refused),
                };
                if !matches!(route, Route::Library) {
                    bytes.advance(length);
                }
                if bytes.is_empty() {
                    *bytes = BytesMut::new();
                }
                return Ok(Some(Asked { address, route, counted }));
            }
        }
        if !read_more(stream, bytes).await? {
            return Ok(None);
        }
    }
}

fn route(gateway: &Arc<Gateway>, place: &Place, address: IpAddr, request: &Request<'_>) -> Route {
    if single::repeated(&single::OWN, request.headers.iter().map(|(name, _)| *name)).is_some() {
        // Whose routes refuse it.
        return Route::Library;
    }
    let closes =
        request.header("connection").is_some_and(|value| value.to_ascii_lowercase().contains("close"));
    let last_event_id = match request.path {
        path if gateway.socketio.owns(path) && !closes => {
            return route_socketio(gateway, place, address, request);
        }
        "/anywire/publish" if !closes => return route_publish(gateway, request),
        _ if request.body_bytes.is_some() => return Route::Library,
        "/anywire/ws" => None,
        "/anywire/sse" => request.header("last-event-id"),
        "/anywire/poll" if !closes => None,
        _ => return Route::Library,
    };
    let stream =
        StreamRequest { credentials: credentials(request), query: request.query, last_event_id, address };
    let routed = match request.path {
        "/anywire/ws" => route_websocket(gateway, request, &stream),
        "/anywire/sse" => gateway.admission.admit_sse(&stream).map(|admitted| Route::Sse(Box::new(admitted))),
        _ => route_poll(gateway, request, &stream),
    };
    routed.unwrap_or_else(|refusal| {
        // The page of an allowed origin may read why.
        let origin = gateway.admission.gate.check_place(&stream.credentials).ok().flatten();
        let recipient = gateway.admission.recipient(origin);
        let recipient = if closes { recipient.last() } else { recipient };
        let reply = refuse(gateway, request, &refusal);
        Route::Refused(Box::new(render(&gateway.metrics, reply, recipient)))
    })
}

/// A refusal in the words of what was asked for.
pub(crate) fn refuse(gateway: &Gateway, request: &Request<'_>, refusal: &Refusal) -> Reply {
    match request.path {
        path if gateway.socketio.owns(path) => Reply::engine_error(&requests::forbidden(refusal.clone())),
        // Applications have streams of events too: whoever asks for one waits for one.
        _ if request.body_bytes.is_none() => sse::refuse(refusal, request.header("accept")),
        _ => refusal.into(),
    }
}

pub(crate) fn credentials<'a>(request: &Request<'a>) -> Credentials<'a> {
    // What has no body is a GET here: every other method is the library's.
    let said = Credentials::of(lines(request), http::Version::HTTP_11, None);
    Credentials { reads: request.body_bytes.is_none(), ..said }
}

fn lines<'a>(request: &Request<'a>) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    request.headers.iter().map(|(name, value)| (*name, value.as_bytes()))
}

fn route_publish(gateway: &Gateway, request: &Request<'_>) -> Route {
    // What is no post the library's route answers.
    let Some(body_bytes) = request.body_bytes else { return Route::Library };
    let key = request.header("idempotency-key");
    // Nor what is wrong with the address.
    let Ok(token) = query_token(request.query) else { return Route::Library };
    let credentials = Credentials { token: token.as_deref(), ..credentials(request) };
    Route::Publish(Box::new(Posting::new(gateway, &credentials, key, body_bytes)))
}

fn route_socketio(gateway: &Arc<Gateway>, place: &Place, address: IpAddr, request: &Request<'_>) -> Route {
    let asking = requests::Request {
        method: if request.body_bytes.is_some() { "POST" } else { "GET" },
        path: request.path,
        query: request.query,
        credentials: credentials(request),
        address,
        listener: &place.listener,
        arrival: place.arrival(gateway),
    };
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let asked = requests::engine_request(gateway, &asking, headers);
    let origin = gateway.admission.gate.check_place(&asking.credentials).ok().flatten();
    Route::SocketIo(Box::new(asked), origin.map(Into::into), request.body_bytes.unwrap_or(0))
}

fn route_websocket(
    gateway: &Gateway,
    request: &Request<'_>,
    stream: &StreamRequest<'_>,
) -> Result<Route, Refusal> {
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let Ok(accepted) = accept("GET", headers, Subprotocols::Only(SUBPROTOCOL)) else {
        // The library's route answers what is wrong with the handshake.
        return Ok(Route::Library);
    };
    let admitted = gateway.admission.admit_websocket(stream)?;
    Ok(Route::WebSocket(accepted, Box::new(admitted)))
}

fn route_poll(
    gateway: &Gateway,
    request: &Request<'_>,
    stream: &StreamRequest<'_>,
) -> Result<Route, Refusal> {
    let admitted = gateway.admission.admit(stream)?;
    admitted.query.require_channels()?;
    let tags = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("if-none-match"));
    let tags: SmallVec<[&str; 1]> = tags.map(|(_, value)| *value).collect();
    let known = (!tags.is_empty()).then(|| tags.join(", ").into());
    Ok(Route::Poll(Box::new(admitted), known))
}

#[cfg(test)]
mod tests {
    use anywire_log::{Clock, Log, MemoryEngine, RetentionRules, SystemClock, TailConfig};
    use tokio::net::TcpListener;

    use super::*;
    use crate::GatewayConfig;

    #[tokio::test]
    async fn a_connection_costs_no_more_for_the_answers_it_may_have_to_wait_for() {
        let (rules, clock) = (RetentionRules::default(), Arc::new(SystemClock) as Arc<dyn Clock>);
        let engine = MemoryEngine::new(rules.clone(), Arc::clone(&clock)).expect("randomness");
        let log = Log::start(Arc::new(engine), rules, TailConfig::default());
        let gateway = Gateway::start(log, GatewayConfig::default(), clock).expect("a sound configuration");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stream = Arc::new(TcpStream::connect(address).await.expect("a connection"));
        let place = Place { address: address.ip(), listener: "main".into(), arrival: 0.into() };
        let mut poller = None;
        let bytes = size_of_val(&serve_requests(&gateway, &stream, &place, &mut poller));
        assert!(bytes <= 264, "an idle connection's future has {bytes} bytes");
        let request = StreamRequest {
            credentials: Credentials::default(),
            query: "channels=a&wait=5",
            last_event_id: None,
            address: address.ip(),
        };
        let admitted = Box::new(gateway.admission.admit(&request).expect("it is let in"));
        let (gateway, stream) = (&gateway, &stream);
        let poll = PollRequest { gateway, stream, address: address.ip(), admitted, known_tags: None };
        let mut buffer = BytesMut::new();
        let bytes = size_of_val(&poll.serve(&mut poller, &mut buffer));
        assert!(bytes <= 1024, "a waiting poll's future has {bytes} bytes");
    }
}
