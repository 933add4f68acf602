//! Answers that are the state of a job.

use std::collections::BTreeMap;

use anywire_app::http::ApiError;
use anywire_codes::Code;
use anywire_log::Offset;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    decisions::Refusal,
    domain::JobId,
    projection::Entry,
    service::{JobService, Outcome},
};

pub(crate) type Answer = Result<Response, ApiError>;

pub(crate) fn job_id(text: &str) -> Result<JobId, ApiError> {
    // A text that cannot be a name is the name of no job.
    JobId::new(text).map_err(|_| Refusal::NotFound { id: text.chars().take(64).collect() }.into())
}

pub(crate) fn answer(service: &JobService, status: StatusCode, outcome: Outcome) -> Answer {
    let body = match outcome {
        Outcome::Now(entry) => update_json(service, &entry)?,
        Outcome::Before(state, cursor) => with_cursor(service, &members(&state)?, cursor)?,
        Outcome::Gone => return Ok(StatusCode::NO_CONTENT.into_response()),
    };
    Ok(json(status, body).into_response())
}

pub(crate) fn entry_json(service: &JobService, entry: &Entry) -> Result<String, ApiError> {
    with_cursor(service, &entry.job.state(service.place(&entry.job)), entry.cursor)
}

/// The state as an update gives it; see [`crate::domain::Job::update`].
fn update_json(service: &JobService, entry: &Entry) -> Result<String, ApiError> {
    with_cursor(service, &entry.job.update(service.place(&entry.job)), entry.cursor)
}

/// The state as lists give it.
pub(crate) fn listed_json(service: &JobService, entry: &Entry) -> Result<String, ApiError> {
    with_cursor(service, &entry.job.listed(service.place(&entry.job)), entry.cursor)
}

/// The members of a state as it was published.
pub(crate) type Members<'a> = BTreeMap<&'a str, &'a RawValue>;

/// Reads a state as it was published.
pub(crate) fn members(state: &[u8]) -> Result<Members<'_>, ApiError> {
    serde_json::from_slice(state).map_err(broken)
}

/// A state with the cursor from which to subscribe.
fn with_cursor(service: &JobService, state: &impl Serialize, cursor: Offset) -> Result<String, ApiError> {
    #[derive(Serialize)]
    struct WithCursor<'a, S> {
        #[serde(flatten)]
        state: &'a S,
        cursor: String,
    }
    let cursor = service.context.log.cursor(cursor).to_string();
    serde_json::to_string(&WithCursor { state, cursor }).map_err(broken)
}

fn broken(error: serde_json::Error) -> ApiError {
    ApiError::new(Code::Internal, format!("the state of a job is no JSON object: {error}"))
}

pub(crate) fn json(status: StatusCode, body: String) -> impl IntoResponse {
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}
