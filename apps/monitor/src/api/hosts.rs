//! Hosts over HTTP: their list, their reports, and forgetting one.

use anywire_app::{
    http::{ApiError, Body, Path, invalid, parse_json, whole_body},
    time::{iso, parse_time},
};
use anywire_log::Timestamp;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::request::{BODY_BYTES_MAX, BODY_WAY_OUT, Service};
use crate::{
    decisions::{self, Refusal},
    domain::{HostName, HostNameError, check_time},
    projection::Host,
    service::MonitorService,
    wire::{Hosts, Report, Reported, ReportingHost},
};

pub(super) async fn list(State(service): Service) -> Response {
    let now = service.now();
    let hosts = {
        let state = service.read();
        state.hosts().map(|(name, host)| shown(&service, name, host, now)).collect()
    };
    let body = Hosts { hosts, now: iso(Timestamp::from_millis(now)) };
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn shown(service: &MonitorService, name: &HostName, host: &Host, now: i64) -> ReportingHost {
    let sample = host.newest.as_ref().map(|newest| &newest.sample);
    let memory = sample.filter(|sample| sample.memory.total > 0);
    let percent = memory.map(|sample| sample.memory.used as f64 / sample.memory.total as f64 * 100.0);
    let kept = |keep_ms: u64| now.saturating_sub_unsigned(keep_ms);
    let minutes = host.history.minutes.oldest(kept(service.config.keep_minutes_ms));
    let since = minutes.or_else(|| host.history.samples.oldest(kept(service.config.keep_samples_ms)));
    let date = |millis| iso(Timestamp::from_millis(millis));
    ReportingHost {
        host: name.as_str().to_owned(),
        own: host.own,
        channel: host.channels.live.as_str().to_owned(),
        interval_ms: sample.map(|sample| sample.interval_ms),
        time: sample.map(|sample| date(sample.time)),
        heard: host.newest.as_ref().map(|newest| date(newest.received)),
        stale: host.newest.as_ref().is_none_or(|newest| newest.is_stale(now)),
        machines: service.machines(name),
        cpu: sample.map(|sample| sample.cpu.percent),
        memory: percent.map(|percent| (percent * 10.0).round() / 10.0),
        since: since.map(date),
    }
}

pub(super) async fn forget(State(service): Service, Path(host): Path<String>) -> Result<Response, ApiError> {
    if host == service.own.as_str() && service.config.collect {
        return Err(Refusal::OwnName { host: service.own.clone() }.into());
    }
    service.forget(host).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Samples of another host.
pub(super) async fn report(
    State(service): Service,
    Path(host): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let host = HostName::new(&host).map_err(|error| invalid(error.to_string()))?;
    let report: Report = parse_json(&whole_body(body, BODY_BYTES_MAX, BODY_WAY_OUT)?, "a report")?;
    let sent_at = parse_time(&report.sent_at);
    let sent_at = sent_at
        .ok_or_else(|| invalid(format!("\"sent_at\" is {:?}; expected an ISO-8601 time", report.sent_at)))?;
    check_time("sent_at", sent_at.as_millis()).map_err(|error| invalid(error.to_string()))?;
    let instance = report.instance.as_deref().map(HostName::new).transpose();
    let instance = instance.map_err(|HostNameError { text }| {
        invalid(format!("\"instance\" is {text:?}; use 1 to 64 characters of A-Z a-z 0-9 . _ -"))
    })?;
    for sample in &report.samples {
        sample.check().map_err(|error| invalid(error.to_string()))?;
    }
    let samples = decisions::Report { samples: report.samples, sent_at: sent_at.as_millis() };
    let instance = instance.as_ref().map(HostName::as_str);
    let recorded = service.report(host.clone(), instance, samples).await?;
    let body = Reported {
        cursor: service.context.log.cursor(recorded.newest).to_string(),
        accepted: recorded.accepted,
        repeated: recorded.repeated,
        moved: recorded.moved,
        machines: service.machines(&host),
    };
    Ok(Json(body).into_response())
}
