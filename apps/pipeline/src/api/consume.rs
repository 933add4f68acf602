//! Consumers, counters, lag and the list of records.

use std::sync::Arc;

use anywire_app::{
    ApiError,
    http::{After, Body, Path, Query, invalid, parse_json, whole_body},
};
use anywire_log::{Cursor, Offset};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    body::{BODY_BYTES_MAX, LogEntries, ScaleConsumers, StartConsumer},
    errors::internal,
};
use crate::{consumers::ConsumerPool, domain::ConsumerId};

type Answer = Result<Response, ApiError>;

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
/// How many records a list has when nobody says how many.
const LIST_DEFAULT: usize = 500;

/// `GET /api/consumers`
pub(super) async fn list(State(pool): State<Arc<ConsumerPool>>) -> Response {
    (NO_STORE, Json(pool.consumers())).into_response()
}

/// `GET /api/consumers/statistics`
pub(super) async fn statistics(State(pool): State<Arc<ConsumerPool>>) -> Response {
    let statistics = pool.state.records.read().statistics(pool.state.context.clock.now());
    (NO_STORE, Json(statistics)).into_response()
}

/// `GET /api/consumers/lag`
pub(super) async fn lag(State(pool): State<Arc<ConsumerPool>>) -> Response {
    (NO_STORE, Json(&*pool.state.group_state.newest())).into_response()
}

/// `GET /api/consumers/logs?after=&limit=`: without `after` the newest records, newest first; with it those
/// that changed since, in the order of their changes.
pub(super) async fn logs(State(pool): State<Arc<ConsumerPool>>, query: Query) -> Answer {
    let after = query.cursor("after")?;
    let limit = query.number("limit", 1..=pool.state.config.records_kept_max)?.unwrap_or(LIST_DEFAULT);
    let records = pool.state.records.read();
    // A cursor of another log says nothing about this one: all that is shown is new to its reader.
    let ours = |cursor: &Cursor| cursor.epoch == pool.state.context.log.epoch();
    let logs: Vec<_> = match after {
        Some(After::Cursor(cursor)) if ours(&cursor) => records.changed_after(cursor.offset).collect(),
        Some(After::Oldest) => records.changed_after(Offset::ZERO).collect(),
        _ => records.newest(limit).collect(),
    };
    let cursor = pool.state.context.log.cursor(records.applied()).to_string();
    let body = serde_json::to_vec(&LogEntries { cursor, logs });
    let body = body.map_err(internal)?;
    Ok((NO_STORE, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// `POST /api/consumers {"consumerId"?}`
pub(super) async fn start(State(pool): State<Arc<ConsumerPool>>, body: Body) -> Answer {
    let body = whole_body(body, BODY_BYTES_MAX, "send less")?;
    let asked: StartConsumer =
        if body.is_empty() { StartConsumer::default() } else { parse_json(&body, "a consumer to start")? };
    let id = asked.consumer_id.map(|name| ConsumerId::new(&name)).transpose();
    let id = id.map_err(|error| invalid(error.to_string()))?;
    // In a task: a caller that goes away must not leave half a consumer.
    let started = tokio::spawn(async move { pool.start(id).await }).await;
    let shown = started.map_err(internal)??;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `DELETE /api/consumers/{id}`
pub(super) async fn stop(State(pool): State<Arc<ConsumerPool>>, Path(id): Path<String>) -> Answer {
    let id = ConsumerId::new(&id).map_err(|error| invalid(error.to_string()))?;
    let stopped = tokio::spawn(async move { pool.stop(&id).await }).await;
    stopped.map_err(internal)??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /api/consumers/scale {"count"}`
pub(super) async fn scale(State(pool): State<Arc<ConsumerPool>>, body: Body) -> Answer {
    let body = whole_body(body, BODY_BYTES_MAX, "send less")?;
    let asked: ScaleConsumers = parse_json(&body, "a number of consumers")?;
    let own = Arc::clone(&pool);
    let scaled = tokio::spawn(async move { own.scale(asked.count).await }).await;
    scaled.map_err(internal)??;
    Ok((NO_STORE, Json(pool.consumers())).into_response())
}
