//! Consumers, counters, lag and the list of records.
//!
//! Knows: parameters and answers. Does not know: what a consumer does.

use std::sync::Arc;

use anywire_app::{ApiError, read_json};
use anywire_log::Cursor;
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    domain::ConsumerId,
    plant::Plant,
    wire::{crew_error, invalid},
};

type Answer = Result<Response, ApiError>;

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
/// How many records a list has when nobody says how many.
const LIST_DEFAULT: usize = 500;

/// `GET /api/consumers`
pub(super) async fn list(State(plant): State<Arc<Plant>>) -> Response {
    (NO_STORE, Json(plant.consumers())).into_response()
}

/// `GET /api/consumers/statistics`
pub(super) async fn statistics(State(plant): State<Arc<Plant>>) -> Response {
    let statistics = plant.board.read().statistics(plant.context.clock.now());
    (NO_STORE, Json(statistics)).into_response()
}

/// `GET /api/consumers/lag`
pub(super) async fn lag(State(plant): State<Arc<Plant>>) -> Response {
    (NO_STORE, Json(&*plant.state.newest())).into_response()
}

/// `GET /api/consumers/logs?after=&limit=`: without `after` the newest records, newest first; with it those that changed since, in the
/// order of their changes.
pub(super) async fn logs(
    State(plant): State<Arc<Plant>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let (mut after, mut limit) = (None, LIST_DEFAULT);
    let kept_max = plant.config.records_kept_max;
    for (name, value) in &query {
        match name.as_str() {
            "after" => {
                let cursor: Cursor = value.parse().map_err(|error| invalid(format!("\"after\": {error}")))?;
                after = Some(cursor);
            }
            "limit" => {
                let parsed = value.parse().ok().filter(|limit| (1..=kept_max).contains(limit));
                limit = parsed.ok_or_else(|| {
                    invalid(format!("\"limit\" is {value:?}; expected a whole number from 1 to {kept_max}"))
                })?;
            }
            // A token may come this way.
            _ => {}
        }
    }
    let board = plant.board.read();
    // A cursor of another log says nothing about this one: all that is shown is new to its reader.
    let after = after.filter(|cursor| cursor.epoch == plant.context.log.epoch());
    let logs: Vec<_> = match after {
        Some(cursor) => board.changed_after(cursor.offset).collect(),
        None => board.newest(limit).collect(),
    };
    let cursor = plant.context.log.cursor(board.taken()).to_string();
    let body = serde_json::to_vec(&json!({ "cursor": cursor, "logs": logs }));
    let body = body.map_err(|error| invalid(error.to_string()))?;
    Ok((NO_STORE, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Start {
    consumer_id: Option<String>,
}

/// `POST /api/consumers {"consumerId"?}`
pub(super) async fn start(State(plant): State<Arc<Plant>>, body: Bytes) -> Answer {
    let wish: Start = if body.is_empty() { Start::default() } else { parse(&body)? };
    let id = wish.consumer_id.map(|name| ConsumerId::new(&name)).transpose();
    let id = id.map_err(|error| invalid(error.to_string()))?;
    // In a task: a caller that goes away must not leave half a consumer.
    let started = tokio::spawn(async move { plant.start(id).await }).await;
    let shown = started.map_err(|error| invalid(error.to_string()))?.map_err(|error| crew_error(&error))?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `DELETE /api/consumers/{id}`
pub(super) async fn stop(State(plant): State<Arc<Plant>>, Path(id): Path<String>) -> Answer {
    let id = ConsumerId::new(&id).map_err(|error| invalid(error.to_string()))?;
    let stopped = tokio::spawn(async move { plant.stop(&id).await }).await;
    stopped.map_err(|error| invalid(error.to_string()))?.map_err(|error| crew_error(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    count: usize,
}

/// `POST /api/consumers/scale {"count"}`
pub(super) async fn scale(State(plant): State<Arc<Plant>>, body: Bytes) -> Answer {
    let wish: Scale = parse(&body)?;
    let own = Arc::clone(&plant);
    let scaled = tokio::spawn(async move { own.scale(wish.count).await }).await;
    scaled.map_err(|error| invalid(error.to_string()))?.map_err(|error| crew_error(&error))?;
    Ok((NO_STORE, Json(plant.consumers())).into_response())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    read_json(body).map_err(|error| invalid(format!("the body does not fit: {error}")))
}
