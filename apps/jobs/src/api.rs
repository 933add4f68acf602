//! The HTTP API of jobs (docs/http-api.md, section Jobs); uploads are in [`crate::tus`].
//!
//! Knows: paths, statuses, headers. Does not know: the rules of a job.

use std::sync::Arc;

use anywire_app::{ApiError, api_error};
use anywire_log::{IdempotencyKey, Offset};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    board::Entry,
    desk::{ChangeError, Decision, Desk, Outcome},
    domain::{Job, JobId},
    events::{Change, KeyUse},
    order::Order,
    request,
    rules::Refusal,
    wire::{Invalid, file_error},
};

pub(crate) type Answer = Result<Response, ApiError>;

/// The routes, with absolute paths.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/api/progress", post(start))
        .route("/api/progress/{id}", get(state))
        .route("/api/progress/{id}/step", post(step))
        .route("/api/progress/{id}/complete", post(complete))
        .route("/api/progress/{id}/fail", post(fail))
        .route("/api/progress/{id}/cancel", post(cancel))
        .route("/api/progress/{id}/retry", post(retry))
        .route("/api/jobs", get(list))
        .route("/api/jobs/{id}", delete(forget))
        .route("/api/jobs/{id}/report", get(report))
        .route("/api/jobs/{id}/upload", get(upload))
        .layer(DefaultBodyLimit::max(request::BODY_BYTES_MAX))
        .with_state(desk)
}

/// A mutating call: its body, and its key with what it was used for.
pub(crate) struct Call {
    pub(crate) body: Bytes,
    pub(crate) key: Option<KeyUse>,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let key = idempotency_key(request.headers())?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = Bytes::from_request(request, state).await.map_err(|_| {
            let is_log = path.ends_with("/log");
            let limit = if is_log { request::LOG_BODY_BYTES_MAX } else { request::BODY_BYTES_MAX };
            api_error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the body is larger than {limit} bytes; send less"),
            )
        })?;
        let call = fingerprint(&[method.as_str().as_bytes(), path.as_bytes(), &body]);
        Ok(Self { key: key.map(|key| KeyUse { key, call }), body })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let key = IdempotencyKey::new(&text).map_err(|error| Invalid(format!("Idempotency-Key: {error}")))?;
    Ok(Some(key.as_str().to_owned()))
}

/// A hash that stays the same over restarts and releases: it is written to the log.
fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    // JSON readers hold 53 bits exactly.
    u64::from_le_bytes(first) >> 11
}

async fn start(State(desk): State<Arc<Desk>>, call: Call) -> Answer {
    let request::Start { session_id, title, total_steps, argv } = request::start(&call.body)?;
    let order = argv.map(|argv| Order::Elsewhere { argv });
    let outcome =
        begin(&desk, session_id, call.key, Change::Started { title, total_steps, upload: None, order })
            .await?;
    answer(&desk, StatusCode::CREATED, outcome)
}

/// Starts a job that is not there yet.
pub(crate) async fn begin(
    desk: &Arc<Desk>,
    id: Option<JobId>,
    key: Option<KeyUse>,
    started: Change,
) -> Result<Outcome, ChangeError> {
    let id = id.unwrap_or_else(JobId::random);
    let (own, name) = (Arc::clone(desk), id.clone());
    desk.decide(&id, key, move |job| match job {
        Some(job) => Err(Refusal::Exists { id: name, status: job.status }),
        None => own.room_for_a_job().map(|()| Some(started)),
    })
    .await
}

async fn state(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let entry = desk.find(&job_id(&id)?)?;
    let tag = format!("\"{}\"", desk.context.log.cursor(entry.cursor));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.flat_map(|value| value.split(',')).any(|value| value.trim() == tag);
    let caching = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if unchanged {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, json(StatusCode::OK, entry_json(&desk, &entry)?)).into_response())
}

/// A backend's word on its job.
async fn drive(
    desk: &Arc<Desk>,
    id: &str,
    key: Option<KeyUse>,
    decide: impl FnOnce(&Job) -> Decision + Send + 'static,
) -> Answer {
    let outcome = desk.change(&job_id(id)?, key, decide).await?;
    answer(desk, StatusCode::OK, outcome)
}

async fn step(State(desk): State<Arc<Desk>>, Path(id): Path<String>, call: Call) -> Answer {
    let wish = request::step(&call.body)?;
    drive(&desk, &id, call.key, |job| job.wish_step(wish)).await
}

async fn complete(State(desk): State<Arc<Desk>>, Path(id): Path<String>, call: Call) -> Answer {
    let result = request::complete(&call.body)?;
    drive(&desk, &id, call.key, |job| job.wish_complete(result)).await
}

async fn fail(State(desk): State<Arc<Desk>>, Path(id): Path<String>, call: Call) -> Answer {
    let error = request::fail(&call.body)?;
    drive(&desk, &id, call.key, |job| job.wish_fail(error)).await
}

async fn cancel(State(desk): State<Arc<Desk>>, Path(id): Path<String>, call: Call) -> Answer {
    request::nothing(&call.body)?;
    let id = job_id(&id)?;
    let outcome = desk.change(&id, call.key, Job::wish_cancel).await?;
    desk.stop_run(&id);
    if let Outcome::Now(entry) = &outcome
        && let Some(upload) = &entry.job.upload
    {
        desk.writers.stop(upload.id);
    }
    answer(&desk, StatusCode::OK, outcome)
}

async fn retry(State(desk): State<Arc<Desk>>, Path(id): Path<String>, call: Call) -> Answer {
    request::nothing(&call.body)?;
    let id = job_id(&id)?;
    // The file is the truth about how much of it is here.
    let received = match &desk.find(&id)?.job.upload {
        Some(upload) if !upload.removed => Some(
            desk.files
                .received(upload.id)
                .await
                .map_err(|error| file_error("looking at the upload", &error))?,
        ),
        _ => None,
    };
    let outcome = desk.change(&id, call.key, move |job| job.wish_retry(received)).await?;
    answer(&desk, StatusCode::OK, outcome)
}

async fn list(State(desk): State<Arc<Desk>>, Query(query): Query<Vec<(String, String)>>) -> Answer {
    let list = request::list(&query)?;
    let (entries, seen) = {
        let board = desk.board.read();
        let number = match &list.before {
            Some(id) => board.get(id).map(|entry| entry.job.number).ok_or_else(|| before_unknown(id))?,
            None => u64::MAX,
        };
        let wanted = |entry: &&Entry| {
            let job = &entry.job;
            list.status.is_none_or(|status| job.status == status)
                && list.kind.is_none_or(|kind| job.kind() == kind)
        };
        let entries: Vec<Entry> = board.before(number).filter(wanted).take(list.limit).cloned().collect();
        (entries, board.seen())
    };
    let states = entries.iter().map(|entry| entry_json(&desk, entry)).collect::<Result<Vec<_>, _>>()?;
    let body = format!(r#"{{"jobs":[{}],"cursor":"{}"}}"#, states.join(","), desk.context.log.cursor(seen));
    Ok(([(header::CACHE_CONTROL, "no-cache")], json(StatusCode::OK, body)).into_response())
}

fn before_unknown(id: &JobId) -> ApiError {
    Invalid(format!("before is {id}, and there is no such job any more; begin again without before")).into()
}

async fn forget(State(desk): State<Arc<Desk>>, Path(id): Path<String>, call: Call) -> Answer {
    let id = job_id(&id)?;
    crate::schedule::forget(&desk, &id, call.key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn report(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let entry = desk.find(&job_id(&id)?)?;
    let none = || {
        let status = entry.job.status.as_str();
        let message = format!("job {id} is {status} and has no report; wait until it has succeeded");
        api_error(StatusCode::NOT_FOUND, "no_report", message)
    };
    let upload = entry.job.upload.as_ref().ok_or_else(none)?;
    let mut page = match tokio::fs::read(desk.files.report(upload.id)).await {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(none()),
        Err(error) => return Err(file_error("reading the report", &error)),
    };
    let asked = query.iter().find(|(name, _)| name == "lang").map(|(_, value)| value.as_str());
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    anywire_csv_report::choose_language(&mut page, asked.or(accepted).unwrap_or_default());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The report needs no script, no form and nothing from outside: whatever a cell of the file says stays text.
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "Accept-Language"),
    ];
    Ok((headers, page).into_response())
}

async fn upload(State(desk): State<Arc<Desk>>, Path(id): Path<String>) -> Answer {
    let entry = desk.find(&job_id(&id)?)?;
    let none = || {
        api_error(
            StatusCode::NOT_FOUND,
            "no_upload",
            format!("job {id} has no uploaded file any more, or not yet"),
        )
    };
    let upload = entry.job.upload.as_ref().filter(|upload| upload.is_complete() && !upload.removed);
    let upload = upload.ok_or_else(none)?;
    let file = tokio::fs::File::open(desk.files.data(upload.id)).await.map_err(|_| none())?;
    let length = file.metadata().await.map_err(|error| file_error("reading the upload", &error))?.len();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
        (header::CONTENT_DISPOSITION, attachment(&upload.filename)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    Ok((headers, Body::from_stream(chunks(file, length))).into_response())
}

/// The first `length` bytes of a file, in chunks: an upload that still grows must not be longer than was said.
fn chunks(file: tokio::fs::File, length: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    use tokio::io::AsyncReadExt;
    const CHUNK_BYTES: u64 = 256 << 10;
    futures_util::stream::try_unfold((file, length), async |(mut file, left)| {
        let mut chunk = Vec::with_capacity(usize::try_from(left.min(CHUNK_BYTES)).unwrap_or_default());
        let count = (&mut file).take(left.min(CHUNK_BYTES)).read_to_end(&mut chunk).await?;
        let next = (file, left.saturating_sub(count as u64));
        Ok((count > 0).then(|| (Bytes::from(chunk), next)))
    })
}

/// RFC 6266: the name in UTF-8, every byte that is not plainly safe escaped.
fn attachment(filename: &str) -> HeaderValue {
    let mut value = "attachment; filename*=UTF-8''".to_owned();
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

pub(crate) fn job_id(text: &str) -> Result<JobId, ApiError> {
    // A text that cannot be a name is the name of no job.
    JobId::new(text).map_err(|_| Refusal::NotFound { id: text.chars().take(64).collect() }.into())
}

pub(crate) fn answer(desk: &Desk, status: StatusCode, outcome: Outcome) -> Answer {
    let body = match outcome {
        Outcome::Now(entry) => entry_json(desk, &entry)?,
        Outcome::Before(state, cursor) => with_cursor(desk, &state, cursor),
        Outcome::Gone => return Ok(StatusCode::NO_CONTENT.into_response()),
    };
    Ok(json(status, body).into_response())
}

pub(crate) fn entry_json(desk: &Desk, entry: &Entry) -> Result<String, ApiError> {
    let state = serde_json::to_vec(&entry.job.state(desk.place(&entry.job)));
    let state =
        state.map_err(|error| api_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))?;
    Ok(with_cursor(desk, &state, entry.cursor))
}

/// A state as it was published, with the cursor from which to subscribe as its last member.
fn with_cursor(desk: &Desk, state: &[u8], cursor: Offset) -> String {
    let state = String::from_utf8_lossy(state);
    let open = state.strip_suffix('}').unwrap_or(&state);
    format!(r#"{open},"cursor":"{}"}}"#, desk.context.log.cursor(cursor))
}

pub(crate) fn json(status: StatusCode, body: String) -> impl IntoResponse {
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}
