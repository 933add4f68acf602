//! The routes of the monitor (docs/http-api.md).
//!
//! Knows: parameters, headers, JSON. Does not know: where history is kept.

use std::{fmt::Write as _, sync::Arc};

use anywire_app::{ApiError, api_error, read_json};
use anywire_log::{Cursor, Offset};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    desk::{Desk, Host, RecordError},
    domain::{HostName, Sample, check_time},
    reading::{self, Range, ReadHistoryError},
    rules::{RULES_MAX, Rule},
    time::{in_calendar, iso, parse},
};

/// The largest report: five minutes of samples of a large machine.
const REPORT_BYTES_MAX: usize = 8 << 20;
/// The most samples of one report.
pub(crate) const REPORT_SAMPLES_MAX: usize = 600;
/// The most samples after a cursor in one answer.
const AFTER_MAX: usize = 1000;
const FIELDS_MAX: usize = 128;
const HOUR_MS: i64 = 3_600_000;
/// The figures of an answer whose caller names none.
const FIELDS: [&str; 12] = [
    "cpu",
    "memory",
    "swap",
    "load1",
    "disk",
    "disk_read",
    "disk_written",
    "received",
    "sent",
    "process_cpu",
    "process_memory",
    "connections",
];

pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/api/performance", get(newest))
        .route("/api/performance/history", get(history))
        .route("/api/performance/hosts", get(hosts))
        .route("/api/performance/hosts/{id}", delete(forget))
        .route("/api/performance/hosts/{id}/samples", post(report))
        .route("/api/performance/alerts", get(alerts).put(set_rules))
        .layer(DefaultBodyLimit::max(REPORT_BYTES_MAX))
        .with_state(desk)
}

type Desked = State<Arc<Desk>>;
type Pairs = Query<Vec<(String, String)>>;
type Body = Result<Bytes, BytesRejection>;

/// What was sent, if it came whole and is not too much.
fn whole(body: Body) -> Result<Bytes, ApiError> {
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message =
                format!("the body has more than {REPORT_BYTES_MAX} bytes; send fewer samples at a time");
            api_error(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        }
        _ => api_error(StatusCode::BAD_REQUEST, "body_broken", "the body broke off; send it again"),
    })
}

fn invalid(message: String) -> ApiError {
    api_error(StatusCode::BAD_REQUEST, "invalid_request", message)
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        let (status, code) = match &error {
            RecordError::TooManyHosts { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_hosts"),
            RecordError::OwnName { .. } => (StatusCode::CONFLICT, "host_taken"),
            RecordError::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
            RecordError::Append(anywire_log::AppendError::Full { .. }) => {
                (StatusCode::INSUFFICIENT_STORAGE, "storage_full")
            }
            RecordError::Append(anywire_log::AppendError::Busy { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy")
            }
            RecordError::Append(anywire_log::AppendError::Closed) => {
                (StatusCode::SERVICE_UNAVAILABLE, "shutting_down")
            }
            RecordError::Append(_) | RecordError::Trim(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "storage_failed")
            }
        };
        api_error(status, code, error.to_string())
    }
}

impl From<ReadHistoryError> for ApiError {
    fn from(error: ReadHistoryError) -> Self {
        api_error(StatusCode::SERVICE_UNAVAILABLE, "storage_failed", error.to_string())
    }
}

/// The value of a parameter; the last one if there are several. Unknown ones are left to others: a token may come this way.
fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn host_of(desk: &Desk, query: &[(String, String)]) -> Result<Arc<Host>, ApiError> {
    Ok(desk.host(parameter(query, "host").unwrap_or(desk.own.as_str()))?)
}

/// An answer with a tag, or `304` if the caller has it.
fn tagged(headers: &HeaderMap, cursor: Cursor, body: impl FnOnce() -> Vec<u8>) -> Response {
    let tag = format!("\"{cursor}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = known.is_some_and(|known| {
        known
            .split(',')
            .any(|one| matches!(one.trim().trim_start_matches("W/"), one if one == tag || one == "*"))
    });
    let common = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if same {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, "application/json")], body()).into_response()
}

/// The newest sample with its host and cursor in front.
async fn newest(State(desk): Desked, Query(query): Pairs, headers: HeaderMap) -> Result<Response, ApiError> {
    let host = host_of(&desk, &query)?;
    let Some(newest) = host.newest() else {
        let message = format!(
            "{} has no sample of the last two hours; its history is at /api/performance/history",
            host.name
        );
        return Err(api_error(StatusCode::NOT_FOUND, "no_sample", message));
    };
    let cursor = desk.context.log.cursor(newest.offset);
    Ok(tagged(&headers, cursor, || {
        let mut body = format!("{{\"host\":\"{}\",\"cursor\":\"{cursor}\",", host.name).into_bytes();
        body.extend_from_slice(newest.json.get(1..).unwrap_or_default());
        body
    }))
}

/// With `after`, the samples since a cursor, whole; else rows of figures over a span.
async fn history(State(desk): Desked, Query(query): Pairs, headers: HeaderMap) -> Result<Response, ApiError> {
    let host = host_of(&desk, &query)?;
    match parameter(&query, "after") {
        Some(after) => samples_after(&desk, &host, after, &headers).await,
        None => rows(&desk, &host, &query).await,
    }
}

async fn samples_after(
    desk: &Desk,
    host: &Host,
    after: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let position = match after {
        "0" => None,
        text => Some(
            text.parse::<Cursor>()
                .map_err(|error| api_error(StatusCode::BAD_REQUEST, "invalid_cursor", error.to_string()))?,
        ),
    };
    let found = reading::samples_after(desk, host, position, AFTER_MAX).await?;
    let cursor = desk.context.log.cursor(found.through);
    Ok(tagged(headers, cursor, || {
        let gap = found.gap.map_or("null".to_owned(), |gap| {
            json!({ "from": gap.from.to_string(), "to": gap.to.to_string() }).to_string()
        });
        let mut body = format!(
            "{{\"host\":\"{}\",\"cursor\":\"{cursor}\",\"more\":{},\"gap\":{gap},\"samples\":[",
            host.name, found.more
        )
        .into_bytes();
        for (at, sample) in found.samples.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(sample);
        }
        body.extend_from_slice(b"]}");
        body
    }))
}

async fn rows(desk: &Desk, host: &Host, query: &[(String, String)]) -> Result<Response, ApiError> {
    let range = range(desk, host, query)?;
    let fields = fields(host, parameter(query, "fields"))?;
    let found = reading::rows(desk, host, &range, &fields).await?;
    let cursor = desk.context.log.cursor(host.newest().map_or(Offset::ZERO, |newest| newest.offset));
    let mut body = format!(
        "{{\"host\":\"{}\",\"cursor\":\"{cursor}\",\"from\":\"{}\",\"to\":\"{}\",\"step_ms\":{},\"fields\":[\"time\"",
        host.name,
        iso(range.from),
        iso(range.to),
        found.step_ms
    );
    for name in &found.names {
        // A mount may hold what JSON must escape. Writing to a String cannot fail.
        let _ok = write!(body, ",{}", Value::from(name.as_str()));
    }
    body.push_str("],\"samples\":");
    crate::history::write_rows(&mut body, &found.rows, &found.steps);
    body.push('}');
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

/// The span and step of a request: the last hour and a fitting step where it does not say.
fn range(desk: &Desk, host: &Host, query: &[(String, String)]) -> Result<Range, ApiError> {
    let time = |name: &str| {
        match parameter(query, name) {
        None => Ok(None),
        Some(text) => parse(text).filter(|time| in_calendar(*time)).map(Some).ok_or_else(|| {
            invalid(format!("{name:?} is {text:?}; expected an ISO-8601 time such as 2026-01-23T10:00:00Z, or milliseconds since 1970"))
        }),
    }
    };
    let now = desk.context.clock.now().as_millis();
    let to = time("to")?.unwrap_or(now + 1);
    let from = time("from")?.unwrap_or(to - HOUR_MS);
    if from >= to {
        return Err(invalid(format!("\"from\" is {}, not before \"to\", {}", iso(from), iso(to))));
    }
    let interval_ms = host.newest().map_or(1000, |newest| i64::from(newest.sample.interval_ms));
    let step_ms = match parameter(query, "step") {
        None => crate::history::step_for(to - from, interval_ms),
        Some(text) => step(text)?.max(interval_ms),
    };
    let rows = (to - from) / step_ms;
    if rows > crate::history::ROWS_MAX {
        let max = crate::history::ROWS_MAX;
        return Err(invalid(format!(
            "{rows} rows are asked for, the limit is {max}; use a shorter span or a greater \"step\""
        )));
    }
    Ok(Range { from, to, step_ms, interval_ms })
}

fn step(text: &str) -> Result<i64, ApiError> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.25..=86_400.0).contains(seconds));
    let fail = || invalid(format!("\"step\" is {text:?}; expected seconds, 0.25 to 86400"));
    Ok((seconds.ok_or_else(fail)? * 1000.0) as i64)
}

/// The wanted figures; a name that ends with `*` stands for all the host has that begin so.
fn fields(host: &Host, wanted: Option<&str>) -> Result<Vec<String>, ApiError> {
    let Some(wanted) = wanted else { return Ok(FIELDS.map(str::to_owned).to_vec()) };
    let mut fields: Vec<String> = Vec::new();
    for name in wanted.split(',').filter(|name| !name.is_empty()) {
        match name.strip_suffix('*') {
            Some(prefix) => fields.extend(host.figure_names(prefix)),
            None => fields.push(name.to_owned()),
        }
    }
    fields.dedup();
    if fields.len() > FIELDS_MAX {
        return Err(invalid(format!("{} fields are asked for, the limit is {FIELDS_MAX}", fields.len())));
    }
    Ok(fields)
}

async fn hosts(State(desk): Desked) -> Response {
    let now = desk.context.clock.now().as_millis();
    let hosts: Vec<Value> = desk.hosts().iter().map(|host| host_json(host, now)).collect();
    let body = json!({ "hosts": hosts, "now": iso(now) });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn host_json(host: &Host, now: i64) -> Value {
    let newest = host.newest();
    let sample = newest.as_ref().map(|newest| &newest.sample);
    let memory = sample.filter(|sample| sample.memory.total > 0);
    let percent = memory.map(|sample| sample.memory.used as f64 / sample.memory.total as f64 * 100.0);
    json!({
        "host": host.name.as_str(),
        "own": host.own,
        "channel": host.channels.live.as_str(),
        "interval_ms": sample.map(|sample| sample.interval_ms),
        "time": sample.map(|sample| iso(sample.time)),
        "stale": sample.is_none_or(|sample| (now - sample.time) * 2 > i64::from(sample.interval_ms) * 5),
        "cpu": sample.map(|sample| sample.cpu.percent),
        "memory": percent.map(|percent| (percent * 10.0).round() / 10.0),
        "since": host.oldest().map(iso),
    })
}

async fn forget(State(desk): Desked, Path(host): Path<String>) -> Result<Response, ApiError> {
    if host == desk.own.as_str() && desk.config.collect {
        return Err(RecordError::OwnName { host: desk.own.clone() }.into());
    }
    desk.forget(&host).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    sent_at: String,
    samples: Vec<Sample>,
}

/// Samples of another host.
async fn report(State(desk): Desked, Path(host): Path<String>, body: Body) -> Result<Response, ApiError> {
    let host = HostName::new(&host).map_err(|error| invalid(error.to_string()))?;
    let report: Report =
        read_json(&whole(body)?).map_err(|error| invalid(format!("the body is no report: {error}")))?;
    let sent_at = parse(&report.sent_at);
    let sent_at = sent_at
        .ok_or_else(|| invalid(format!("\"sent_at\" is {:?}; expected an ISO-8601 time", report.sent_at)))?;
    check_time("sent_at", sent_at).map_err(|error| invalid(error.to_string()))?;
    if report.samples.len() > REPORT_SAMPLES_MAX {
        let count = report.samples.len();
        return Err(invalid(format!("{count} samples in one report, the limit is {REPORT_SAMPLES_MAX}")));
    }
    for sample in &report.samples {
        sample.check().map_err(|error| invalid(error.to_string()))?;
    }
    let recorded = desk.report(&host, report.samples, sent_at).await?;
    let cursor = desk.context.log.cursor(recorded.newest).to_string();
    let body = json!({ "cursor": cursor, "accepted": recorded.accepted, "repeated": recorded.repeated });
    Ok(Json(body).into_response())
}

fn alerts_json(desk: &Desk) -> Value {
    // Taken before the alerts are: one that turns meanwhile is told twice then, and never missed.
    let cursor = desk.context.log.tail_cursor().to_string();
    json!({
        "channel": crate::events::ALERTS_CHANNEL,
        "cursor": cursor,
        "webhook": desk.config.webhook_url.is_some(),
        "rules": desk.alerts.rules(),
        "active": desk.alerts.active(),
        "recent": desk.alerts.recent(),
    })
}

async fn alerts(State(desk): Desked) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(alerts_json(&desk))).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<Rule>,
}

/// Replaces all rules.
async fn set_rules(State(desk): Desked, body: Body) -> Result<Response, ApiError> {
    let wanted: Rules = read_json(&whole(body)?)
        .map_err(|error| invalid(format!("the body is no set of at most {RULES_MAX} rules: {error}")))?;
    Rule::check_all(&wanted.rules).map_err(|error| invalid(error.to_string()))?;
    desk.alerts.set_rules(&desk, wanted.rules).await.map_err(RecordError::from)?;
    Ok(Json(alerts_json(&desk)).into_response())
}
