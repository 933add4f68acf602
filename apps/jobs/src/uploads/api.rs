//! The routes of tus.

use std::sync::{Arc, atomic::Ordering};

use anywire_app::{http::ApiError, time::http_date};
use anywire_codes::Code;
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};

use super::{
    headers::{self, Metadata, tus},
    receive,
};
use crate::{
    api::errors::file_error,
    decisions::Refusal,
    domain::{Job, JobId, REPORT_STEPS, Upload, UploadId},
    events::Change,
    projection::Entry,
    retention::remove_upload,
    service::{ChangeError, JobService, to_the_end},
};

type Answer = Result<Response, ApiError>;

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    let upload =
        MethodRouter::new().head(head).patch(patch).delete(terminate).post(overridden).options(options);
    Router::new()
        .route("/api/uploads", post(create).options(options))
        .route("/api/uploads/{id}", upload)
        .layer(axum::middleware::map_response(name_the_version))
        .with_state(service)
}

async fn name_the_version(mut response: Response) -> Response {
    response.headers_mut().insert(tus::RESUMABLE, HeaderValue::from_static(headers::VERSION));
    response
}

async fn options(State(service): State<Arc<JobService>>) -> Response {
    let headers = [
        (tus::VERSION, HeaderValue::from_static(headers::VERSION)),
        (
            tus::EXTENSION,
            HeaderValue::from_static("creation,creation-with-upload,termination,checksum,expiration"),
        ),
        (tus::CHECKSUM_ALGORITHM, HeaderValue::from_static("sha1,sha256")),
        (tus::MAX_SIZE, HeaderValue::from(service.config.upload_bytes_max)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn create(State(service): State<Arc<JobService>>, headers: HeaderMap, body: Body) -> Answer {
    headers::check_version(&headers)?;
    let size = headers::upload_length(&headers)?;
    if size > service.config.upload_bytes_max {
        return Err(too_large(size, service.config.upload_bytes_max));
    }
    let metadata = headers::metadata(&headers)?;
    let (own, complete) = (Arc::clone(&service), size == 0 && !headers::has_chunk(&headers));
    let (job, upload) = to_the_end(async move { begin(&own, size, metadata, complete).await }).await?;
    let mut answer = HeaderMap::new();
    answer.insert(header::LOCATION, text(&format!("/api/uploads/{upload}")));
    answer.insert("anywire-session", text(job.as_str()));
    if headers::has_chunk(&headers) {
        let checksum = headers::checksum(&headers)?;
        let offset = receive::receive(&service, upload, 0, checksum, body).await?;
        answer.insert(tus::OFFSET, HeaderValue::from(offset));
    }
    expires(&service, &job, &mut answer);
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Makes the upload's file and its job; `complete` where there is no byte to wait for.
async fn begin(
    service: &Arc<JobService>,
    size_bytes: u64,
    metadata: Metadata,
    complete: bool,
) -> Result<(JobId, UploadId), ApiError> {
    let _place = Place::take(service)?;
    let id = metadata.session_id.unwrap_or_else(JobId::random);
    if let Ok(entry) = service.find(&id) {
        return Err(Refusal::Exists { id, status: entry.job.status }.into());
    }
    let upload = UploadId::random();
    service.files.create(upload).await.map_err(|error| file_error("making the upload's file", &error))?;
    let filename = metadata.filename;
    let began = Upload {
        id: upload,
        filename,
        size_bytes,
        received_bytes: 0,
        metadata: metadata.raw,
        heard_at: service.now(),
        removed: false,
    };
    let (title, total_steps) = (began.filename.clone(), steps_count());
    let started = Change::Started { title, total_steps, upload: Some(began), spec: None };
    if let Err(error) = service.begin(&id, None, started).await {
        // The next start would remove it too: it has no job.
        let _removed = service.files.remove(upload).await;
        return Err(error.into());
    }
    if complete {
        receive::finish(service, &id).await?;
    }
    Ok((id, upload))
}

fn steps_count() -> u32 {
    u32::try_from(REPORT_STEPS.len()).unwrap_or(u32::MAX)
}

/// A place among the open uploads, held until the upload is on the model.
struct Place<'a>(&'a JobService);

impl<'a> Place<'a> {
    fn take(service: &'a JobService) -> Result<Self, ApiError> {
        let making = service.creating.fetch_add(1, Ordering::AcqRel);
        let place = Self(service);
        let open = making + service.model().uploads(Job::is_unfinished_upload);
        if open < service.config.uploads_open_max {
            return Ok(place);
        }
        let message = format!(
            "{open} uploads are unfinished, the limit; finish or DELETE some of them, or raise jobs.uploads_open_max"
        );
        Err(ApiError::new(Code::TooManyUploads, message))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.creating.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn head(State(service): State<Arc<JobService>>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    headers::check_version(&headers)?;
    let (entry, upload) = find(&service, &id)?;
    // Whoever asks where to go on has lost the older connection: what it still carries must not move the
    // offset after the answer.
    let _quiet = service.writers.enter(upload.id).await.map_err(|_| receive::locked(upload.id))?;
    let received = service
        .files
        .received(upload.id)
        .await
        .map_err(|error| file_error("looking at the upload", &error))?;
    let mut answer = HeaderMap::new();
    answer.insert(tus::OFFSET, HeaderValue::from(received));
    answer.insert(tus::LENGTH, HeaderValue::from(upload.size_bytes));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.insert("anywire-session", text(entry.job.id.as_str()));
    if !upload.metadata.is_empty() {
        answer.insert(tus::METADATA, text(&upload.metadata));
    }
    expires(&service, &entry.job.id, &mut answer);
    Ok((StatusCode::OK, answer).into_response())
}

async fn patch(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    headers::check_version(&headers)?;
    headers::check_chunk_type(&headers)?;
    let offset = headers::upload_offset(&headers)?;
    let checksum = headers::checksum(&headers)?;
    let (entry, upload) = find(&service, &id)?;
    let offset = receive::receive(&service, upload.id, offset, checksum, body).await?;
    let mut answer = HeaderMap::new();
    answer.insert(tus::OFFSET, HeaderValue::from(offset));
    expires(&service, &entry.job.id, &mut answer);
    Ok((StatusCode::NO_CONTENT, answer).into_response())
}

async fn terminate(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    headers::check_version(&headers)?;
    let (entry, _upload) = find(&service, &id)?;
    to_the_end(async move { remove(&service, &entry.job.id).await }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove(service: &Arc<JobService>, id: &JobId) -> Result<(), ChangeError> {
    match service.change(id, None, Job::decide_cancel).await {
        Ok(_) | Err(ChangeError::Refused(Refusal::Illegal { .. })) => {}
        Err(error) => return Err(error),
    }
    remove_upload(service, id).await
}

/// For clients that can only POST: tus lets them name the method in a header.
async fn overridden(
    state: State<Arc<JobService>>,
    id: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    match headers.get(tus::METHOD_OVERRIDE).map(HeaderValue::as_bytes) {
        Some(b"PATCH") => patch(state, id, headers, body).await,
        Some(b"DELETE") => terminate(state, id, headers).await,
        Some(b"HEAD") => head(state, id, headers).await,
        other => {
            let named = other.map(String::from_utf8_lossy).unwrap_or_default();
            let message =
                format!("X-HTTP-Method-Override is {named:?}; POST here needs PATCH, DELETE or HEAD in it");
            Err(ApiError::new(Code::MethodNotAllowed, message))
        }
    }
}

fn find(service: &JobService, id: &str) -> Result<(Entry, Upload), ApiError> {
    let missing = || {
        let message = format!(
            "there is no upload {:?}; make one with POST /api/uploads",
            id.chars().take(64).collect::<String>()
        );
        ApiError::new(Code::NotFound, message)
    };
    let upload = UploadId::parse(id).ok_or_else(missing)?;
    let entry = service.model().of_upload(upload).cloned().ok_or_else(missing)?;
    let upload = entry.job.upload.clone().ok_or_else(missing)?;
    if upload.removed {
        let message = format!("upload {id} was removed; upload the file again");
        return Err(ApiError::new(Code::UploadRemoved, message).with_status(StatusCode::GONE));
    }
    Ok((entry, upload))
}

/// An unfinished upload goes when no byte arrives for too long.
fn expires(service: &JobService, id: &JobId, answer: &mut HeaderMap) {
    let Ok(entry) = service.find(id) else { return };
    if let Some(upload) = entry.job.upload.as_ref().filter(|_| entry.job.is_unfinished_upload()) {
        let at = upload.heard_at.plus_millis(service.config.upload_expires_ms);
        answer.insert(tus::EXPIRES, text(&http_date(at)));
    }
}

fn too_large(size: u64, limit: u64) -> ApiError {
    let message =
        format!("Upload-Length is {size} bytes; at most {limit} are allowed (jobs.upload_bytes_max)");
    ApiError::new(Code::TooLarge, message)
}

fn text(value: &str) -> HeaderValue {
    // Only names and texts that were checked to be visible ASCII come here.
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}
