//! The server's own routes: health, metrics, what is going on, and the network lab (docs/http-api.md).

use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

use anywire_access::is_secret;
use anywire_app::{
    description::schemas::{ChannelName, CursorText, Time, True},
    http::{self, ApiError, Body, Query, whole_body},
};
use anywire_gateway::Gateway;
use anywire_log::{Clock, Log, SystemClock, Timestamp};
use anywire_protocol::{Code, json::iso_time};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prometheus_client::registry::Registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{overview::Overview, restart::Restart, storage};
use spelled::{Carrier, ClientState, TransportName};

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
const LIST_MAX: usize = 1000;
const LIST_DEFAULT: usize = 200;
/// The longest cut of the network lab, in milliseconds.
const CUT_MS_MAX: u64 = 60_000;
/// The largest body of a change of the lab, in bytes.
const LAB_BYTES_MAX: usize = 64 << 10;

/// How many channels are listed for nobody.
const SECRET_CHANNELS: usize = 2;

/// What the routes answer from and act on.
pub(crate) struct ApiState {
    pub(crate) log: Arc<Log>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) overview: Arc<Overview>,
    pub(crate) registry: Registry,
    pub(crate) restart: Restart,
}

/// Routes that everybody may ask.
pub(crate) fn open_routes(state: &Arc<ApiState>) -> Router {
    LazyLock::force(&STARTED);
    Router::new()
        .route("/api/health", get(health))
        .route("/api/health/live", get(async || Json(Live { live: true })))
        .route("/api/health/ready", get(ready))
        .with_state(Arc::clone(state))
}

/// Routes for back ends and the console.
pub(crate) fn routes(state: &Arc<ApiState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/api/overview", get(overview))
        .route("/api/delivery/clients", get(clients))
        .route("/api/channels", get(channels))
        .route("/api/lab", get(lab).post(set_lab).layer(DefaultBodyLimit::max(LAB_BYTES_MAX)))
        .route("/api/lab/restart", post(restart))
        .with_state(Arc::clone(state))
}

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// How the server is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: HealthStatus,
    /// The process runs.
    #[schemars(with = "True")]
    live: bool,
    /// It can be sent work.
    ready: bool,
    version: &'static str,
    /// The log's incarnation.
    #[schemars(regex(pattern = "^[0-9a-f]{8}$"))]
    epoch: String,
    /// Where the log ends.
    #[schemars(with = "CursorText")]
    tail: String,
    /// Seconds since the start.
    uptime_s: u64,
    storage: Storage,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum HealthStatus {
    Ok,
    Degraded,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Storage {
    /// `embedded` or `memory`.
    engine: &'static str,
    /// `ok`, or what is wrong.
    state: String,
    /// What is stored.
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Live {
    #[schemars(with = "True")]
    live: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Ready {
    ready: bool,
}

async fn health(State(state): State<Arc<ApiState>>) -> Response {
    let engine = state.log.engine();
    let ready = engine.writable().is_ok();
    let body = Health {
        status: if ready { HealthStatus::Ok } else { HealthStatus::Degraded },
        live: true,
        ready,
        version: env!("CARGO_PKG_VERSION"),
        epoch: state.log.epoch().to_string(),
        tail: state.log.tail_cursor().to_string(),
        uptime_s: STARTED.elapsed().as_secs(),
        storage: Storage {
            engine: engine.name(),
            state: storage::state(engine),
            bytes: engine.stored_bytes(),
        },
    };
    (ready_status(ready), NO_STORE, Json(body)).into_response()
}

async fn ready(State(state): State<Arc<ApiState>>) -> Response {
    let ready = state.log.engine().writable().is_ok();
    (ready_status(ready), NO_STORE, Json(Ready { ready })).into_response()
}

const fn ready_status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(state): State<Arc<ApiState>>) -> Response {
    state.gateway.metrics().set_pollers(state.gateway.pollers());
    let mut page = String::new();
    if prometheus_client::encoding::text::encode(&mut page, &state.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page).into_response()
}

async fn overview(State(state): State<Arc<ApiState>>) -> Response {
    (NO_STORE, Json(state.overview.newest())).into_response()
}

/// What part of a list is wanted.
struct Page {
    limit: usize,
    prefix: String,
}

impl Page {
    fn of(query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            limit: query.number("limit", 0..=LIST_MAX)?.unwrap_or(LIST_DEFAULT),
            prefix: query.text("prefix")?.unwrap_or_default().to_owned(),
        })
    }
}

/// Who is connected.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Clients {
    /// All there are, listed or not.
    total: usize,
    clients: Vec<Client>,
}

/// One who is connected.
#[derive(Serialize, JsonSchema)]
struct Client {
    /// The name it gave itself, or one the server made.
    client: String,
    #[schemars(with = "TransportName")]
    transport: &'static str,
    address: String,
    /// The `sub` of its token.
    user: Option<String>,
    #[schemars(with = "Vec<ChannelName>")]
    channels: Vec<String>,
    #[schemars(with = "CursorText")]
    cursor: String,
    /// What its application said it has dealt with.
    #[schemars(with = "Option<CursorText>")]
    acked: Option<String>,
    /// Offsets between it and the tail; 0 when it is live.
    lag: u64,
    #[schemars(with = "ClientState")]
    state: &'static str,
    #[schemars(with = "Time")]
    connected_at: String,
    /// Subscriptions that began with a cursor.
    resumes: u32,
    /// Gaps it was told of.
    gaps: u32,
    /// Events written to it.
    delivered: u64,
    /// Bytes written to it.
    bytes: u64,
    /// What carries a Socket.IO client's packets; null for others.
    #[schemars(with = "Option<Carrier>")]
    carrier: Option<&'static str>,
    /// A Socket.IO client's namespaces; empty for others.
    namespaces: Vec<Namespace>,
}

/// A namespace that a Socket.IO client is connected to.
#[derive(Serialize, JsonSchema)]
struct Namespace {
    name: String,
    /// The client's public id in this namespace.
    socket: String,
    user: Option<String>,
    rooms: Vec<String>,
}

/// How the gateway spells transports, states and carriers.
mod spelled {
    #![expect(dead_code, reason = "these are there for their schemas")]

    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[schemars(rename = "Transport", rename_all = "lowercase")]
    pub(super) enum TransportName {
        Websocket,
        Sse,
        Longpoll,
        Poll,
        Socketio,
    }

    #[derive(JsonSchema)]
    #[schemars(inline, rename_all = "snake_case")]
    pub(super) enum ClientState {
        Live,
        CatchingUp,
        /// Its socket is full.
        Blocked,
        /// A long-poll.
        Waiting,
        /// It asks now and then.
        Polling,
    }

    #[derive(JsonSchema)]
    #[schemars(inline, rename_all = "lowercase")]
    pub(super) enum Carrier {
        Websocket,
        Polling,
    }
}

async fn clients(State(state): State<Arc<ApiState>>, query: Query) -> Result<Response, ApiError> {
    let page = Page::of(&query)?;
    let (total, clients) = state.gateway.clients(page.limit);
    let body = Clients { total, clients: clients.into_iter().map(Client::of).collect() };
    Ok((NO_STORE, Json(body)).into_response())
}

impl Client {
    fn of(client: anywire_gateway::Client) -> Self {
        Self {
            client: client.client,
            transport: client.transport.as_str(),
            address: client.address.to_string(),
            user: client.user,
            channels: client.channels.iter().map(ToString::to_string).collect(),
            cursor: client.cursor.to_string(),
            acked: client.acked.map(|cursor| cursor.to_string()),
            lag: client.lag,
            state: client.state,
            connected_at: iso_time(client.connected_at),
            resumes: client.resumes,
            gaps: client.gaps,
            delivered: client.delivered,
            bytes: client.bytes,
            carrier: client.carrier,
            namespaces: client.namespaces.iter().map(Namespace::of).collect(),
        }
    }
}

impl Namespace {
    fn of(connected: &anywire_gateway::ConnectedNamespace) -> Self {
        Self {
            name: connected.namespace.to_string(),
            socket: connected.socket.to_string(),
            user: connected.user.as_ref().map(ToString::to_string),
            rooms: connected.rooms.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Channels with kept events, in the order of their names.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Channels {
    channels: Vec<ChannelState>,
}

#[derive(Serialize, JsonSchema)]
struct ChannelState {
    #[schemars(with = "ChannelName")]
    channel: String,
    /// How many events of it are kept.
    events: u64,
    /// The place of its newest event in the log.
    last_offset: u64,
    /// How many readers follow it.
    subscribers: usize,
}

async fn channels(State(state): State<Arc<ApiState>>, query: Query) -> Result<Response, ApiError> {
    let page = Page::of(&query)?;
    // Those of accounts and of the audit trail are nobody's business.
    let listed = state.log.engine().channels(&page.prefix, page.limit + SECRET_CHANNELS);
    let listed = listed.into_iter().filter(|(channel, _)| !is_secret(channel)).take(page.limit);
    let listed: Vec<_> = listed.collect();
    let one = |(channel, kept): &(anywire_log::Channel, anywire_log::ChannelState)| ChannelState {
        channel: channel.to_string(),
        events: kept.events,
        last_offset: kept.last.get(),
        subscribers: state.gateway.subscribers(channel),
    };
    Ok((NO_STORE, Json(Channels { channels: listed.iter().map(one).collect() })).into_response())
}

/// Which faults are on.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Lab {
    /// Whether the server was started with `--lab`.
    enabled: bool,
    /// New WebSockets are refused.
    block_websocket: bool,
    /// Server-sent events are held back, as by a proxy that buffers.
    buffer_sse: bool,
    /// Until when nobody is let in.
    #[schemars(with = "Option<Time>")]
    cut_until: Option<String>,
    /// A restart was asked for.
    restarting: bool,
}

fn lab_state(state: &ApiState) -> Lab {
    let lab = state.gateway.lab();
    let now_ms = u64::try_from(SystemClock.now().as_millis()).unwrap_or_default();
    let until = i64::try_from(lab.cut_until_ms(now_ms)).ok().filter(|until| *until > 0);
    Lab {
        enabled: lab.is_enabled(),
        block_websocket: lab.blocks_websocket(),
        buffer_sse: lab.buffers_sse(),
        cut_until: until.map(|until| iso_time(Timestamp::from_millis(until))),
        restarting: state.restart.is_wanted(),
    }
}

async fn lab(State(state): State<Arc<ApiState>>) -> Response {
    (NO_STORE, Json(lab_state(&state))).into_response()
}

/// Which faults to switch; what is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabChange {
    block_websocket: Option<bool>,
    buffer_sse: Option<bool>,
    /// For how long every connection is ended and nobody let in, in milliseconds; 0 ends it.
    #[schemars(range(max = CUT_MS_MAX))]
    cut_ms: Option<u64>,
}

/// The state of a server whose lab is on. An extractor, so that nobody is asked for a body in vain.
struct InLab(Arc<ApiState>);

impl FromRequestParts<Arc<ApiState>> for InLab {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, state: &Arc<ApiState>) -> Result<Self, ApiError> {
        let off = || ApiError::new(Code::Forbidden, "the network lab is off; start the server with --lab");
        if state.gateway.lab().is_enabled() { Ok(Self(Arc::clone(state))) } else { Err(off()) }
    }
}

async fn set_lab(InLab(state): InLab, body: Body) -> Result<Response, ApiError> {
    let body = whole_body(body, LAB_BYTES_MAX, "send less")?;
    let change: LabChange = http::parse_json(&body, "a change of the lab")?;
    if let Some(cut_ms) = change.cut_ms.filter(|cut_ms| *cut_ms > CUT_MS_MAX) {
        return Err(http::invalid(format!("\"cut_ms\" is {cut_ms}; expected 0 to {CUT_MS_MAX}")));
    }
    if let Some(on) = change.block_websocket {
        state.gateway.lab_block_websocket(on);
    }
    if let Some(on) = change.buffer_sse {
        state.gateway.lab_buffer_sse(on);
    }
    if let Some(cut_ms) = change.cut_ms {
        state.gateway.lab_cut(cut_ms);
    }
    Ok((NO_STORE, Json(lab_state(&state))).into_response())
}

async fn restart(InLab(state): InLab) -> Response {
    state.restart.want();
    (StatusCode::ACCEPTED, Json(lab_state(&state))).into_response()
}

/// Answers a method that a route does not know; the router adds `Allow`.
pub(crate) async fn method_not_allowed(request: Request) -> Response {
    let message = format!("{} does not answer {}; see Allow", request.uri().path(), request.method());
    ApiError::new(Code::MethodNotAllowed, message).into_response()
}
