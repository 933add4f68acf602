//! The routes of tus.

use std::sync::Arc;

use anywire_app::{
    http::{ApiError, Path},
    time::http_date,
};
use anywire_codes::Code;
use anywire_log::KeyScope;
use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};

use super::{
    create::Creation,
    headers::{self, tus},
    partials::Partial,
    receive,
};
use crate::{
    api::errors::file_error,
    decisions::Refusal,
    domain::{Job, JobId, Upload, UploadId},
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
            HeaderValue::from_static(
                "creation,creation-with-upload,termination,checksum,expiration,concatenation",
            ),
        ),
        (tus::CHECKSUM_ALGORITHM, HeaderValue::from_static("sha1,sha256")),
        (tus::MAX_SIZE, HeaderValue::from(service.config.upload_bytes_max)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn create(
    State(service): State<Arc<JobService>>,
    scope: Option<Extension<KeyScope>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    headers::check_version(&headers)?;
    let folder = headers::folder_of_uploads(&headers);
    let creation = Creation::read(&service, &headers, scope.as_deref(), &body)?;
    let own = Arc::clone(&service);
    // What is refused is removed again also when nobody waits for the answer any more.
    let made = to_the_end(async move { creation.carry_out(&own, body).await }).await?;
    let mut answer = HeaderMap::new();
    answer.insert(header::LOCATION, text(&format!("{folder}{}", made.upload)));
    if let Some(job) = &made.job {
        answer.insert("anywire-session", text(job.as_str()));
    }
    if let Some(offset) = made.offset {
        answer.insert(tus::OFFSET, HeaderValue::from(offset));
    }
    expires(&service, made.upload, &mut answer);
    Ok((StatusCode::CREATED, answer).into_response())
}

async fn head(State(service): State<Arc<JobService>>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    headers::check_version(&headers)?;
    let found = find(&service, &id)?;
    let upload = found.id();
    // Whoever asks where to go on has lost the older connection: what it still carries must not move the
    // offset after the answer.
    let _quiet = service.writers.enter(upload).await.map_err(|_| receive::locked(upload))?;
    let (files, size, metadata) = match &found {
        Found::OfJob(_, upload) => (&service.files, upload.size_bytes, &upload.metadata),
        Found::Partial(_, partial) => (&service.partials.files, partial.size_bytes, &partial.metadata),
    };
    let received =
        files.received(upload).await.map_err(|error| file_error("looking at the upload", &error))?;
    let mut answer = HeaderMap::new();
    answer.insert(tus::OFFSET, HeaderValue::from(received));
    answer.insert(tus::LENGTH, HeaderValue::from(size));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !metadata.is_empty() {
        answer.insert(tus::METADATA, text(metadata));
    }
    if let Found::OfJob(entry, _) = &found {
        answer.insert("anywire-session", text(entry.job.id.as_str()));
    }
    if let Some(concat) = found.concat() {
        answer.insert(tus::CONCAT, text(&concat));
    }
    expires(&service, upload, &mut answer);
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
    let upload = find(&service, &id)?.id();
    let offset = receive::receive(&service, upload, offset, checksum, body).await?;
    let mut answer = HeaderMap::new();
    answer.insert(tus::OFFSET, HeaderValue::from(offset));
    expires(&service, upload, &mut answer);
    Ok((StatusCode::NO_CONTENT, answer).into_response())
}

async fn terminate(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    headers::check_version(&headers)?;
    match find(&service, &id)? {
        Found::OfJob(entry, _) => to_the_end(async move { remove(&service, &entry.job.id).await }).await?,
        Found::Partial(id, _) => {
            service.writers.stop(id);
            service.partials.remove(id).await.map_err(|error| file_error("removing the upload", &error))?;
        }
    }
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

/// An upload that is there.
enum Found {
    OfJob(Entry, Upload),
    Partial(UploadId, Partial),
}

impl Found {
    fn id(&self) -> UploadId {
        match self {
            Self::OfJob(_, upload) => upload.id,
            Self::Partial(id, _) => *id,
        }
    }

    /// Its `Upload-Concat`.
    fn concat(&self) -> Option<String> {
        match self {
            Self::Partial(..) => Some("partial".to_owned()),
            Self::OfJob(_, upload) if upload.parts.is_empty() => None,
            // As it came (tus 1.0, concatenation): a path in front that a proxy takes away is in there.
            Self::OfJob(_, upload) if !upload.part_addresses.is_empty() => {
                Some(format!("final;{}", upload.part_addresses.join(" ")))
            }
            // An upload of an earlier release: relative to its own address, as it is for whoever asks.
            Self::OfJob(_, upload) => {
                let parts: Vec<_> = upload.parts.iter().map(ToString::to_string).collect();
                Some(format!("final;{}", parts.join(" ")))
            }
        }
    }
}

fn find(service: &JobService, id: &str) -> Result<Found, ApiError> {
    let missing = || {
        let message = format!(
            "there is no upload {:?}; make one with POST /api/uploads",
            id.chars().take(64).collect::<String>()
        );
        ApiError::new(Code::NotFound, message)
    };
    let upload = UploadId::parse(id).ok_or_else(missing)?;
    if let Some(partial) = service.partials.get(upload) {
        return Ok(Found::Partial(upload, partial));
    }
    let entry = service.model().of_upload(upload).cloned().ok_or_else(missing)?;
    let upload = entry.job.upload.clone().ok_or_else(missing)?;
    if upload.removed {
        let message = format!("upload {id} was removed; upload the file again");
        return Err(ApiError::new(Code::UploadRemoved, message).with_status(StatusCode::GONE));
    }
    Ok(Found::OfJob(entry, upload))
}

/// An unfinished upload goes when no byte arrives for too long; a part also when it is not joined.
fn expires(service: &JobService, upload: UploadId, answer: &mut HeaderMap) {
    let heard_at = service.partials.heard_at(upload).or_else(|| {
        let entry =
            service.model().of_upload(upload).cloned().filter(|entry| entry.job.is_unfinished_upload());
        Some(entry?.job.upload.as_ref()?.heard_at)
    });
    if let Some(heard_at) = heard_at {
        let at = heard_at.plus_millis(service.config.upload_expires_ms);
        answer.insert(tus::EXPIRES, text(&http_date(at)));
    }
}

fn text(value: &str) -> HeaderValue {
    // Only names and texts that were checked to be visible ASCII come here.
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}
