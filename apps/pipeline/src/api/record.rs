//! One record: what it holds, processing it again, producing it again.

use std::sync::Arc;

use anywire_app::{ApiError, http::Path};
use anywire_codes::Code;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    body::{RecordContent, RecordDetail, Replayed},
    errors::internal,
};
use crate::{
    consumers::{
        attempt::{Ended, failed},
        dead_letter::{DEAD_LETTER_PREFIX, is_empty_letter},
    },
    domain::{ConsumerId, Entry, LogId, ShownPlace, Status},
    state::PipelineState,
    topics::{Partition, Place, Record, TopicName},
};

type Answer = Result<Response, ApiError>;

/// Under which name records are processed again by hand.
const BY_HAND: &str = "retry";

/// `GET /api/consumers/logs/{id}`
pub(super) async fn show(State(state): State<Arc<PipelineState>>, Path(id): Path<String>) -> Answer {
    let entry = find(&state, &id)?;
    let record = original(&state, &entry).await?;
    let record = record.as_ref().map(RecordContent::of);
    Ok(Json(RecordDetail { log: entry, record }).into_response())
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
    let answer = Replayed { success: true, record: places.first().map(ShownPlace::of) };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
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
