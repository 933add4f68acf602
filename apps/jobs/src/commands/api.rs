//! The HTTP API of commands: starting them, their output, their files (docs/http-api.md, section Commands).

use std::sync::Arc;

use anywire_app::http::{ApiError, Path, Query};
use anywire_codes::Code;
use anywire_log::Timestamp;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::services::ServeFile;

use super::{
    journal::{self, Journal, LINE_NUMBER_MAX},
    plan::{self, PlanError},
    text::cut,
};
use crate::{
    api::{
        answer::{Answer, answer, job_id, members},
        body,
        call::Call,
        errors::{Invalid, file_error},
        request,
    },
    disk::blocking,
    domain::{CommandSpec, Job, JobId, Line, VIDEO},
    events::{Change, log_lines},
    service::{ChangeError, JobService, Outcome, to_the_end},
};

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    Router::new()
        .route("/api/commands", get(list).post(start))
        .route("/api/chat/create-video", post(create_video))
        .route("/api/jobs/{id}/files/{name}", get(file))
        .layer(DefaultBodyLimit::max(request::BODY_BYTES_MAX))
        .route(
            "/api/jobs/{id}/log",
            get(log).merge(post(add_log).layer(DefaultBodyLimit::max(request::LOG_BODY_BYTES_MAX))),
        )
        .with_state(service)
}

async fn list(State(service): State<Arc<JobService>>) -> Response {
    let commands = plan::commands(&service.config)
        .into_iter()
        .map(|(name, command)| body::Command {
            title: command.title.clone().unwrap_or_else(|| name.clone()),
            parameters: plan::parameters(&command).into_iter().map(str::to_owned).collect(),
            parser: command.parser,
            timeout_ms: command.timeout_ms,
            name,
        })
        .collect();
    let (adhoc, running_max) = (service.config.commands_adhoc, service.config.commands_running_max);
    let body = body::Commands { commands, adhoc, running_max };
    ([(header::CACHE_CONTROL, "no-cache")], Json(body)).into_response()
}

async fn start(State(service): State<Arc<JobService>>, call: Call) -> Answer {
    let request::Run { session_id, title, spec } = request::run(&call.body)?;
    if matches!(spec, CommandSpec::AdHoc { .. }) && !service.config.commands_adhoc {
        let message = "command lines in requests are not allowed; name a configured command, or set jobs.commands_adhoc";
        return Err(ApiError::new(Code::Forbidden, message));
    }
    plan::check(&service.config, &spec)?;
    let title = title.unwrap_or_else(|| title_of(&service, &spec));
    let started = Change::Started { title, total_steps: 1, upload: None, lease_ms: None, spec: Some(spec) };
    let outcome = service.begin(&session_id.unwrap_or_else(JobId::random), call.key, started).await?;
    answer(&service, StatusCode::CREATED, outcome)
}

fn title_of(service: &JobService, spec: &CommandSpec) -> String {
    match spec {
        CommandSpec::Configured { name, .. } => plan::command(&service.config, name)
            .and_then(|command| command.title)
            .unwrap_or_else(|| name.clone()),
        CommandSpec::AdHoc { argv, .. } | CommandSpec::Remote { argv } => cut(&argv.join(" "), 120),
    }
}

async fn create_video(State(service): State<Arc<JobService>>, call: Call) -> Answer {
    let request::Video { session_id, message, language } = request::video(&call.body)?;
    let title = cut(message.trim(), 120);
    let parameters = [("message".to_owned(), message), ("language".to_owned(), language)].into();
    let spec = CommandSpec::Configured { name: VIDEO.to_owned(), parameters };
    plan::check(&service.config, &spec)?;
    let total_steps = u32::try_from(anywire_video::STEPS.len()).unwrap_or(1);
    let started = Change::Started { title, total_steps, upload: None, lease_ms: None, spec: Some(spec) };
    let outcome = service.begin(&session_id.unwrap_or_else(JobId::random), call.key, started).await?;
    let id = match &outcome {
        Outcome::Now(entry) => entry.job.id.to_string(),
        Outcome::Before(state, _) => {
            members(state)?.get("session_id").map_or("", |id| id.get().trim_matches('"')).to_owned()
        }
        Outcome::Gone => return Ok(StatusCode::NO_CONTENT.into_response()),
    };
    let (stream_url, status_url) =
        (format!("/api/video-progress/{id}"), format!("/api/video-progress/{id}/status"));
    let body = body::VideoStarted { job_id: id, stream_url, status_url };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn log(State(service): State<Arc<JobService>>, Path(id): Path<String>, query: Query) -> Answer {
    let (after, limit) = request::log_query(&query)?;
    // Its cursor first: what comes while the files are read is on the channel after it.
    let entry = service.find(&job_id(&id)?)?;
    let folder = service.run_files.log(&entry.job);
    let page = blocking(move || journal::read(&folder, after, limit)).await;
    let page = page.map_err(|error| file_error("reading the log", &error))?;
    let body = body::Log {
        attempt: entry.job.attempt,
        lines: page.lines,
        newest: page.newest,
        cut: page.cut,
        cursor: service.context.log.cursor(entry.cursor).to_string(),
    };
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(body)).into_response())
}

/// Lines of a command that runs elsewhere. Whoever counts them may send them again: those that are here are
/// left out.
async fn add_log(State(service): State<Arc<JobService>>, Path(id): Path<String>, call: Call) -> Answer {
    let output = request::log(&call.body)?;
    let id = job_id(&id)?;
    // The journal and the channel say the same, also when the connection breaks in between.
    to_the_end(async move { write_log(&service, &id, output).await }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn write_log(service: &Arc<JobService>, id: &JobId, output: request::Output) -> Result<(), ApiError> {
    // A command that still writes still runs: our restart was a pause, as it is for steps.
    service.heard(id);
    service.change(id, None, Job::decide_lines).await?;
    // One after the other: the numbers of lines follow each other.
    let _turn = service.lock(id).await;
    let job = service.find(id)?.job;
    job.decide_lines()?;
    let (folder, bytes_max, now) =
        (service.run_files.log(&job), service.config.command_log_bytes_max, service.now());
    let written = blocking(move || {
        let mut journal = Journal::open(folder, bytes_max)?;
        let numbered = number(&mut journal, output, now);
        if let Ok((lines, _)) = &numbered {
            journal.write(lines)?;
        }
        Ok(numbered)
    });
    let (lines, missing) = written.await.map_err(|error| file_error("writing the log", &error))??;
    if !lines.is_empty() {
        service.context.log.append(log_lines(&job, &lines, missing)).await.map_err(ChangeError::from)?;
    }
    Ok(())
}

/// How many lines may be missing before those of one request. A slip of a number would use up the numbers of
/// the whole log else.
const HOLE_MAX: u64 = 1_000_000_000;

/// The lines that are new, with their numbers; and how many before them never came.
fn number(
    journal: &mut Journal,
    output: request::Output,
    now: Timestamp,
) -> Result<(Vec<Line>, u64), Invalid> {
    let next = journal.next();
    let first = output.first.unwrap_or(next);
    if first.saturating_sub(next) > HOLE_MAX {
        return Err(Invalid(format!(
            "first is {first}, and the log goes on with line {next}; at most {HOLE_MAX} lines may be missing"
        )));
    }
    if first.saturating_add(output.lines.len() as u64) > LINE_NUMBER_MAX {
        return Err(Invalid(format!(
            "the lines from {first} do not fit into this log, which counts to {LINE_NUMBER_MAX}; start another job"
        )));
    }
    journal.skip_to(first);
    let known = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
    let new = output.lines.into_iter().skip(known);
    let lines = new.map(|(pipe, text)| Line { number: journal.number(), at: now, pipe, text }).collect();
    Ok((lines, first.saturating_sub(next)))
}

/// A file that a command left, whole or in part (RFC 9110, section 14).
async fn file(
    State(service): State<Arc<JobService>>,
    Path((id, name)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let entry = service.find(&job_id(&id)?)?;
    let missing = || {
        let name: String = name.chars().take(100).collect();
        let message = format!("job {id} has no file {name:?}; see artefacts in its state");
        ApiError::new(Code::NoFile, message)
    };
    let path = service.run_files.artefact(&entry.job, &name).await.ok_or_else(missing)?;
    let known = entry.job.artefacts.iter().find(|file| file.name == name);
    // Part of a file cannot be checked without the rest of it.
    if let Some(sha256) = known.and_then(|file| file.sha256.as_deref())
        && !request.headers().contains_key(header::RANGE)
    {
        let what = format!("file {name:?} of job {id}");
        service.integrity.check(&path, &what, sha256, "retry the job", service.now()).await?;
    }
    let served = ServeFile::new(path).try_call(request).await;
    let served = served.map_err(|error| file_error("reading the file", &error))?;
    let mut response = served.map(axum::body::Body::new).into_response();
    guard(response.headers_mut(), &entry.job, &name);
    Ok(response)
}

/// Whatever a command wrote is shown as what it is or not at all, and never as a page of ours.
fn guard(headers: &mut HeaderMap, job: &Job, name: &str) {
    let policy =
        HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(attempt) = HeaderValue::from_str(&job.attempt.to_string()) {
        headers.insert(HeaderName::from_static("anywire-attempt"), attempt);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let shown = ["image/", "video/", "audio/", "text/plain", "application/json", "text/csv"];
    let plain = shown.iter().any(|known| kind.starts_with(known)) && !kind.contains("svg");
    if !plain && let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        match &error {
            PlanError::Unknown { .. } => ApiError::new(Code::UnknownCommand, error.to_string()),
            _ => Invalid(error.to_string()).into(),
        }
    }
}
