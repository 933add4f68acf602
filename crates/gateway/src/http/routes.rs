//! The gateway's routes for the HTTP library: publishing, presence, and the same transports over TLS, HTTP/2
//! and other people's servers.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anywire_log::Channel;
use anywire_protocol::{
    Code, Refusal,
    head::{HEAD_BYTES_MAX, HEADERS_MAX, counted_bytes},
    native::write_presence,
    request::query_token,
    websocket::{SUBPROTOCOL, Subprotocols, accept},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::{
    body::read_within,
    caller::find_caller,
    reply::{Preflight, Refused, for_pages},
    request::{address, credentials, known_address, lines},
    streams::Streams,
    tickets,
    upgrade::switch,
};
use crate::{
    Gateway,
    admission::{
        auth::Gate,
        credentials::Credentials,
        entry::{Admission, Admitted, StreamRequest},
        place::{ClientAddress, SlowBody},
        rights::Rights as _,
        single,
    },
    delivery::{BufferSink, Mode, Outcome, Wire},
    http1::connection::fetch,
    http1::pace::too_slow,
    listener::cleartext::{CleartextIo, with_plain_socket},
    metrics::Transport,
    pollers::Polled,
    readers::OpenReader,
    reply::Reply,
    transports::{
        poll::Poll,
        publish::publish as publish_body,
        socketio::{http::respond, requests::forbidden},
        sse::{self as sse_stream, token_end, token_over},
        websocket,
    },
};

impl Gateway {
    /// The routes under `/anywire/`, with authorization, origins and CORS, for an axum application.
    pub fn router(self: &Arc<Self>) -> Router {
        self.protect(self.routes())
    }

    /// The routes under `/anywire/` without protection; see [`Gateway::protect`].
    pub fn routes(self: &Arc<Self>) -> Router {
        let mut routes = Router::new();
        for path in self.socketio.paths() {
            routes = routes.route(&path, any(respond));
        }
        routes
            .route("/anywire/publish", post(publish))
            .route("/anywire/tickets", post(tickets::issue))
            .route("/anywire/poll", get(poll))
            .route("/anywire/sse", get(sse))
            .route("/anywire/ws", any(ws))
            .route("/anywire/presence", get(presence))
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(Arc::clone(self))
    }

    /// Puts the check of hosts and origins, and CORS, in front of routes.
    pub fn protect(self: &Arc<Self>, routes: Router) -> Router {
        routes.layer(axum::middleware::from_fn_with_state(Arc::clone(self), check_place))
    }

    /// Lets only those reach the routes of a part of the server who may use it: `app:read` for what only
    /// reads, `app:manage` for everything else.
    pub fn guard(self: &Arc<Self>, app: &'static str, routes: Router) -> Router {
        let guarded = Guarded { gateway: Arc::clone(self), app };
        routes.layer(axum::middleware::from_fn_with_state(guarded, check_rights))
    }
}

impl Gateway {
    /// Says to the routes of a part of the server who asks, and lets them decide themselves who may.
    pub fn identify(self: &Arc<Self>, routes: Router) -> Router {
        routes.layer(axum::middleware::from_fn_with_state(Arc::clone(self), say_who))
    }
}

async fn say_who(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    match find_caller(&gateway, &request, Gate::principal_or_nobody) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => Refused(refusal).into_response(),
    }
}

async fn check_place(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    if let Some(peer) = known_address(&request) {
        let client = gateway.admission.client(peer, lines(request.headers()));
        request.extensions_mut().insert(ClientAddress(client));
    }
    let placed = gateway.admission.gate.check_peer(known_address(&request));
    let placed = placed.and_then(|()| gateway.admission.gate.check_place(&credentials(&request)));
    let origin = placed.as_ref().ok().copied().flatten().map(str::to_owned);
    let preflight = Preflight::of(&request);
    let mut response = match placed {
        Err(refusal) if gateway.socketio.owns(request.uri().path()) => {
            Reply::engine_error(&forbidden(refusal)).into_response()
        }
        Err(refusal) => Refused(refusal).into_response(),
        Ok(_) if is_head_too_large(&request) => Refused(Admission::head_too_large()).into_response(),
        Ok(_) if let Some(name) = repeated(&gateway, &request) => {
            Refused(single::refusal(name)).into_response()
        }
        Ok(_) if is_encoded(&request) => {
            let message = "the body is encoded (Content-Encoding); send it as it is";
            let refused = Refused(Refusal::new(Code::MediaType, message)).into_response();
            ([(header::ACCEPT_ENCODING, "identity")], refused).into_response()
        }
        Ok(_) if preflight.is_some() => StatusCode::NO_CONTENT.into_response(),
        Ok(_) => answer(&gateway, request, next).await,
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        gateway.metrics.refusals.fetch_add(1, Relaxed);
    }
    if !response.status().is_informational() {
        for_pages(response.headers_mut(), &gateway.delivery.cors, origin.as_deref(), preflight.as_ref());
    }
    response
}

/// Lets a route answer; in our words where the body came too slowly, and only as many streams as connections.
async fn answer(gateway: &Arc<Gateway>, request: Request, next: Next) -> Response {
    let slow = request.extensions().get::<SlowBody>().cloned();
    let accept =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let streams = Streams::of(&request);
    let response = next.run(request).await;
    if slow.is_some_and(|slow| slow.is()) {
        return Refused(too_slow()).into_response();
    }
    if !is_stream(&response) {
        return response;
    }
    match streams.hold(&gateway.admission.connections) {
        Ok(held) => response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                // It ends with the body.
                let _held = &held;
                frame
            }))
        }),
        Err(refusal) => sse_stream::refuse(&refusal, accept.as_deref()).into_response(),
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    response.status().is_success() && kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}

/// A header of which there is one, where the request has several.
fn repeated<'g>(gateway: &'g Gateway, request: &Request) -> Option<&'g str> {
    let lines = request.headers().iter().map(|(name, _)| name.as_str());
    single::repeated(&gateway.single_headers, lines)
}

/// Whether the body is compressed, or coded in another way: nobody here decodes it.
fn is_encoded(request: &Request) -> bool {
    let codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// Whether a head is too large, counted as if it had come by HTTP/1.1.
fn is_head_too_large(request: &Request) -> bool {
    let headers = request.headers();
    // HTTP/2 has the host in its target, and may send one line a cookie.
    let host = request.uri().authority().filter(|_| !headers.contains_key(header::HOST));
    let more_cookies = headers.get_all(header::COOKIE).iter().count().saturating_sub(1);
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let lengths = headers.iter().map(|(name, value)| (name.as_str().len(), value.len()));
    let host_length = host.map(|host| ("host".len(), host.as_str().len()));
    let bytes = counted_bytes(request.method().as_str(), target, lengths.chain(host_length));
    let joined_bytes = bytes - more_cookies * ("cookie: \r\n".len() - "; ".len());
    let count = headers.len() - more_cookies + usize::from(host.is_some());
    joined_bytes > HEAD_BYTES_MAX || count > HEADERS_MAX
}

/// A part of the server whose routes need rights.
#[derive(Clone)]
struct Guarded {
    gateway: Arc<Gateway>,
    app: &'static str,
}

async fn check_rights(State(guarded): State<Guarded>, mut request: Request, next: Next) -> Response {
    let action = if request.method().is_safe() { "read" } else { "manage" };
    let caller = find_caller(&guarded.gateway, &request, |gate, credentials| {
        let principal = gate.principal(credentials)?;
        principal.check_do(guarded.app, action)?;
        Ok(principal)
    });
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => return Refused(refusal).into_response(),
    };
    let principal = caller.principal.clone();
    // The keys that a client gives its calls are its own.
    if let Some(scope) = principal.key_scope() {
        request.extensions_mut().insert(scope);
    }
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    match is_stream(&response) {
        true => response.map(|body| guarded.gateway.while_standing(body, principal)),
        false => response,
    }
}

async fn method_not_allowed(request: Request) -> Response {
    let message = format!("{} does not answer {}; see Allow", request.uri().path(), request.method());
    Refused(Refusal::new(Code::MethodNotAllowed, message)).into_response()
}

async fn publish(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Reply, Refused> {
    let token = query_token(request.uri().query().unwrap_or(""))?;
    let credentials = Credentials { token: token.as_deref(), ..credentials(&request) };
    let principal = gateway.admission.gate.principal(&credentials)?;
    let address = address(&request);
    let (parts, body) = request.into_parts();
    let body = publication_body(&gateway, &parts.headers, body).await?;
    let key = parts.headers.get("idempotency-key");
    let key = key.map(|value| std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}"));
    Ok(Reply::published(publish_body(&gateway, &principal, address, key, &body).await?))
}

async fn publication_body(gateway: &Gateway, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let limit = gateway.config.limits.request_bytes_max;
    read_within(gateway, headers, body, limit, |bytes| gateway.admission.body_too_large(bytes)).await
}

async fn presence(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Reply, Refused> {
    let admitted = admit(&gateway, &request, Admission::admit)?;
    let [channel] = admitted.query.channels.as_slice() else {
        let message = "\"channel\" is missing or names several; name one, such as ?channel=news";
        return Err(Refusal::new(Code::InvalidRequest, message).into());
    };
    let (cursor, members) = gateway.readers.presence.members(channel);
    let mut out = vec![b'{'];
    write_presence(&mut out, channel, cursor, &members);
    out.push(b'}');
    Ok(Reply::json(out))
}

type Admit = fn(&Admission, &StreamRequest<'_>) -> Result<Admitted, Refusal>;

fn admit(gateway: &Gateway, request: &Request, admit: Admit) -> Result<Admitted, Refusal> {
    let last_event_id = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    admit(
        &gateway.admission,
        &StreamRequest {
            credentials: credentials(request),
            query: request.uri().query().unwrap_or(""),
            last_event_id: last_event_id.filter(|_| request.uri().path().ends_with("/sse")),
            address: address(request),
        },
    )
}

async fn poll(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Reply, Refused> {
    let admitted = admit(&gateway, &request, Admission::admit)?;
    admitted.query.require_channels()?;
    let query = &admitted.query;
    let mut poll = Poll::begin(&gateway.log, &query.channels, query.after.unwrap_or_default(), query.limit);
    let mut answer = poll.read(&gateway.log).await?;
    if answer.is_none() && query.wait_s > 0 {
        let _held = Streams::of(&request).hold(&gateway.admission.connections)?;
        answer = wait(&gateway, &admitted, &mut poll, address(&request)).await?;
    }
    let cursor = answer.as_ref().map_or(poll.idle_cursor(&gateway.log), |answer| answer.cursor);
    gateway.record_poll(&Polled {
        address: address(&request),
        client: query.client.as_deref(),
        channels: &query.channels,
        offset: cursor.offset,
        events: poll.delivered(),
        gap: poll.told_gap(),
        waits: query.wait_s > 0,
    });
    let known = known_tags(&request);
    Ok(match answer {
        Some(answer) => Reply::events(answer, admitted.credentials),
        None => poll.reply_idle(&gateway.log, &admitted, known.as_deref()),
    })
}

/// `If-None-Match`, all its lines as one.
fn known_tags(request: &Request) -> Option<String> {
    let lines = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let lines: Vec<&str> = lines.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Waits for the first event, as long as the client asked.
async fn wait(
    gateway: &Arc<Gateway>,
    admitted: &Admitted,
    poll: &mut Poll,
    address: IpAddr,
) -> Result<Option<anywire_protocol::poll::Answer>, Refusal> {
    let reader = Open::new(gateway, Transport::LongPoll, admitted, address);
    gateway.readers.watch(&reader.reader, &admitted.query.channels);
    let over = tokio::time::sleep(Duration::from_millis(gateway.admission.wait_ms(admitted)));
    tokio::pin!(over);
    loop {
        // After the watch: what came between the first read and it.
        if let Some(answer) = poll.read(&gateway.log).await? {
            return Ok(Some(answer));
        }
        tokio::select! {
            () = reader.reader.woken() => {}
            () = &mut over => return Ok(None),
        }
        if reader.reader.mode() == Mode::Ended {
            return Err(gateway.why_ended(&admitted.principal));
        }
    }
}

/// The reader of a body or a request.
struct Open {
    gateway: Arc<Gateway>,
    reader: OpenReader,
    /// A waiting poll keeps its subscription to itself: what its reader watches has to be ended by name.
    watched: Vec<Channel>,
}

impl Open {
    fn new(gateway: &Arc<Gateway>, transport: Transport, admitted: &Admitted, address: IpAddr) -> Self {
        let reader = gateway.readers.open(transport, admitted, address, Wire::Woken);
        Self { gateway: Arc::clone(gateway), reader, watched: admitted.query.channels.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for channel in &self.watched {
            self.gateway.readers.fanout.unwatch_reader(&self.reader, channel);
        }
    }
}

async fn sse(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let admitted = match admit(&gateway, &request, Admission::admit_sse) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let reply = sse_stream::refuse(&refusal, accept);
            if reply.status.is_success() {
                // Nobody else sees by its status what it is.
                gateway.metrics.refusals.fetch_add(1, Relaxed);
            }
            return reply.into_response();
        }
    };
    let open = Open::new(&gateway, Transport::Sse, &admitted, address(&request));
    sse_stream::begin(&gateway, &open.reader, &admitted);
    let sink = BufferSink::new(gateway.config.limits.drain_bytes_max);
    let left_ms = gateway.admission.token_left_ms(&admitted.principal);
    let over = token_end(left_ms);
    let chunks = futures_util::stream::unfold((open, sink, over), |(open, mut sink, mut over)| async move {
        let chunk = tokio::select! {
            // First: a reader that always has something to get must not outlive its token.
            biased;
            () = token_over(&mut over) => None,
            chunk = next_chunk(&open, &mut sink) => chunk,
        };
        chunk.map(|chunk| (Ok::<_, Infallible>(chunk), (open, sink, over)))
    });
    Reply::stream().into_response().map(|_| Body::from_stream(chunks))
}

/// The next bytes of a stream that another library writes; `None` at its end.
async fn next_chunk(open: &Open, sink: &mut BufferSink) -> Option<Bytes> {
    let Open { gateway, reader, .. } = open;
    let mut fetched = None;
    loop {
        if reader.mode() == Mode::Ended {
            let words: Vec<u8> = reader.take_unsent().into_iter().flatten().collect();
            return if words.is_empty() { None } else { Some(words.into()) };
        }
        if gateway.lab.buffers_sse() {
            reader.woken().await;
            continue;
        }
        let outcome = reader.drain(&gateway.delivery, sink, fetched.take());
        let chunk = sink.take();
        if let Outcome::Behind(request) = outcome {
            // What is read now belongs after what is in the chunk: it waits in the reader's cursor.
            if !chunk.is_empty() {
                return Some(chunk);
            }
            fetched = fetch(gateway, request).await;
            continue;
        }
        if !chunk.is_empty() {
            return Some(chunk);
        }
        reader.woken().await;
    }
}

async fn ws(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Result<Response, Refused> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let accepted = match accept(request.method().as_str(), headers, Subprotocols::Only(SUBPROTOCOL)) {
        Ok(accepted) => accepted,
        Err(error) => return Ok(Reply::handshake_error(&error).into_response()),
    };
    let admitted = Box::new(admit(&gateway, &request, Admission::admit_websocket)?);
    let address = address(&request);
    let serve = move |gateway, upgraded| serve_upgraded(gateway, upgraded, admitted, address);
    Ok(switch(&gateway, &mut request, &accepted, serve))
}

/// Takes the socket back from the HTTP library if it is a plain one, so that the fan-out writes to it
/// directly.
async fn serve_upgraded(gateway: Arc<Gateway>, upgraded: Upgraded, admitted: Box<Admitted>, address: IpAddr) {
    match with_plain_socket(upgraded) {
        Ok((stream, read)) if read.is_empty() => {
            websocket::serve_direct(gateway, stream, admitted, address).await;
        }
        Ok((stream, read)) => {
            // The client sent frames before the answer to its upgrade: let the slower path replay them.
            websocket::serve_woken(gateway, CleartextIo::new(stream, read), admitted, address).await;
        }
        Err(upgraded) => websocket::serve_woken(gateway, TokioIo::new(upgraded), admitted, address).await,
    }
}
