//! Starting jobs, moving them on, looking at them.

use std::sync::Arc;

use anywire_app::{
    CallKey,
    http::{ApiError, ETag, Path, Query},
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{delete, get, post},
};

use crate::{
    api::{
        answer::{Answer, answer, entry_json, job_id, json, listed_json},
        call::Call,
        errors::{Invalid, file_error},
        request,
    },
    domain::{CommandSpec, Job, JobId},
    events::Change,
    projection::Entry,
    retention,
    service::{JobService, Ruling},
};

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    Router::new()
        .route("/api/progress", post(start))
        .route("/api/progress/{id}", get(state))
        .route("/api/progress/{id}/step", post(step))
        .route("/api/progress/{id}/alive", post(alive))
        .route("/api/progress/{id}/complete", post(complete))
        .route("/api/progress/{id}/fail", post(fail))
        .route("/api/progress/{id}/cancel", post(cancel))
        .route("/api/progress/{id}/retry", post(retry))
        .route("/api/jobs", get(list))
        .route("/api/jobs/{id}", delete(forget))
        .layer(DefaultBodyLimit::max(request::BODY_BYTES_MAX))
        .with_state(service)
}

async fn start(State(service): State<Arc<JobService>>, call: Call) -> Answer {
    let request::Start { session_id, title, total_steps, argv, lease_ms } = request::start(&call.body)?;
    let spec = argv.map(|argv| CommandSpec::Remote { argv });
    let id = session_id.unwrap_or_else(JobId::random);
    let started = Change::Started { title, total_steps, upload: None, lease_ms, spec };
    let outcome = service.begin(&id, call.key, started).await?;
    service.heard(&id);
    answer(&service, StatusCode::CREATED, outcome)
}

async fn state(State(service): State<Arc<JobService>>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let tag = ETag::new(service.context.log.cursor(entry.cursor));
    let whole = || Ok::<_, ApiError>(json(StatusCode::OK, entry_json(&service, &entry)?));
    Ok(tag.respond(&headers, whole))
}

/// A backend moves its job on.
async fn drive(
    service: &Arc<JobService>,
    id: &str,
    key: Option<CallKey>,
    rule: impl FnMut(&Job) -> Ruling + Send + 'static,
) -> Answer {
    let id = job_id(id)?;
    service.heard(&id);
    let outcome = service.change(&id, key, rule).await?;
    answer(service, StatusCode::OK, outcome)
}

async fn step(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    let command = request::step(&call.body)?;
    drive(&service, &id, call.key, move |job| job.decide_step(command.clone())).await
}

/// Whoever drives it is still there.
async fn alive(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    request::nothing(&call.body)?;
    drive(&service, &id, call.key, Job::decide_alive).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn complete(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    let result = request::complete(&call.body)?;
    drive(&service, &id, call.key, move |job| job.decide_complete(result.clone())).await
}

async fn fail(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    let error = request::fail(&call.body)?;
    drive(&service, &id, call.key, move |job| job.decide_fail(error.clone())).await
}

async fn cancel(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    request::nothing(&call.body)?;
    let id = job_id(&id)?;
    let outcome = service.change(&id, call.key, Job::decide_cancel).await?;
    answer(&service, StatusCode::OK, outcome)
}

async fn retry(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    request::nothing(&call.body)?;
    let id = job_id(&id)?;
    // The file is the truth about how much of it is here.
    let received = match &service.find(&id)?.job.upload {
        Some(upload) if !upload.removed => Some(
            service
                .files
                .received(upload.id)
                .await
                .map_err(|error| file_error("looking at the upload", &error))?,
        ),
        _ => None,
    };
    let outcome = service.change(&id, call.key, move |job| job.decide_retry(received)).await?;
    answer(&service, StatusCode::OK, outcome)
}

async fn list(State(service): State<Arc<JobService>>, query: Query) -> Answer {
    let list = request::list(&query)?;
    let (entries, seen) = {
        let model = service.model();
        let number = match &list.before {
            Some(id) => model.get(id).map(|entry| entry.job.number).ok_or_else(|| before_unknown(id))?,
            None => u64::MAX,
        };
        let wanted = |entry: &&Entry| {
            let job = &entry.job;
            list.status.is_none_or(|status| job.status == status)
                && list.kind.is_none_or(|kind| job.kind() == kind)
        };
        let entries: Vec<Entry> = model.before(number).filter(wanted).take(list.limit).cloned().collect();
        (entries, model.seen())
    };
    let states = entries.iter().map(|entry| listed_json(&service, entry)).collect::<Result<Vec<_>, _>>()?;
    let body =
        format!(r#"{{"jobs":[{}],"cursor":"{}"}}"#, states.join(","), service.context.log.cursor(seen));
    Ok(([(header::CACHE_CONTROL, "no-cache")], json(StatusCode::OK, body)).into_response())
}

fn before_unknown(id: &JobId) -> ApiError {
    Invalid(format!("before is {id}, and there is no such job any more; begin again without before")).into()
}

async fn forget(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    let id = job_id(&id)?;
    retention::forget(&service, &id, call.key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
