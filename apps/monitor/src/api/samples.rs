//! Samples over HTTP: the newest, those after a cursor, and history as rows.

use anywire_app::{
    http::{After, ApiError, ETag, Query, invalid},
    time::iso,
};
use anywire_codes::Code;
use anywire_log::{Offset, Timestamp};
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::request::Service;
use crate::{
    domain::{FIGURES, HostName, begins_figures, is_figure},
    projection::Host,
    reading::{self, Range},
    series::{ROWS_MAX, step_for, write_rows},
    service::MonitorService,
};

/// The most samples after a cursor in one answer.
const AFTER_MAX: usize = 1000;
const FIELDS_MAX: usize = 128;
const HOUR_MS: i64 = 3_600_000;
/// The metrics of an answer whose caller names none.
const FIELDS_DEFAULT: [&str; 12] = [
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

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

fn host_of(service: &MonitorService, query: &Query) -> Result<HostName, ApiError> {
    Ok(service.host_name(query.text("host")?.unwrap_or(service.own.as_str()))?)
}

/// The newest sample with its host and cursor in front.
pub(super) async fn newest(
    State(service): Service,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let host = host_of(&service, &query)?;
    let Some(newest) = service.of_host(&host, |host| host.newest.clone())? else {
        let message =
            format!("{host} has no sample of the last two hours; its history is at /api/performance/history");
        return Err(ApiError::new(Code::NoSample, message));
    };
    let cursor = service.context.log.cursor(newest.offset);
    Ok(ETag::new(cursor).respond(&headers, || {
        let mut body = format!("{{\"host\":\"{host}\",\"cursor\":\"{cursor}\",").into_bytes();
        body.extend_from_slice(newest.json.get(1..).unwrap_or_default());
        (JSON, body)
    }))
}

/// With `after`, the samples since a cursor, whole; else rows of metrics over a span.
pub(super) async fn history(
    State(service): Service,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let host = host_of(&service, &query)?;
    match query.cursor("after")? {
        Some(after) => samples_after(&service, &host, after, &headers).await,
        None => rows(&service, &host, &query).await,
    }
}

#[derive(Serialize)]
struct Lost {
    from: String,
    to: String,
}

/// Samples as they were published, after a cursor.
#[derive(Serialize)]
struct Page<'a> {
    host: &'a str,
    cursor: String,
    more: bool,
    gap: Option<Lost>,
    samples: Vec<&'a RawValue>,
}

async fn samples_after(
    service: &MonitorService,
    host: &HostName,
    after: After,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let position = match after {
        After::Oldest => None,
        After::Cursor(cursor) => Some(cursor),
    };
    let found = reading::samples_after(service, host, position, AFTER_MAX).await?;
    let cursor = service.context.log.cursor(found.through);
    Ok(ETag::new(cursor).respond(headers, || {
        let gap = found.gap.as_ref();
        let page = Page {
            host: host.as_str(),
            cursor: cursor.to_string(),
            more: found.more,
            gap: gap.map(|gap| Lost { from: gap.from.to_string(), to: gap.to.to_string() }),
            samples: found.samples.iter().filter_map(|sample| serde_json::from_slice(sample).ok()).collect(),
        };
        // What was published is JSON, the rest numbers and texts: writing it cannot fail.
        (JSON, serde_json::to_vec(&page).unwrap_or_default())
    }))
}

/// Rows of metrics over a span: `[[time, …], …]`, each as long as `fields`.
#[derive(Serialize)]
struct Rows {
    host: String,
    cursor: String,
    from: String,
    to: String,
    step_ms: i64,
    fields: Vec<String>,
    samples: Box<RawValue>,
}

async fn rows(service: &MonitorService, host: &HostName, query: &Query) -> Result<Response, ApiError> {
    let range = range(service, host, query)?;
    let wanted = query.text("fields")?;
    let fields = service.of_host(host, |host| fields(host, wanted))??;
    let found = reading::rows(service, host, &range, &fields).await?;
    let newest = service.of_host(host, |host| host.newest.as_ref().map(|newest| newest.offset))?;
    let mut samples = String::new();
    write_rows(&mut samples, &found.rows, &found.steps);
    let rows = Rows {
        host: host.to_string(),
        cursor: service.context.log.cursor(newest.unwrap_or(Offset::ZERO)).to_string(),
        from: iso(Timestamp::from_millis(range.from)),
        to: iso(Timestamp::from_millis(range.to)),
        step_ms: found.step_ms,
        fields: std::iter::once("time".to_owned()).chain(found.names).collect(),
        samples: RawValue::from_string(samples)
            .map_err(|error| ApiError::new(Code::Internal, error.to_string()))?,
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, serde_json::to_vec(&rows).unwrap_or_default()).into_response())
}

/// The span and step of a request: the last hour and a fitting step where it does not say.
fn range(service: &MonitorService, host: &HostName, query: &Query) -> Result<Range, ApiError> {
    let time = |name: &str| query.time(name).map(|time| time.map(Timestamp::as_millis));
    let to = time("to")?.unwrap_or(service.now() + 1);
    let from = time("from")?.unwrap_or(to - HOUR_MS);
    if from >= to {
        let (from, to) = (iso(Timestamp::from_millis(from)), iso(Timestamp::from_millis(to)));
        return Err(invalid(format!("\"from\" is {from}, not before \"to\", {to}")));
    }
    let interval_ms = service.of_host(host, interval_ms)?;
    let step_ms =
        step_ms(query)?.map_or_else(|| step_for(to - from, interval_ms), |step| step.max(interval_ms));
    let rows = (to - from) / step_ms;
    if rows > ROWS_MAX {
        return Err(invalid(format!(
            "{rows} rows are asked for, the limit is {ROWS_MAX}; use a shorter span or a greater \"step\""
        )));
    }
    Ok(Range { from, to, step_ms, interval_ms })
}

fn interval_ms(host: &Host) -> i64 {
    host.newest.as_ref().map_or(1000, |newest| i64::from(newest.sample.interval_ms))
}

fn step_ms(query: &Query) -> Result<Option<i64>, ApiError> {
    let seconds = query.fitting("step", "seconds, 0.25 to 86400", |text| {
        text.parse::<f64>().ok().filter(|seconds| (0.25..=86_400.0).contains(seconds))
    })?;
    Ok(seconds.map(|seconds| (seconds * 1000.0) as i64))
}

/// The wanted metrics; a name that ends with `*` stands for all the host has that begin so.
fn fields(host: &Host, wanted: Option<&str>) -> Result<Vec<String>, ApiError> {
    let Some(wanted) = wanted else { return Ok(FIELDS_DEFAULT.map(str::to_owned).to_vec()) };
    let mut fields: Vec<String> = Vec::new();
    // Each name may stand for all there are: their number is looked at before the next is.
    for (index, name) in wanted.split(',').filter(|name| !name.is_empty()).enumerate() {
        if index == FIELDS_MAX || fields.len() > FIELDS_MAX {
            return Err(too_many_fields());
        }
        let prefix = name.strip_suffix('*');
        if !prefix.map_or_else(|| is_figure(name), begins_figures) {
            let shown: String = name.chars().take(80).collect();
            let known = FIGURES.join(", ");
            return Err(invalid(format!(
                "\"fields\" names {shown:?}, and there is no such figure; there are {known}, core:N, disk:PATH, \
                 disk_read:PATH and disk_written:PATH"
            )));
        }
        match prefix {
            Some(prefix) => fields.extend(host.metric_names(prefix)),
            None => fields.push(name.to_owned()),
        }
    }
    fields.dedup();
    if fields.len() > FIELDS_MAX { Err(too_many_fields()) } else { Ok(fields) }
}

fn too_many_fields() -> ApiError {
    invalid(format!("\"fields\" asks for more than {FIELDS_MAX}, the limit; ask for fewer at once"))
}
