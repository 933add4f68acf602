//! The report of a job, and the file it was made of.

use std::sync::Arc;

use anywire_app::http::{ApiError, Path, Query, invalid};
use anywire_codes::Code;
use anywire_csv_report::{self as report, Reading};
use axum::{
    Router,
    body::Body,
    extract::State,
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
    domain::{Job, Upload},
    integrity::Sums,
    rereading,
    service::JobService,
};

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    Router::new()
        .route("/api/jobs/{id}/report", get(shown_report))
        .route("/api/jobs/{id}/upload", get(upload))
        .with_state(service)
}

async fn shown_report(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let reading = reading(&query)?;
    let mut page = if reading.is_auto() {
        own_report(&service, &entry.job).await?
    } else {
        rereading::page(&service, &entry.job, complete(&entry.job)?, reading).await?
    };
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    report::choose_language(&mut page, query.text("lang")?.or(accepted).unwrap_or_default());
    if query.text("form")? != Some("none") {
        // What is no choice of the form goes along with it.
        let along = ["lang", "token"].map(|name| query.text(name).map(|value| Some((name, value?))));
        let along = along.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        page = report::offer_form(page, &along);
    }
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The report needs no script and nothing from outside: whatever a cell of the file says stays text.
        // Its form may ask for the same report in another reading.
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox allow-forms; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "Accept-Language"),
    ];
    Ok((headers, page).into_response())
}

/// The choices among the parameters.
fn reading(query: &Query) -> Result<Reading, ApiError> {
    let mut reading = Reading::default();
    for (name, value) in query.iter() {
        if reading.choose(name, value).map_err(|error| invalid(error.to_string()))? {
            query.text(name)?;
        }
    }
    Ok(reading)
}

/// The report that the job made.
async fn own_report(service: &JobService, job: &Job) -> Result<Vec<u8>, ApiError> {
    let none = || {
        let (id, status) = (&job.id, job.status.as_str());
        let message = format!("job {id} is {status} and has no report; wait until it has succeeded");
        ApiError::new(Code::NoReport, message)
    };
    let upload = job.upload.as_ref().ok_or_else(none)?;
    match tokio::fs::read(service.files.report(upload.id)).await {
        Ok(page) => {
            if let Some(sha256) = Sums::of(job).report_sha256 {
                let what = format!("the report of job {}", job.id);
                let way_out =
                    "have it made anew (?encoding=utf-8 or another choice), or upload the file again";
                service.integrity.check_bytes(&page, &what, &sha256, way_out)?;
            }
            Ok(page)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(none()),
        Err(error) => Err(file_error("reading the report", &error)),
    }
}

/// The file of a job, if every byte of it is here.
fn complete(job: &Job) -> Result<&Upload, ApiError> {
    let upload = job.upload.as_ref().filter(|upload| upload.is_complete() && !upload.removed);
    upload.ok_or_else(|| {
        ApiError::new(Code::NoUpload, format!("job {} has no uploaded file any more, or not yet", job.id))
    })
}

async fn upload(State(service): State<Arc<JobService>>, Path(id): Path<String>) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let upload = complete(&entry.job)?;
    let none = || ApiError::new(Code::NoUpload, format!("the uploaded file of job {id} is gone"));
    let path = service.files.data(upload.id);
    if let Some(sha256) = Sums::of(&entry.job).sha256 {
        let what = format!("the uploaded file {:?} of job {id}", upload.filename);
        service.integrity.check(&path, &what, &sha256, "upload it again", service.now()).await?;
    }
    let file = tokio::fs::File::open(path).await.map_err(|_| none())?;
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
