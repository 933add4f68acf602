//! Producing: one record, or a CSV file in batches.

use std::sync::Arc;

use anywire_app::{
    ApiError,
    http::{self, Query, invalid, read_text, whole_body},
    time::iso,
};
use anywire_codes::Code;
use anywire_csv_report::{Reading, Ticker};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tempfile::TempPath;
use tokio::sync::mpsc;

use super::{
    body::{FileSent, Sent, Topic, Topics},
    csv::{self, Batch, BatchLimits},
    errors::internal,
    incoming,
};
use crate::{
    PipelineConfig,
    domain::ShownPlace,
    state::PipelineState,
    topics::{NewRecord, Place, TopicName, weight},
};

type Answer = Result<Response, ApiError>;

/// What a header's parameter begins with: `header.source=web`.
const HEADER_PREFIX: &str = "header.";
/// How many batches of a file are produced at once.
const BATCHES_AT_ONCE: usize = 16;
/// The parameters that say how a file is to be read.
const READING: [&str; 4] = ["encoding", "delimiter", "quote", "header"];

/// `GET /api/producers/topics`
pub(super) async fn topics(State(state): State<Arc<PipelineState>>) -> Response {
    let topics = state.topics.topics();
    let topic = |(name, partitions): &(TopicName, u32)| Topic {
        topic: name.as_str().to_owned(),
        partitions: *partitions,
        consumed: state.consumed.contains(name),
    };
    Json(Topics { kind: state.topics.kind(), topics: topics.iter().map(topic).collect() }).into_response()
}

/// `POST /api/producers/send/single?topic=`
pub(super) async fn single(
    State(state): State<Arc<PipelineState>>,
    query: Query,
    headers: HeaderMap,
    body: http::Body,
) -> Answer {
    let way_out = "send less, or raise pipeline.record_bytes_max";
    let body = whole_body(body, state.config.record_bytes_max, way_out)?;
    check_known(&query, &[])?;
    let topic = topic(&query)?;
    let record = NewRecord { value: Some(value(&headers, body)?), ..attributes(&query)? };
    let places = state.produce(&topic, vec![record]).await?;
    let timestamp = iso(state.context.clock.now());
    let record = places.first().map(ShownPlace::of);
    let answer = Sent { success: true, topic: topic.as_str().to_owned(), record, timestamp };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `POST /api/producers/send/csv?topic=`
pub(super) async fn file(State(state): State<Arc<PipelineState>>, query: Query, body: Body) -> Answer {
    check_known(&query, &READING)?;
    let topic = topic(&query)?;
    let attributes = attributes(&query)?;
    let reading = reading(&query)?;
    let limits = batch_limits(&state.config, &attributes);
    let _place = state.files.try_acquire().map_err(|_| {
        ApiError::new(
            Code::Busy,
            "as many CSV files as are taken at once are on their way; nothing was sent, try again",
        )
    })?;
    incoming::check_length(&body, state.config.csv_bytes_max)?;
    let path = incoming::spool(&state.context, body, state.config.csv_bytes_max).await?;
    let (checked, path) = check(path, reading, limits).await?;
    let (out, batches) = mpsc::channel(BATCHES_AT_ONCE);
    // When producing fails its receiver goes: then whoever reads the file ends.
    let reading = tokio::task::spawn_blocking(move || {
        let read = checked.send(limits, &out);
        drop((out, path));
        read.map(|()| checked)
    });
    let (sent, failed) = produce(&state, &topic, &attributes, batches).await;
    let read = reading.await.map_err(internal)?;
    if let Some(error) = failed {
        return Err(error);
    }
    let after =
        |error| ApiError::new(Code::StorageFailed, format!("{error}; {} rows before were sent", sent.rows));
    let checked = read.map_err(after)?;
    let dialect = checked.dialect();
    let answer = FileSent {
        success: true,
        topic: topic.as_str().to_owned(),
        row_count: sent.rows,
        batches: sent.batches,
        encoding: dialect.encoding(),
        delimiter: dialect.delimiter(),
        header_line: dialect.header_line().unwrap_or(1),
        first: sent.first.as_ref().map(ShownPlace::of),
        last: sent.last.as_ref().map(ShownPlace::of),
        timestamp: iso(state.context.clock.now()),
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// How the file is to be read, where the call says it.
fn reading(query: &Query) -> Result<Reading, ApiError> {
    let mut reading = Reading::default();
    for name in READING {
        if let Some(value) = query.text(name)? {
            reading.choose(name, value).map_err(|error| invalid(error.to_string()))?;
        }
    }
    Ok(reading)
}

fn batch_limits(config: &PipelineConfig, attributes: &NewRecord) -> BatchLimits {
    /// What the headers of a batch weigh at most.
    const BATCH_HEADERS: usize = 100;
    let beside = weight(attributes) + BATCH_HEADERS;
    BatchLimits {
        rows_max: config.csv_rows,
        bytes_max: config.record_bytes_max / 2,
        row_bytes_max: config.record_bytes_max.saturating_sub(beside),
    }
}

/// Refuses a file that cannot be kept whole. Whoever stops waiting stops the work.
async fn check(
    path: TempPath,
    reading: Reading,
    limits: BatchLimits,
) -> Result<(csv::Checked, TempPath), ApiError> {
    struct StopWhenDropped(Arc<Ticker>);
    impl Drop for StopWhenDropped {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let stop = StopWhenDropped(Arc::new(Ticker::default()));
    let ticker = Arc::clone(&stop.0);
    let checking = tokio::task::spawn_blocking(move || {
        csv::check(&path, &reading, limits, &ticker).map(|checked| (checked, path))
    });
    let checked = checking.await.map_err(internal)?;
    checked.map_err(|error| invalid(format!("{error}; nothing was sent")))
}

#[derive(Default)]
struct Progress {
    rows: u64,
    batches: u64,
    first: Option<Place>,
    last: Option<Place>,
}

async fn produce(
    state: &PipelineState,
    topic: &TopicName,
    attributes: &NewRecord,
    mut batches: mpsc::Receiver<Batch>,
) -> (Progress, Option<ApiError>) {
    let (mut sent, mut ready) = (Progress::default(), Vec::new());
    while batches.recv_many(&mut ready, BATCHES_AT_ONCE).await > 0 {
        let (rows, count) = (ready.iter().map(|batch| batch.rows).sum::<u64>(), ready.len() as u64);
        let records = ready.drain(..).map(|batch| with_attributes(batch.record, attributes)).collect();
        match state.produce(topic, records).await {
            Ok(places) => {
                sent.rows += rows;
                sent.batches += count;
                sent.first = sent.first.or_else(|| places.first().cloned());
                sent.last = places.last().cloned();
            }
            Err(error) => {
                let answer = ApiError::from(error).adding(&format!("; {} rows before were sent", sent.rows));
                return (sent, Some(answer));
            }
        }
    }
    (sent, None)
}

fn with_attributes(mut record: NewRecord, attributes: &NewRecord) -> NewRecord {
    record.key.clone_from(&attributes.key);
    record.headers.extend(attributes.headers.iter().cloned());
    record
}

fn topic(query: &Query) -> Result<TopicName, ApiError> {
    let name = query.text("topic")?.ok_or_else(|| invalid("\"topic\" is missing; say ?topic=NAME"))?;
    TopicName::new(name).map_err(|error| invalid(format!("\"topic\": {error}")))
}

/// Key and headers of a record, from the parameters. A header may come several times, as in the broker.
fn attributes(query: &Query) -> Result<NewRecord, ApiError> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let key = query.text("key")?.map(bytes);
    let mut headers = Vec::new();
    for (parameter, value) in query.iter() {
        let Some(name) = parameter.strip_prefix(HEADER_PREFIX) else { continue };
        if name.is_empty() || name.contains(char::is_control) {
            let shown: String = name.chars().take(64).collect();
            return Err(invalid(format!(
                "{HEADER_PREFIX}NAME has the name {shown:?}; use at least one character, and none of control"
            )));
        }
        headers.push((name.to_owned(), Some(bytes(value))));
    }
    Ok(NewRecord { key, headers, value: None })
}

/// Refuses a parameter that this route does not have: a slip in a name would change the record in silence.
fn check_known(query: &Query, more: &[&str]) -> Result<(), ApiError> {
    // Who asks is the server's business: a token or a ticket may come in the query.
    let known = |name: &str| {
        ["topic", "key", "token", "ticket"].contains(&name)
            || more.contains(&name)
            || name.starts_with(HEADER_PREFIX)
    };
    match query.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let shown: String = name.chars().take(64).collect();
            let names = [&["topic", "key", "header.NAME"], more].concat().join(", ");
            Err(invalid(format!("query parameter {shown:?} is unknown; use {names}")))
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Who says that it is JSON must send JSON, which is taken without a byte order mark; anything else is taken
/// byte for byte.
fn value(headers: &HeaderMap, body: Bytes) -> Result<Bytes, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Ok(body);
    }
    read_text(&body).map_err(|error| invalid(format!("the body is no JSON: {error}")))?;
    Ok(if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body })
}
