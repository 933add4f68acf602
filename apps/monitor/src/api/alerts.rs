//! Rules and alerts over HTTP.

use anywire_app::http::{ApiError, Body, invalid, parse_json, whole_body};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::request::{BODY_BYTES_MAX, BODY_WAY_OUT, Service};
use crate::{
    domain::RULES_MAX,
    events::ALERTS_CHANNEL,
    service::MonitorService,
    wire::{Alerts, Rules},
};

pub(super) async fn list(State(service): Service) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(shown(&service))).into_response()
}

/// Replaces all rules.
pub(super) async fn set_rules(State(service): Service, body: Body) -> Result<Response, ApiError> {
    let body = whole_body(body, BODY_BYTES_MAX, BODY_WAY_OUT)?;
    let wanted: Rules = parse_json(&body, &format!("a set of at most {RULES_MAX} rules"))?;
    service.check_rules(&wanted.rules).map_err(|error| invalid(error.to_string()))?;
    service.set_rules(wanted.rules).await?;
    Ok(Json(shown(&service)).into_response())
}

fn shown(service: &MonitorService) -> Alerts {
    // Taken before the alerts are: one that turns meanwhile is told twice then, and never missed.
    let cursor = service.context.log.tail_cursor().to_string();
    let state = service.read();
    Alerts {
        channel: ALERTS_CHANNEL,
        cursor,
        webhook: service.config.webhook_url.is_some(),
        rules: state.alerts.rules.clone(),
        active: state.alerts.active.values().cloned().collect(),
        recent: state.alerts.recent.iter().cloned().collect(),
    }
}
