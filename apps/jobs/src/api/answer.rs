//! How a job is answered with.

use anywire_app::{ApiError, api_error};
use anywire_log::Offset;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

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
        Outcome::Now(entry) => entry_json(service, &entry)?,
        Outcome::Before(state, cursor) => with_cursor(service, &state, cursor),
        Outcome::Gone => return Ok(StatusCode::NO_CONTENT.into_response()),
    };
    Ok(json(status, body).into_response())
}

pub(crate) fn entry_json(service: &JobService, entry: &Entry) -> Result<String, ApiError> {
    let state = serde_json::to_vec(&entry.job.state(service.place(&entry.job)));
    let state =
        state.map_err(|error| api_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))?;
    Ok(with_cursor(service, &state, entry.cursor))
}

/// A state as it was published, with the cursor from which to subscribe as its last member.
fn with_cursor(service: &JobService, state: &[u8], cursor: Offset) -> String {
    let state = String::from_utf8_lossy(state);
    let open = state.strip_suffix('}').unwrap_or(&state);
    format!(r#"{open},"cursor":"{}"}}"#, service.context.log.cursor(cursor))
}

pub(crate) fn json(status: StatusCode, body: String) -> impl IntoResponse {
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}
