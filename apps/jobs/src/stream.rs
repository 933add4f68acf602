//! One job over server-sent events, as front ends that were written for the old service expect it.
//!
//! ```text
//! retry: 1000                only in the first block, which is named open
//! id: 1f0c93ab-18            a cursor of the log: Last-Event-ID goes on exactly there, on any server of
//!                            this log
//! event: progress            open · progress · completed · failed · cancelled · heartbeat · timeout ·
//!                            error · gap
//! data: {"job_id":"…","step":2,"step_name":"speech","steps":[{…,"duration_ms":812}],…}
//! ```
//! A stream is one more reader of `progress_<id>`: it holds a cursor and nothing else, and every event is
//! written down once, however many watch.
//!
//! Invariants:
//! - Every update after the cursor is sent exactly once, in order; where retention took some, that is said,
//!   and the state of now follows.
//! - The stream ends with the job, or with `timeout`; the job never ends with the stream.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anywire_app::{
    http::{ApiError, EventFrame, Path, Query, event_stream},
    time::iso,
};
use anywire_codes::{Code, sse};
use anywire_log::{APPLICATION_SLOT, Channel, Cursor, Event, Follow, Followed, Position, ReadError};
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use tokio::time::Instant;

use crate::{
    api::{
        answer::{Answer, Members, entry_json, job_id, json as json_answer, members},
        body::Cleaned,
        call::Call,
        request,
    },
    domain::{JobId, Status},
    events::{LOG, UPDATE, progress_channel},
    projection::Entry,
    retention::clean_up,
    service::JobService,
};

/// What a browser is to wait before it comes again: the first pause of the contract.
const RETRY_MS: u32 = 1000;
/// What it is to wait where coming again will not help.
const RETRY_HOPELESS_MS: u32 = 30_000;

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    Router::new()
        .route("/api/video-progress/cleanup", post(cleanup))
        .route("/api/video-progress/{id}", get(stream))
        .route("/api/video-progress/{id}/status", get(status))
        .layer(DefaultBodyLimit::max(request::BODY_BYTES_MAX))
        .with_state(service)
}

async fn status(State(service): State<Arc<JobService>>, Path(id): Path<String>) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let body = data(&entry.job.id, entry_json(&service, &entry)?.as_bytes());
    Ok(([(header::CACHE_CONTROL, "no-cache")], json_answer(StatusCode::OK, body)).into_response())
}

async fn cleanup(State(service): State<Arc<JobService>>, call: Call) -> Answer {
    let older_than_s = request::cleanup(&call.body)?;
    let kept_ms = older_than_s.map_or(service.config.events_kept_ms, |seconds| seconds.saturating_mul(1000));
    let (jobs, events) = clean_up(&service, kept_ms).await;
    Ok(Json(Cleaned { jobs_cleaned: jobs, events_removed: events }).into_response())
}

async fn stream(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer {
    let position = query.start(text(&headers, "last-event-id"))?;
    let with_log = query.text("log")? == Some("1");
    let found = job_id(&id).and_then(|id| service.find(&id).map_err(ApiError::from));
    let entry = match found {
        Ok(entry) => entry,
        Err(error) => return refuse(&headers, error),
    };
    if is_over(&service, &entry, position) {
        // The one answer after which a browser does not come again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let watch = Watch::new(service, &entry, position, with_log);
    let chunks = futures_util::stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<_, Infallible>(chunk), watch))
    });
    Ok(event_stream(Body::from_stream(chunks)))
}

/// A browser's `EventSource` shows nobody the body of an error: it gets an event. Everybody else gets the
/// plain error.
fn refuse(headers: &HeaderMap, error: ApiError) -> Answer {
    if !sse::accepts(text(headers, "accept")) {
        return Err(error);
    }
    let retry_ms = error.retry_ms().unwrap_or(RETRY_HOPELESS_MS);
    Ok(event_stream(Body::from(sse::refusal_event(&error.into(), retry_ms))))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the job has ended and whoever asks has seen that.
fn is_over(service: &JobService, entry: &Entry, position: Option<Position>) -> bool {
    let Some(Position::After(cursor)) = position else { return false };
    has_ended(entry.job.status)
        && cursor.epoch == service.context.log.epoch()
        && cursor.offset >= entry.cursor
}

/// An interrupted job goes on when somebody retries it.
const fn has_ended(status: Status) -> bool {
    matches!(status, Status::Succeeded | Status::Failed | Status::Cancelled)
}

const fn event_name(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "completed",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
        Status::Queued | Status::Running | Status::Interrupted => "progress",
    }
}

/// One who watches.
struct Watch {
    service: Arc<JobService>,
    id: JobId,
    follow: Follow,
    with_log: bool,
    /// What is sent first.
    first: Option<Vec<u8>>,
    heartbeat: Instant,
    end: Instant,
    over: bool,
}

impl Watch {
    /// Without a position the state of now comes first, and everything after it.
    fn new(service: Arc<JobService>, entry: &Entry, position: Option<Position>, with_log: bool) -> Self {
        let channel: Channel = progress_channel(&entry.job.id);
        let start = position.unwrap_or(Position::After(service.context.log.cursor(entry.cursor)));
        let follow = service.context.log.follow(&[channel], start);
        let mut first = opening(follow.cursor(), position.is_some());
        let over = position.is_none() && has_ended(entry.job.status);
        if position.is_none() {
            first.extend(state_block(&service, entry));
        }
        let now = Instant::now();
        let (heartbeat, end) = (service.config.stream_heartbeat_ms, service.config.stream_ms);
        Self {
            id: entry.job.id.clone(),
            follow,
            with_log,
            first: Some(first),
            heartbeat: now + Duration::from_millis(heartbeat),
            end: now + Duration::from_millis(end),
            over,
            service,
        }
    }

    /// The next bytes; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first.into());
        }
        loop {
            if self.over {
                return None;
            }
            let shutdown = self.service.context.shutdown.clone();
            tokio::select! {
                // What is there comes before what is due.
                biased;
                () = shutdown.cancelled() => return None,
                found = self.follow.next() => {
                    let chunk = self.take(found);
                    if !chunk.is_empty() {
                        self.beat();
                        return Some(chunk.into());
                    }
                }
                () = tokio::time::sleep_until(self.end) => return Some(self.timeout().into()),
                () = tokio::time::sleep_until(self.heartbeat) => return Some(self.heartbeat().into()),
            }
        }
    }

    fn beat(&mut self) {
        self.heartbeat = Instant::now() + Duration::from_millis(self.service.config.stream_heartbeat_ms);
    }

    fn take(&mut self, found: Result<Followed, ReadError>) -> Vec<u8> {
        match found {
            Ok(Followed::Events(events)) => self.events(&events),
            Ok(Followed::Gap(gap)) => self.gap(&gap),
            Err(error) => {
                self.over = true;
                EventFrame::new("error", &ApiError::from(error).body()).bytes()
            }
        }
    }

    fn events(&mut self, events: &[Arc<Event>]) -> Vec<u8> {
        let log = &self.service.context.log;
        let mut chunk = Vec::new();
        for event in events {
            let wanted = event.name.as_str() == UPDATE || (self.with_log && event.name.as_str() == LOG);
            if wanted {
                let id = log.cursor(event.offset);
                chunk.extend_from_slice(event.encoding(APPLICATION_SLOT, |event| block(&self.id, id, event)));
            }
        }
        // A job may have been retried since its last update: that is not its end then.
        let last = events.last().map(|event| event.offset);
        let model = self.service.model();
        self.over =
            model.get(&self.id).is_none_or(|entry| has_ended(entry.job.status) && last >= Some(entry.cursor));
        chunk
    }

    /// What is gone is named; the state of now has all of it.
    fn gap(&mut self, gap: &anywire_log::Gap) -> Vec<u8> {
        let body =
            json!({ "from": gap.from.to_string(), "to": gap.to.to_string(), "reason": gap.reason.as_str() });
        let mut chunk = EventFrame::new("gap", &body.to_string()).bytes();
        if let Ok(entry) = self.service.find(&self.id) {
            chunk.extend(state_block(&self.service, &entry));
            self.follow = self.service.context.log.follow(
                &[progress_channel(&self.id)],
                Position::After(self.service.context.log.cursor(entry.cursor)),
            );
            self.over = has_ended(entry.job.status);
        }
        chunk
    }

    fn heartbeat(&mut self) -> Vec<u8> {
        self.beat();
        if self.service.find(&self.id).is_err() {
            self.over = true;
            let message = format!("job {} was forgotten; there is nothing more to come", self.id);
            return EventFrame::new("error", &ApiError::new(Code::NotFound, message).body()).bytes();
        }
        let cursor = self.follow.cursor();
        let body =
            json!({ "job_id": self.id, "time": iso(self.service.now()), "cursor": cursor.to_string() });
        EventFrame::new("heartbeat", &body.to_string()).at(cursor).bytes()
    }

    fn timeout(&mut self) -> Vec<u8> {
        self.over = true;
        let cursor = self.follow.cursor();
        let minutes = self.service.config.stream_ms / 60_000;
        let message = format!(
            "this stream ends after {minutes} minutes; the job goes on: come again with Last-Event-ID {cursor}"
        );
        let body = json!({ "job_id": self.id, "message": message, "cursor": cursor.to_string() });
        EventFrame::new("timeout", &body.to_string()).at(cursor).bytes()
    }
}

/// The first event. Where the state of now follows, it has no id: should the connection break in between, the
/// state comes again.
fn opening(cursor: Cursor, resumes: bool) -> Vec<u8> {
    let body = json!({ "cursor": cursor.to_string() }).to_string();
    let id = resumes.then_some(cursor);
    EventFrame { retry_ms: Some(RETRY_MS), id, ..EventFrame::new("open", &body) }.bytes()
}

/// The state of now as an event.
fn state_block(service: &JobService, entry: &Entry) -> Vec<u8> {
    let state = serde_json::to_vec(&entry.job.state(service.place(&entry.job))).unwrap_or_default();
    let (name, id) = (event_name(entry.job.status), service.context.log.cursor(entry.cursor));
    EventFrame::new(name, &data(&entry.job.id, &state)).at(id).bytes()
}

/// An event of the log as it is sent to everybody.
fn block(id: &JobId, cursor: Cursor, event: &Event) -> Bytes {
    let payload = event.payload.as_bytes();
    let frame = if event.name.as_str() == LOG {
        EventFrame::new("log", &String::from_utf8_lossy(payload)).at(cursor).bytes()
    } else {
        let status = serde_json::from_slice::<Known>(payload).map_or(Status::Running, |known| known.status);
        EventFrame::new(event_name(status), &data(id, payload)).at(cursor).bytes()
    };
    frame.into()
}

/// What has to be known of a state to send it.
#[derive(Deserialize)]
struct Known {
    status: Status,
}

#[derive(Deserialize)]
struct Made<'a> {
    #[serde(borrow, default)]
    video: Option<&'a RawValue>,
}

/// A state with the members that front ends of the contract look for: `job_id`, and the video once it is
/// made.
fn data(job_id: &JobId, state: &[u8]) -> String {
    #[derive(Serialize)]
    struct Data<'a> {
        job_id: &'a JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        video: Option<&'a RawValue>,
        #[serde(flatten)]
        state: Members<'a>,
    }
    let state = members(state).unwrap_or_default();
    let result = state.get("result").and_then(|result| serde_json::from_str::<Made>(result.get()).ok());
    let data = Data { job_id, video: result.and_then(|made| made.video), state };
    // Only what was read as JSON is in there: writing it cannot fail.
    serde_json::to_string(&data).unwrap_or_default()
}
