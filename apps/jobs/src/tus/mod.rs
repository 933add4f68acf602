//! Uploads that go on where they stopped: a tus 1.0 server (<https://tus.io/protocols/resumable-upload>).
//!
//! Extensions: creation, creation-with-upload, termination, checksum (sha1, sha256), expiration. The upload's offset is the length of its
//! file, so it survives any restart; what arrived before a connection broke is kept.
//!
//! Knows: the tus protocol. Does not know: CSV, how a report is made.
//!
//! Invariants:
//! - One request at a time writes to an upload. A newer one ends the older: the connection the older came on is often dead, and only its
//!   client knows.
//! - A chunk with a checksum is kept whole or not at all.

mod headers;
mod receive;
mod writers;

use std::sync::{Arc, atomic::Ordering};

use anywire_app::{ApiError, api_error};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};

use crate::{
    board::Entry,
    desk::{ChangeError, Desk},
    domain::{Job, JobId, REPORT_STEPS, Upload},
    events::Change,
    files::UploadId,
    rules::Refusal,
    schedule::{is_unfinished_upload, remove_upload},
    time::http_date,
    wire::file_error,
};
use headers::{Metadata, tus};
pub(crate) use writers::Writers;

type Answer = Result<Response, ApiError>;

/// The routes, with absolute paths.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    let upload =
        MethodRouter::new().head(head).patch(patch).delete(terminate).post(overridden).options(options);
    Router::new()
        .route("/api/uploads", post(create).options(options))
        .route("/api/uploads/{id}", upload)
        .layer(axum::middleware::map_response(name_the_version))
        .with_state(desk)
}

async fn name_the_version(mut response: Response) -> Response {
    response.headers_mut().insert(tus::RESUMABLE, HeaderValue::from_static(headers::VERSION));
    response
}

async fn options(State(desk): State<Arc<Desk>>) -> Response {
    let headers = [
        (tus::VERSION, HeaderValue::from_static(headers::VERSION)),
        (
            tus::EXTENSION,
            HeaderValue::from_static("creation,creation-with-upload,termination,checksum,expiration"),
        ),
        (tus::CHECKSUM_ALGORITHM, HeaderValue::from_static("sha1,sha256")),
        (tus::MAX_SIZE, HeaderValue::from(desk.config.upload_bytes_max)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn create(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Body) -> Answer {
    headers::check_version(&headers)?;
    let size = headers::upload_length(&headers)?;
    if size > desk.config.upload_bytes_max {
        return Err(too_large(size, desk.config.upload_bytes_max));
    }
    let metadata = headers::metadata(&headers)?;
    let (job, upload) = begin(&desk, size, metadata).await?;
    let mut answer = HeaderMap::new();
    answer.insert(header::LOCATION, text(&format!("/api/uploads/{upload}")));
    answer.insert("anywire-session", text(job.as_str()));
    if headers::has_chunk(&headers) {
        let checksum = headers::checksum(&headers)?;
        let offset = receive::receive(&desk, upload, 0, checksum, body).await?;
        answer.insert(tus::OFFSET, HeaderValue::from(offset));
    } else if size == 0 {
        receive::finish(&desk, &job).await?;
    }
    expires(&desk, &job, &mut answer);
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Makes the upload's file and its job.
async fn begin(desk: &Arc<Desk>, size_bytes: u64, metadata: Metadata) -> Result<(JobId, UploadId), ApiError> {
    let _place = Place::take(desk)?;
    let id = metadata.session_id.unwrap_or_else(JobId::random);
    if let Ok(entry) = desk.find(&id) {
        return Err(Refusal::Exists { id, status: entry.job.status }.into());
    }
    let upload = UploadId::random();
    desk.files.create(upload).await.map_err(|error| file_error("making the upload's file", &error))?;
    let filename = metadata.filename;
    let began = Upload {
        id: upload,
        filename,
        size_bytes,
        received_bytes: 0,
        metadata: metadata.raw,
        heard_at: desk.now(),
        removed: false,
    };
    let started = start_job(desk, &id, began).await;
    if let Err(error) = started {
        // The next start would remove it too: it has no job.
        let _removed = desk.files.remove(upload).await;
        return Err(error.into());
    }
    Ok((id, upload))
}

async fn start_job(desk: &Arc<Desk>, id: &JobId, upload: Upload) -> Result<(), ChangeError> {
    let (own, name) = (Arc::clone(desk), id.clone());
    let decide = move |job: Option<&Job>| match job {
        Some(job) => Err(Refusal::Exists { id: name, status: job.status }),
        None => {
            own.room_for_a_job()?;
            let (title, total_steps) = (upload.filename.clone(), steps_count());
            Ok(Some(Change::Started { title, total_steps, upload: Some(upload), order: None }))
        }
    };
    desk.decide(id, None, decide).await.map(|_| ())
}

fn steps_count() -> u32 {
    u32::try_from(REPORT_STEPS.len()).unwrap_or(u32::MAX)
}

/// A place among the open uploads, held until the upload is on the board.
struct Place<'a>(&'a Desk);

impl<'a> Place<'a> {
    fn take(desk: &'a Desk) -> Result<Self, ApiError> {
        let making = desk.creating.fetch_add(1, Ordering::AcqRel);
        let place = Self(desk);
        let open = making + desk.board.read().uploads(is_unfinished_upload);
        if open < desk.config.uploads_open_max {
            return Ok(place);
        }
        let message = format!(
            "{open} uploads are unfinished, the limit; finish or DELETE some of them, or raise jobs.uploads_open_max"
        );
        Err(api_error(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", message))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.creating.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn head(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    headers::check_version(&headers)?;
    let (entry, upload) = find(&desk, &id)?;
    // Whoever asks where to go on has lost the older connection: what it still carries must not move the offset after the answer.
    let _quiet = desk.writers.enter(upload.id).await.map_err(|_| receive::locked(upload.id))?;
    let received =
        desk.files.received(upload.id).await.map_err(|error| file_error("looking at the upload", &error))?;
    let mut answer = HeaderMap::new();
    answer.insert(tus::OFFSET, HeaderValue::from(received));
    answer.insert(tus::LENGTH, HeaderValue::from(upload.size_bytes));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.insert("anywire-session", text(entry.job.id.as_str()));
    if !upload.metadata.is_empty() {
        answer.insert(tus::METADATA, text(&upload.metadata));
    }
    expires(&desk, &entry.job.id, &mut answer);
    Ok((StatusCode::OK, answer).into_response())
}

async fn patch(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    headers::check_version(&headers)?;
    headers::check_chunk_type(&headers)?;
    let offset = headers::upload_offset(&headers)?;
    let checksum = headers::checksum(&headers)?;
    let (entry, upload) = find(&desk, &id)?;
    let offset = receive::receive(&desk, upload.id, offset, checksum, body).await?;
    let mut answer = HeaderMap::new();
    answer.insert(tus::OFFSET, HeaderValue::from(offset));
    expires(&desk, &entry.job.id, &mut answer);
    Ok((StatusCode::NO_CONTENT, answer).into_response())
}

async fn terminate(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    headers::check_version(&headers)?;
    let (entry, _upload) = find(&desk, &id)?;
    match desk.change(&entry.job.id, None, Job::wish_cancel).await {
        Ok(_) | Err(ChangeError::Refused(Refusal::Illegal { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    desk.stop_run(&entry.job.id);
    remove_upload(&desk, &entry.job.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// For clients that can only POST: tus lets them name the method in a header.
async fn overridden(state: State<Arc<Desk>>, id: Path<String>, headers: HeaderMap, body: Body) -> Answer {
    match headers.get(tus::METHOD_OVERRIDE).map(HeaderValue::as_bytes) {
        Some(b"PATCH") => patch(state, id, headers, body).await,
        Some(b"DELETE") => terminate(state, id, headers).await,
        Some(b"HEAD") => head(state, id, headers).await,
        other => {
            let named = other.map(String::from_utf8_lossy).unwrap_or_default();
            let message =
                format!("X-HTTP-Method-Override is {named:?}; POST here needs PATCH, DELETE or HEAD in it");
            Err(api_error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
        }
    }
}

fn find(desk: &Desk, id: &str) -> Result<(Entry, Upload), ApiError> {
    let missing = || {
        let message = format!(
            "there is no upload {:?}; make one with POST /api/uploads",
            id.chars().take(64).collect::<String>()
        );
        api_error(StatusCode::NOT_FOUND, "not_found", message)
    };
    let upload = UploadId::parse(id).ok_or_else(missing)?;
    let entry = desk.board.read().of_upload(upload).cloned().ok_or_else(missing)?;
    let upload = entry.job.upload.clone().ok_or_else(missing)?;
    if upload.removed {
        let message = format!("upload {id} was removed; upload the file again");
        return Err(api_error(StatusCode::GONE, "upload_removed", message));
    }
    Ok((entry, upload))
}

/// An unfinished upload goes when no byte arrives for too long.
fn expires(desk: &Desk, id: &JobId, answer: &mut HeaderMap) {
    let Ok(entry) = desk.find(id) else { return };
    if let Some(upload) = entry.job.upload.as_ref().filter(|_| is_unfinished_upload(&entry.job)) {
        let at = upload.heard_at.plus_millis(desk.config.upload_expires_ms);
        answer.insert(tus::EXPIRES, text(&http_date(at)));
    }
}

fn too_large(size: u64, limit: u64) -> ApiError {
    let message =
        format!("Upload-Length is {size} bytes; at most {limit} are allowed (jobs.upload_bytes_max)");
    api_error(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

fn text(value: &str) -> HeaderValue {
    // Only names and texts that were checked to be visible ASCII come here.
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

/// Names a header of ours in an array of pairs.
const fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}
