//! The report of a job, and the file it was made of.

use std::sync::Arc;

use anywire_app::http::{ApiError, Query};
use anywire_codes::Code;
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;

use crate::{
    api::{
        answer::{Answer, job_id},
        errors::file_error,
    },
    service::JobService,
};

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    Router::new()
        .route("/api/jobs/{id}/report", get(report))
        .route("/api/jobs/{id}/upload", get(upload))
        .with_state(service)
}

async fn report(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let none = || {
        let status = entry.job.status.as_str();
        let message = format!("job {id} is {status} and has no report; wait until it has succeeded");
        ApiError::new(Code::NoReport, message)
    };
    let upload = entry.job.upload.as_ref().ok_or_else(none)?;
    let mut page = match tokio::fs::read(service.files.report(upload.id)).await {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(none()),
        Err(error) => return Err(file_error("reading the report", &error)),
    };
    let asked = query.text("lang");
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    anywire_csv_report::choose_language(&mut page, asked.or(accepted).unwrap_or_default());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The report needs no script, no form and nothing from outside: whatever a cell of the file says
        // stays text.
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

async fn upload(State(service): State<Arc<JobService>>, Path(id): Path<String>) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let none =
        || ApiError::new(Code::NoUpload, format!("job {id} has no uploaded file any more, or not yet"));
    let upload = entry.job.upload.as_ref().filter(|upload| upload.is_complete() && !upload.removed);
    let upload = upload.ok_or_else(none)?;
    let file = tokio::fs::File::open(service.files.data(upload.id)).await.map_err(|_| none())?;
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

/// The first `length` bytes of a file, in chunks: an upload that still grows must not be longer than was
/// said.
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
