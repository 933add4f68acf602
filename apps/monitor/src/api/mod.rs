//! The routes of the monitor (docs/http-api.md).

mod alerts;
mod errors;
mod hosts;
mod request;
mod samples;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};

use crate::service::MonitorService;
use request::BODY_BYTES_MAX;

pub(crate) fn routes(service: Arc<MonitorService>) -> Router {
    Router::new()
        .route("/api/performance", get(samples::newest))
        .route("/api/performance/history", get(samples::history))
        .route("/api/performance/hosts", get(hosts::list))
        .route("/api/performance/hosts/{id}", delete(hosts::forget))
        .route("/api/performance/hosts/{id}/samples", post(hosts::report))
        .route("/api/performance/alerts", get(alerts::list).put(alerts::set_rules))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service)
}
