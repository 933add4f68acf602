//! One record: what it holds, processing it again, producing it again.

use std::sync::Arc;

use anywire_app::{ApiError, time::iso};
use anywire_codes::Code;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{errors::internal, produce::shown};
use crate::{
    consumers::{
        attempt::{Ended, failed},
        dead_letter::{DEAD_LETTER_PREFIX, is_empty_letter},
    },
    domain::{ConsumerId, Entry, LogId, Status},
    state::PipelineState,
    topics::{Partition, Place, Record, TopicName},
};

type Answer = Result<Response, ApiError>;

/// How many bytes of a value are shown.
const SHOWN_BYTES_MAX: usize = 256 << 10;
/// Under which name records are processed again by hand.
const BY_HAND: &str = "retry";

/// `GET /api/consumers/logs/{id}`
pub(super) async fn show(State(state): State<Arc<PipelineState>>, Path(id): Path<String>) -> Answer {
    let entry = find(&state, &id)?;
    let record = original(&state, &entry).await?;
    Ok(Json(json!({ "log": entry, "record": record.as_ref().map(content) })).into_response())
}

/// `POST /api/consumers/logs/{id}/retry`: the same record is processed once more, under the same id.
pub(super) async fn retry(State(state): State<Arc<PipelineState>>, Path(id): Path<String>) -> Answer {
    let done = tokio::spawn(async move { process_again(&state, &id).await }).await;
    done.map_err(internal)?
}

async fn process_again(state: &PipelineState, id: &str) -> Answer {
    let permit = state.retries.acquire().await.map_err(internal)?;
    let entry = find(state, id)?;
    if entry.status != Status::Failed {
        let message = format!(
            "record {id} has not failed: it is {:?}; only a failed one can be tried again",
            entry.status
        );
        return Err(ApiError::new(Code::NotFailed, message));
    }
    let record = original(state, &entry).await?.ok_or_else(|| gone(id))?;
    let consumer = ConsumerId::new(BY_HAND).map_err(internal)?;
    let changes = match state.attempt(&record, &consumer, &state.context.shutdown).await {
        Ok(changes) => changes,
        // It is a dead letter already.
        Err(Ended::Failed(mut changes, reason)) => {
            changes.push(failed(state, &record, &reason));
            changes
        }
        Err(Ended::Stopped) => return Err(crate::journal::Closed.into()),
    };
    state.journal.write(changes).await?;
    state.journal.barrier().await?;
    drop(permit);
    Ok(Json(find(state, id)?).into_response())
}

/// `POST /api/consumers/logs/{id}/replay`: a new record with exactly these bytes comes into the same topic.
pub(super) async fn replay(State(state): State<Arc<PipelineState>>, Path(id): Path<String>) -> Answer {
    let entry = find(&state, &id)?;
    let record = original(&state, &entry).await?.ok_or_else(|| gone(&id))?;
    let topic = TopicName::new(&entry.topic).map_err(internal)?;
    let places = state.produce(&topic, vec![record.content]).await;
    let places = places?;
    Ok((StatusCode::CREATED, Json(json!({ "success": true, "record": places.first().map(shown) })))
        .into_response())
}

fn find(state: &PipelineState, id: &str) -> Result<Entry, ApiError> {
    let found = LogId::parse(id).and_then(|id| state.records.read().get(id).cloned());
    found.ok_or_else(|| {
        let id: String = id.chars().take(64).collect();
        let message = format!(
            "there is no record {id} among the newest; GET /api/consumers/logs lists those there are"
        );
        ApiError::new(Code::NotFound, message)
    })
}

/// The record as it was produced: from its topic, or from the dead letters when the topic keeps it no more.
async fn original(state: &PipelineState, entry: &Entry) -> Result<Option<Record>, ApiError> {
    let topic = TopicName::new(&entry.topic).map_err(internal)?;
    let place = Place { partition: Partition { topic, number: entry.partition }, offset: entry.offset };
    let found = state.topics.read(&place).await?;
    // Another record at this place is one of a topic that was made anew.
    if let Some(record) = found.filter(|record| LogId::of(record) == entry.log_id) {
        return Ok(Some(record));
    }
    let Some(dead) = &entry.dead_letter else { return Ok(None) };
    let found = state.topics.read(dead).await?;
    Ok(found.filter(|letter| !is_empty_letter(&letter.content)).map(|mut letter| {
        letter.content.headers.retain(|(name, _)| !name.starts_with(DEAD_LETTER_PREFIX));
        Record { place, ..letter }
    }))
}

fn gone(id: &str) -> ApiError {
    let message = format!("record {id} is not in its topic any more, nor among the dead letters");
    ApiError::new(Code::RecordGone, message)
}

fn content(record: &Record) -> Value {
    let headers = record.content.headers.iter();
    let headers: Vec<Value> =
        headers.map(|(name, value)| json!({ "name": name, "value": value.as_deref().map(bytes) })).collect();
    json!({
        "key": record.content.key.as_deref().map(bytes),
        "headers": headers,
        "value": record.content.value.as_deref().map(bytes),
        "timestamp": iso(record.time),
    })
}

/// Bytes for people: as text where they are text.
fn bytes(bytes: &[u8]) -> Value {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let truncated = shown.len() < bytes.len();
    match std::str::from_utf8(shown) {
        Ok(text) => json!({ "text": text, "bytes": bytes.len(), "truncated": truncated }),
        Err(error) if truncated && error.error_len().is_none() => {
            let text = String::from_utf8_lossy(&shown[..error.valid_up_to()]);
            json!({ "text": text, "bytes": bytes.len(), "truncated": true })
        }
        Err(_) => json!({ "base64": STANDARD.encode(shown), "bytes": bytes.len(), "truncated": truncated }),
    }
}
