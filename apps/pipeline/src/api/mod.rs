//! The HTTP API of the pipeline (docs/http-api.md, section Pipeline).

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};

use self::body::BODY_BYTES_MAX;
use crate::consumers::ConsumerPool;

pub(crate) mod body;
mod consume;
mod csv;
mod errors;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub(crate) mod incoming;
mod produce;
mod record;

/// The routes, with absolute paths.
pub(crate) fn routes(pool: &Arc<ConsumerPool>) -> Router {
    let state = Arc::clone(&pool.state);
    // A record that is too large is refused by the topic, with a better word than a body's limit has.
    let single_max = state.config.record_bytes_max.saturating_mul(2);
    let single = Router::new()
        .route("/api/producers/send/single", post(produce::single))
        .layer(DefaultBodyLimit::max(single_max));
    let file = Router::new()
        .route("/api/producers/send/csv", post(produce::file))
        .layer(DefaultBodyLimit::disable());
    let records = Router::new()
        .route("/api/producers/topics", get(produce::topics))
        .route("/api/consumers/logs/{id}", get(record::show))
        .route("/api/consumers/logs/{id}/retry", post(record::retry))
        .route("/api/consumers/logs/{id}/replay", post(record::replay))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(single)
        .merge(file)
        .with_state(state);
    Router::new()
        .route("/api/consumers", get(consume::list).post(consume::start))
        .route("/api/consumers/scale", post(consume::scale))
        .route("/api/consumers/statistics", get(consume::statistics))
        .route("/api/consumers/lag", get(consume::lag))
        .route("/api/consumers/logs", get(consume::logs))
        .route("/api/consumers/{id}", delete(consume::stop))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::clone(pool))
        .merge(records)
}
