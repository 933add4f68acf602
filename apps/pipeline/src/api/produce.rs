//! Producing: one record, or a CSV file in batches.

use std::{io, sync::Arc};

use anywire_app::{
    ApiError,
    http::{Query, invalid},
    time::iso,
};
use anywire_codes::Code;
use axum::{
    Json,
    body::Body,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::{
    body::{FileSent, Sent, Topic, Topics},
    csv::{self, Batch},
};
use crate::{
    domain::ShownPlace,
    state::PipelineState,
    topics::{NewRecord, Place, TopicName},
};

type Answer = Result<Response, ApiError>;

/// What a header's parameter begins with: `header.source=web`.
const HEADER_PREFIX: &str = "header.";
/// How many batches of a file are produced at once.
const BATCHES_AT_ONCE: usize = 16;
/// How many chunks of a file may wait for being parsed.
const CHUNKS_WAITING: usize = 8;

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
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = body.map_err(|_| {
        let max = state.config.record_bytes_max;
        let message =
            format!("the record is larger than {max} bytes; send less, or raise pipeline.record_bytes_max");
        ApiError::new(Code::TooLarge, message)
    })?;
    check_json(&headers, &body)?;
    let topic = topic(&query)?;
    let record = NewRecord { value: Some(body), ..attributes(&query) };
    let places = state.produce(&topic, vec![record]).await?;
    let timestamp = iso(state.context.clock.now());
    let record = places.first().map(ShownPlace::of);
    let answer = Sent { success: true, topic: topic.as_str().to_owned(), record, timestamp };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `POST /api/producers/send/csv?topic=`
pub(super) async fn file(State(state): State<Arc<PipelineState>>, query: Query, body: Body) -> Answer {
    let topic = topic(&query)?;
    let attributes = attributes(&query);
    let (chunks, arriving) = mpsc::channel(CHUNKS_WAITING);
    let (out, batches) = mpsc::channel(BATCHES_AT_ONCE);
    let (rows_max, bytes_max) = (state.config.csv_rows, state.config.record_bytes_max / 2);
    let reading = tokio::task::spawn_blocking(move || csv::read(arriving, rows_max, bytes_max, &out));
    let feeding = feed(body, chunks, state.config.csv_bytes_max);
    // When producing fails its receiver goes: then the reader ends, and with it whoever feeds it.
    let ((), (sent, failed)) = tokio::join!(feeding, produce(&state, &topic, &attributes, batches));
    let read = reading.await.unwrap_or_else(|error| Err(error.to_string()));
    if let Some(error) = failed {
        return Err(error);
    }
    if let Err(detail) = read {
        return Err(invalid(format!("{detail}; {} rows before it were sent", sent.rows)));
    }
    let answer = FileSent {
        success: true,
        topic: topic.as_str().to_owned(),
        row_count: sent.rows,
        batches: sent.batches,
        first: sent.first.as_ref().map(ShownPlace::of),
        last: sent.last.as_ref().map(ShownPlace::of),
        timestamp: iso(state.context.clock.now()),
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Hands the body on, chunk by chunk, and waits where the parser is slower.
async fn feed(body: Body, chunks: mpsc::Sender<io::Result<Bytes>>, bytes_max: u64) {
    let mut stream = body.into_data_stream();
    let mut bytes = 0_u64;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| io::Error::other(format!("the file was cut off: {error}")));
        bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        let chunk = if bytes > bytes_max {
            Err(io::Error::other(format!(
                "the file is larger than {bytes_max} bytes, pipeline.csv_bytes_max"
            )))
        } else {
            chunk
        };
        let last = chunk.is_err();
        if chunks.send(chunk).await.is_err() || last {
            return;
        }
    }
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
    let name = query.iter().find(|(name, _)| *name == "topic").map(|(_, value)| value);
    let name = name.ok_or_else(|| invalid("\"topic\" is missing; say ?topic=NAME"))?;
    TopicName::new(name).map_err(|error| invalid(format!("\"topic\": {error}")))
}

/// Key and headers of a record, from the parameters.
fn attributes(query: &Query) -> NewRecord {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let key = query.iter().find(|(name, _)| *name == "key").map(|(_, value)| bytes(value));
    let headers = query
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(HEADER_PREFIX)?.to_owned(), Some(bytes(value)))));
    NewRecord { key, headers: headers.collect(), value: None }
}

/// Who says that it is JSON must send JSON; anything else is taken byte for byte.
fn check_json(headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let text = std::str::from_utf8(body).map_err(|error| invalid(format!("the body is no JSON: {error}")))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|error| invalid(format!("the body is no JSON: {error}")))
}
