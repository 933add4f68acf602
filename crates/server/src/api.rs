//! The server's own routes: health, metrics, what is going on, and the network lab (docs/http-api.md).
//!
//! Knows: JSON of the figures. Does not know: where they come from.

use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

use anywire_app::http::{self, ApiError};
use anywire_gateway::{Client, ConnectedNamespace};
use anywire_log::{Clock, SystemClock, Timestamp};
use anywire_protocol::{Code, json::iso_time};
use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Anywire;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
const LIST_MAX: usize = 1000;
const LIST_DEFAULT: usize = 200;
/// The longest cut of the network lab, in milliseconds.
const CUT_MS_MAX: u64 = 60_000;

/// Routes that everybody may ask.
pub(crate) fn open_routes(anywire: &Arc<Anywire>) -> Router {
    LazyLock::force(&STARTED);
    Router::new()
        .route("/api/health", get(health))
        .route("/api/health/live", get(async || Json(json!({ "live": true }))))
        .route("/api/health/ready", get(ready))
        .with_state(Arc::clone(anywire))
}

/// Routes for back ends and the console.
pub(crate) fn routes(anywire: &Arc<Anywire>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/api/overview", get(overview))
        .route("/api/delivery/clients", get(clients))
        .route("/api/channels", get(channels))
        .route("/api/lab", get(lab).post(set_lab))
        .route("/api/lab/restart", post(restart))
        .with_state(Arc::clone(anywire))
}

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

async fn health(State(anywire): State<Arc<Anywire>>) -> Response {
    let engine = anywire.log.engine();
    let writable = engine.writable();
    let ready = writable.is_ok();
    let state = writable.err().map_or("ok".to_owned(), |error| error.to_string());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ready { "ok" } else { "degraded" },
        "live": true,
        "ready": ready,
        "version": env!("CARGO_PKG_VERSION"),
        "epoch": anywire.log.epoch().to_string(),
        "tail": anywire.log.tail_cursor().to_string(),
        "uptime_s": STARTED.elapsed().as_secs(),
        "storage": { "engine": engine.name(), "state": state, "bytes": engine.stored_bytes() },
    });
    (status, NO_STORE, Json(body)).into_response()
}

async fn ready(State(anywire): State<Arc<Anywire>>) -> Response {
    let ready = anywire.log.engine().writable().is_ok();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, NO_STORE, Json(json!({ "ready": ready }))).into_response()
}

async fn metrics(State(anywire): State<Arc<Anywire>>) -> Response {
    anywire.gateway.metrics().set_pollers(anywire.gateway.pollers());
    let mut page = String::new();
    if prometheus_client::encoding::text::encode(&mut page, &anywire.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page).into_response()
}

async fn overview(State(anywire): State<Arc<Anywire>>) -> Response {
    (NO_STORE, Json(anywire.overview.newest())).into_response()
}

/// What part of a list is wanted.
struct Page {
    limit: usize,
    prefix: String,
}

impl Page {
    /// Unknown parameters are left to others: a token may come this way.
    fn parse(query: &[(String, String)]) -> Result<Self, String> {
        let mut page = Self { limit: LIST_DEFAULT, prefix: String::new() };
        for (name, value) in query {
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit <= LIST_MAX);
                    page.limit = limit.ok_or_else(|| {
                        format!("\"limit\" is {value:?}; expected a whole number from 0 to {LIST_MAX}")
                    })?;
                }
                "prefix" => page.prefix.clone_from(value),
                _ => {}
            }
        }
        Ok(page)
    }
}

type Pairs = Query<Vec<(String, String)>>;

async fn clients(State(anywire): State<Arc<Anywire>>, Query(query): Pairs) -> Response {
    let page = match Page::parse(&query) {
        Ok(page) => page,
        Err(message) => return invalid(&message),
    };
    let (total, clients) = anywire.gateway.clients(page.limit);
    let clients: Vec<Value> = clients.iter().map(client).collect();
    (NO_STORE, Json(json!({ "total": total, "clients": clients }))).into_response()
}

fn client(client: &Client) -> Value {
    json!({
        "client": client.client,
        "transport": client.transport.as_str(),
        "address": client.address.to_string(),
        "user": client.user,
        "channels": client.channels.iter().map(anywire_log::Channel::as_str).collect::<Vec<_>>(),
        "cursor": client.cursor.to_string(),
        "acked": client.acked.map(|cursor| cursor.to_string()),
        "lag": client.lag,
        "state": client.state,
        "connected_at": iso_time(client.connected_at),
        "resumes": client.resumes,
        "gaps": client.gaps,
        "delivered": client.delivered,
        "bytes": client.bytes,
        "carrier": client.carrier,
        "namespaces": client.namespaces.iter().map(namespace).collect::<Vec<_>>(),
    })
}

fn namespace(connected: &ConnectedNamespace) -> Value {
    json!({
        "name": connected.namespace,
        "socket": connected.socket,
        "user": connected.user,
        "rooms": connected.rooms.iter().map(anywire_log::Channel::as_str).collect::<Vec<_>>(),
    })
}

async fn channels(State(anywire): State<Arc<Anywire>>, Query(query): Pairs) -> Response {
    let page = match Page::parse(&query) {
        Ok(page) => page,
        Err(message) => return invalid(&message),
    };
    let listed = anywire.log.engine().channels(&page.prefix, page.limit);
    let channels: Vec<Value> = listed
        .iter()
        .map(|(channel, state)| {
            json!({
                "channel": channel.as_str(),
                "events": state.events,
                "last_offset": state.last.get(),
                "subscribers": anywire.gateway.subscribers(channel),
            })
        })
        .collect();
    (NO_STORE, Json(json!({ "channels": channels }))).into_response()
}

fn lab_state(anywire: &Anywire) -> Value {
    let lab = anywire.gateway.lab();
    let now_ms = u64::try_from(SystemClock.now().as_millis()).unwrap_or_default();
    let until = i64::try_from(lab.cut_until_ms(now_ms)).ok().filter(|until| *until > 0);
    json!({
        "enabled": lab.is_enabled(),
        "block_websocket": lab.blocks_websocket(),
        "buffer_sse": lab.buffers_sse(),
        "cut_until": until.map(|until| iso_time(Timestamp::from_millis(until))),
        "restarting": anywire.restart.is_wanted(),
    })
}

async fn lab(State(anywire): State<Arc<Anywire>>) -> Response {
    (NO_STORE, Json(lab_state(&anywire))).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabChange {
    block_websocket: Option<bool>,
    buffer_sse: Option<bool>,
    cut_ms: Option<u64>,
}

async fn set_lab(State(anywire): State<Arc<Anywire>>, body: axum::body::Bytes) -> Response {
    if let Some(refused) = lab_disabled(&anywire) {
        return refused;
    }
    let change: LabChange = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(error) => return invalid(&format!("the body is no change of the lab: {error}")),
    };
    if let Some(cut_ms) = change.cut_ms.filter(|cut_ms| *cut_ms > CUT_MS_MAX) {
        return invalid(&format!("\"cut_ms\" is {cut_ms}; expected 0 to {CUT_MS_MAX}"));
    }
    if let Some(on) = change.block_websocket {
        anywire.gateway.lab_block_websocket(on);
    }
    if let Some(on) = change.buffer_sse {
        anywire.gateway.lab_buffer_sse(on);
    }
    if let Some(cut_ms) = change.cut_ms {
        anywire.gateway.lab_cut(cut_ms);
    }
    (NO_STORE, Json(lab_state(&anywire))).into_response()
}

async fn restart(State(anywire): State<Arc<Anywire>>) -> Response {
    if let Some(refused) = lab_disabled(&anywire) {
        return refused;
    }
    anywire.restart.want();
    (StatusCode::ACCEPTED, Json(lab_state(&anywire))).into_response()
}

/// Answers a method that a route does not know; the router adds `Allow`.
pub(crate) async fn method_not_allowed(request: Request) -> Response {
    let message = format!("{} does not answer {}; see Allow", request.uri().path(), request.method());
    ApiError::new(Code::MethodNotAllowed, message).into_response()
}

fn lab_disabled(anywire: &Anywire) -> Option<Response> {
    let message = "the network lab is off; start the server with --lab";
    (!anywire.gateway.lab().is_enabled()).then(|| ApiError::new(Code::Forbidden, message).into_response())
}

pub(crate) fn invalid(message: &str) -> Response {
    http::invalid(message).into_response()
}
