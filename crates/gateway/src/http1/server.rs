//! The hot requests of cleartext HTTP/1.1, answered on the socket directly: WebSocket, SSE, polls,
//! publishing.

use std::{io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use anywire_log::Channel;
use anywire_protocol::{
    Code, Refusal,
    head::{self, Head, Request},
    sse,
    websocket::{Accepted, SUBPROTOCOL, accept},
};
use bytes::{Buf, BytesMut};
use smallvec::{SmallVec, smallvec};
use tokio::{net::TcpStream, time::Sleep};

use crate::{
    Gateway,
    admission::auth::{Credentials, Principal},
    clients::Polled,
    delivery::{Mode, Outcome, PollTerms, Reader, SocketSink, Wire},
    gateway::{Admitted, OpenReader, StreamRequest},
    http1::connection::{Input, drive, say_last_words},
    http1::{
        reply::{send, whole},
        socket::{Flow, read_ready, write_all},
        waiting::watch_socket,
    },
    listener::Place,
    metrics::Transport,
    reply::Reply,
    transports::poll::Poll,
    transports::publish::Posting,
    transports::socketio,
    transports::websocket,
};

/// How long a client may take for a request head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long an idle connection is kept for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

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
    SocketIo(Box<socketio::Asked>, Option<Box<str>>, usize),
    Publish(Box<Posting>),
    Refused(Box<Refused>),
    Library,
}

/// A request that is refused by its head.
struct Refused {
    reply: Reply,
    /// Of the page that may read why.
    origin: Option<Box<str>>,
    /// The client wants the connection to end.
    closes: bool,
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
    let address = place.address;
    let mut bytes = BytesMut::new();
    let mut patience = HEAD_TIME;
    loop {
        // Boxed, and gone when the request is known: an idle connection keeps only what comes after.
        let Some(route) = Box::pin(next_route(gateway, stream, place, &mut bytes, patience)).await else {
            return After::Close;
        };
        match route {
            Route::Library => return After::Library(bytes),
            Route::Refused(refused) => {
                let recipient = gateway.recipient(refused.origin.as_deref());
                let recipient = if refused.closes { recipient.last() } else { recipient };
                if !Box::pin(send(stream, &gateway.metrics, &refused.reply, recipient)).await {
                    return After::Close;
                }
            }
            Route::WebSocket(accepted, admitted) => {
                let reply = Reply::switching(&accepted);
                if Box::pin(write_all(stream, &whole(&reply, gateway.recipient(None)))).await.is_ok() {
                    let (gateway, stream) = (Arc::clone(gateway), Arc::clone(stream));
                    Box::pin(websocket::serve_direct(gateway, stream, admitted, address)).await;
                }
                return After::Close;
            }
            Route::SocketIo(asked, origin, body_bytes) => {
                let serve =
                    socketio::serve_direct(gateway, stream, *asked, origin, address, &mut bytes, body_bytes);
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
                Box::pin(serve_sse(gateway, stream, admitted, address)).await;
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

/// What the next request asks for; `None` when none comes in time, or none may come any more.
async fn next_route(
    gateway: &Arc<Gateway>,
    stream: &TcpStream,
    place: &Place,
    bytes: &mut BytesMut,
    patience: Duration,
) -> Option<Route> {
    tokio::select! {
        read = tokio::time::timeout(patience, read_head(gateway, stream, place, bytes)) => read.ok()?.ok()?,
        () = gateway.closing.cancelled() => None,
    }
}

/// Reads until a head is complete and says what it asks for; `None` at the end of the connection.
async fn read_head(
    gateway: &Arc<Gateway>,
    stream: &TcpStream,
    place: &Place,
    bytes: &mut BytesMut,
) -> io::Result<Option<Route>> {
    loop {
        if !bytes.is_empty() {
            match head::parse(bytes) {
                Head::Partial => {}
                Head::Other => return Ok(Some(Route::Library)),
                Head::Complete(request) => {
                    let length = request.bytes;
                    let route = route(gateway, place, &request);
                    if !matches!(route, Route::Library) {
                        bytes.advance(length);
                    }
                    if bytes.is_empty() {
                        *bytes = BytesMut::new();
                    }
                    return Ok(Some(route));
                }
            }
        }
        stream.readable().await?;
        let take = |fresh: &mut [u8]| {
            bytes.extend_from_slice(fresh);
            Flow::Go
        };
        if read_ready(stream, take) == Some(Flow::End) {
            return Ok(None);
        }
    }
}

fn route(gateway: &Arc<Gateway>, place: &Place, request: &Request<'_>) -> Route {
    let closes =
        request.header("connection").is_some_and(|value| value.to_ascii_lowercase().contains("close"));
    let last_event_id = match request.path {
        path if gateway.socketio.owns(path) && !closes => return route_socketio(gateway, place, request),
        "/anywire/publish" if !closes => return route_publish(gateway, request),
        _ if request.body_bytes.is_some() => return Route::Library,
        "/anywire/ws" => None,
        "/anywire/sse" => request.header("last-event-id"),
        "/anywire/poll" if !closes => None,
        _ => return Route::Library,
    };
    let stream = StreamRequest { credentials: credentials(request), query: request.query, last_event_id };
    let routed = match request.path {
        "/anywire/ws" => route_websocket(gateway, request, &stream),
        "/anywire/sse" => gateway.admit_sse(&stream).map(|admitted| Route::Sse(Box::new(admitted))),
        _ => route_poll(gateway, request, &stream),
    };
    routed.unwrap_or_else(|refusal| {
        let origin = gateway.gate.check_place(&stream.credentials).ok().flatten().map(Into::into);
        Route::Refused(Box::new(Refused { reply: refusal.into(), origin, closes }))
    })
}

fn credentials<'a>(request: &Request<'a>) -> Credentials<'a> {
    Credentials {
        host: request.header("host"),
        origin: request.header("origin"),
        authorization: request.header("authorization"),
        token: None,
    }
}

fn route_publish(gateway: &Gateway, request: &Request<'_>) -> Route {
    // What is no post the library's route answers.
    let Some(body_bytes) = request.body_bytes else { return Route::Library };
    let key = request.header("idempotency-key");
    Route::Publish(Box::new(Posting::new(gateway, &credentials(request), key, body_bytes)))
}

fn route_socketio(gateway: &Arc<Gateway>, place: &Place, request: &Request<'_>) -> Route {
    let asking = socketio::Request {
        method: if request.body_bytes.is_some() { "POST" } else { "GET" },
        path: request.path,
        query: request.query,
        credentials: credentials(request),
        address: place.address,
        listener: &place.listener,
        arrival: place.arrival(gateway),
    };
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let asked = gateway.ask_socketio(&asking, headers);
    let origin = gateway.gate.check_place(&asking.credentials).ok().flatten();
    Route::SocketIo(Box::new(asked), origin.map(Into::into), request.body_bytes.unwrap_or(0))
}

fn route_websocket(
    gateway: &Gateway,
    request: &Request<'_>,
    stream: &StreamRequest<'_>,
) -> Result<Route, Refusal> {
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let Ok(accepted) = accept("GET", headers, &[SUBPROTOCOL]) else {
        // The library's route answers what is wrong with the handshake.
        return Ok(Route::Library);
    };
    let admitted = gateway.admit_websocket(stream)?;
    Ok(Route::WebSocket(accepted, Box::new(admitted)))
}

fn route_poll(
    gateway: &Gateway,
    request: &Request<'_>,
    stream: &StreamRequest<'_>,
) -> Result<Route, Refusal> {
    let admitted = gateway.admit(stream)?;
    admitted.query.require_channels()?;
    let tags = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("if-none-match"));
    let tags: SmallVec<[&str; 1]> = tags.map(|(_, value)| *value).collect();
    let known = (!tags.is_empty()).then(|| tags.join(", ").into());
    Ok(Route::Poll(Box::new(admitted), known))
}

impl Gateway {
    pub(crate) fn admit_websocket(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        self.gate.check_place(&request.credentials)?;
        if self.lab.blocks_websocket() {
            let message = "the network lab blocks WebSocket; use SSE, or lift the block";
            return Err(Refusal::new(Code::TransportBlocked, message));
        }
        self.admit_for_now(request)
    }

    /// How long a token lasts, in milliseconds; `None` for ever.
    pub(crate) fn token_left_ms(&self, principal: &Principal) -> Option<u64> {
        principal.expires_at().map(|at| at.millis_since(self.clock.now()))
    }

    /// How long a poll waits: as it asked, but not beyond its token.
    pub(crate) fn wait_ms(&self, admitted: &Admitted) -> u64 {
        let asked_ms = u64::from(admitted.query.wait_s) * 1000;
        self.token_left_ms(&admitted.principal).map_or(asked_ms, |left_ms| asked_ms.min(left_ms))
    }

    pub(crate) fn admit_sse(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        let admitted = self.admit(request)?;
        admitted.query.require_channels()?;
        Ok(admitted)
    }

    /// Starts the stream of a request that was let in: the first block, and a gap if its position makes one.
    pub(crate) fn begin_sse(&self, reader: &Arc<Reader>, admitted: &Admitted) {
        let channels = &admitted.query.channels;
        let position = admitted.query.after.unwrap_or_default();
        let mut gap = false;
        reader.change(|subscription| {
            let started = self.log.subscribe(subscription, channels, position);
            let mut blocks = smallvec![sse::first_block(self.log.cursor(started.after))];
            if let Some(found) = &started.gap {
                blocks.push(sse::gap_block(found));
                gap = true;
            }
            blocks
        });
        self.note_start(reader, position, gap);
        self.watch(reader, channels);
        if admitted.query.presence {
            self.presence.join(reader, channels);
        }
    }
}

/// SSE has nothing to say after its request; it ends with its token.
struct Silent(TokenEnd);

/// When a token runs out; none where it does not.
type TokenEnd = Option<Pin<Box<Sleep>>>;

pub(crate) fn token_end(left_ms: Option<u64>) -> TokenEnd {
    left_ms.map(|left_ms| Box::pin(tokio::time::sleep(Duration::from_millis(left_ms))))
}

/// Resolves when the token has run out.
pub(crate) async fn token_over(end: &mut TokenEnd) {
    match end {
        Some(sleep) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}

impl Input for Silent {
    async fn timer(&mut self) -> Flow {
        token_over(&mut self.0).await;
        Flow::End
    }

    fn receive(&mut self, _bytes: &mut [u8]) -> Flow {
        Flow::Go
    }

    async fn act(&mut self) -> Flow {
        Flow::Go
    }
}

async fn serve_sse(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    admitted: Box<Admitted>,
    address: IpAddr,
) {
    let recipient = gateway.recipient(admitted.origin.as_deref()).last();
    if write_all(stream, &whole(&Reply::stream(), recipient)).await.is_err() {
        return;
    }
    let reader = gateway.open_reader(Transport::Sse, &admitted, address, Wire::Direct(Arc::clone(stream)));
    gateway.begin_sse(&reader, &admitted);
    let end = token_end(gateway.token_left_ms(&admitted.principal));
    drop(admitted);
    drive(gateway, &reader, stream, &mut Silent(end)).await;
}

/// One poll on a connection that the gateway owns.
struct PollRequest<'a> {
    gateway: &'a Arc<Gateway>,
    stream: &'a Arc<TcpStream>,
    address: IpAddr,
    admitted: Box<Admitted>,
    /// `If-None-Match`.
    known_tags: Option<Box<str>>,
}

impl PollRequest<'_> {
    /// Answers it; whether the connection goes on.
    async fn serve(&self, poller: &mut Option<OpenReader>, bytes: &mut BytesMut) -> bool {
        let query = &self.admitted.query;
        let log = &self.gateway.log;
        let mut poll = Poll::begin(log, &query.channels, query.after.unwrap_or_default(), query.limit);
        let reply = match self.read(&mut poll).await {
            Ok(None) if query.wait_s > 0 => return self.wait(poll, poller, bytes).await.is_ok(),
            Ok(None) => {
                self.note(poll.idle_cursor(log).offset, 0, false);
                poll.reply_idle(log, &self.admitted, self.known_tags.as_deref())
            }
            Ok(Some(reply)) => reply,
            Err(refusal) => refusal.into(),
        };
        self.send(&reply).await
    }

    /// The answer, if there is anything.
    async fn read(&self, poll: &mut Poll) -> Result<Option<Reply>, Refusal> {
        let Some(answer) = poll.read(&self.gateway.log).await? else { return Ok(None) };
        self.note(answer.cursor.offset, poll.delivered(), poll.told_gap());
        Ok(Some(Reply::events(answer, self.admitted.credentials)))
    }

    async fn send(&self, reply: &Reply) -> bool {
        let recipient = self.gateway.recipient(self.admitted.origin.as_deref());
        send(self.stream, &self.gateway.metrics, reply, recipient).await
    }

    fn note(&self, offset: anywire_log::Offset, events: usize, gap: bool) {
        let query = &self.admitted.query;
        self.gateway.note_poll(&Polled {
            address: self.address,
            client: query.client.as_deref(),
            channels: &query.channels,
            offset,
            events,
            gap,
            waits: query.wait_s > 0,
        });
    }

    /// Waits until there is something, or the time is over. The fan-out answers; this task only sees to the
    /// socket.
    async fn wait(
        &self,
        poll: Poll,
        poller: &mut Option<OpenReader>,
        bytes: &mut BytesMut,
    ) -> io::Result<()> {
        let reader = self.poller(poller);
        let now_ms = self.gateway.delivery.now_ms();
        let terms = PollTerms {
            origin: self.admitted.origin.as_deref().map(Into::into),
            credentials: self.admitted.credentials,
            limit: poll.limit(),
            caching: poll.caching(),
            deadline_ms: now_ms + self.gateway.wait_ms(&self.admitted),
            cursor: poll.idle_cursor(&self.gateway.log),
        };
        reader.wake_on_answer(false);
        self.begin(&reader, poll, terms).await?;
        loop {
            match reader.drain(&self.gateway.delivery, &mut SocketSink(self.stream), None) {
                Outcome::Answered => return Ok(()),
                Outcome::Full => self.stream.writable().await?,
                Outcome::Live | Outcome::More => {}
                Outcome::Behind(_) => match reader.take_poll() {
                    None => return Ok(()),
                    Some((subscription, terms)) => {
                        let mut poll = Poll::resume(subscription, terms.limit, terms.caching, terms.cursor);
                        if let Some(reply) =
                            self.read(&mut poll).await.unwrap_or_else(|error| Some(error.into()))
                        {
                            return self.send_or_end(&reply).await;
                        }
                        self.begin(&reader, poll, terms).await?;
                    }
                },
                Outcome::Broken => {
                    // It was told why it ends, unless the connection is broken.
                    say_last_words(&reader, self.stream).await;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            }
            let waits = || reader.mode() == Mode::Live;
            while waits() {
                watch_socket(self.stream, bytes, &reader, waits).await?;
            }
            if reader.mode() == Mode::Idle {
                return Ok(());
            }
        }
    }

    /// Leaves the poll to the fan-out, unless its connection has ended.
    async fn begin(&self, reader: &Reader, poll: Poll, terms: PollTerms) -> io::Result<()> {
        match reader.begin_poll(poll.subscription, terms) {
            true => Ok(()),
            false => self.send_or_end(&self.gateway.shutting_down().into()).await,
        }
    }

    async fn send_or_end(&self, reply: &Reply) -> io::Result<()> {
        if self.send(reply).await { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
    }

    /// The connection's reader, watching the request's channels.
    fn poller(&self, poller: &mut Option<OpenReader>) -> Arc<Reader> {
        let open = || {
            let wire = Wire::Direct(Arc::clone(self.stream));
            self.gateway.open_reader(Transport::LongPoll, &self.admitted, self.address, wire)
        };
        let fresh = poller.is_none();
        let reader = poller.get_or_insert_with(open);
        let wanted = &self.admitted.query.channels;
        let known: Vec<Channel> =
            if fresh { vec![] } else { reader.stats(anywire_log::Offset::ZERO).channels };
        for channel in known.iter().filter(|channel| !wanted.contains(channel)) {
            self.gateway.fanout.unwatch_reader(reader, channel);
        }
        let missing: Vec<Channel> =
            wanted.iter().filter(|channel| !known.contains(channel)).cloned().collect();
        self.gateway.watch(reader, &missing);
        Arc::clone(&**reader)
    }
}
