//! What a job is, and how its state looks to others. Pure.

use std::sync::Arc;

use anywire_app::{
    description::schemas::{Anything, Time},
    time::iso,
};
use anywire_log::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    command::{Artefact, CommandSpec, Kind},
    id::JobId,
    json::{Json, Metadata},
    millis,
    status::{Percent, Status},
    upload::Upload,
};

/// The most steps a job may have.
pub const STEPS_MAX: u32 = 100_000;
/// How many steps a job remembers; of more the newest.
const STEPS_KEPT: usize = 10_000;
/// Up to so many steps an update carries all of them.
const STEPS_TOLD: usize = 10;
/// The last update carries so many: whoever looks only at the end sees how it came to it.
const STEPS_TOLD_AT_END: usize = 1000;
/// Of more it carries those that a change can have touched: the one that ended and the one that began.
const STEPS_NEWEST: usize = 2;

/// The nine steps from a file to its report.
pub const REPORT_STEPS: [&str; 9] =
    ["receive", "checksum", "dialect", "parse", "validate", "statistics", "charts", "render", "publish"];

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: Arc<str>,
    /// Its number, from 1. Zero in what earlier releases wrote: then its place in the list is its number.
    #[serde(default)]
    pub number: u32,
    /// When it began.
    #[serde(with = "millis")]
    pub started_at: Timestamp,
    /// How long it took; none while it runs.
    pub duration_ms: Option<u64>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// The step at which it failed.
    pub step: Option<String>,
    /// What happened and what to do.
    pub message: String,
    /// The line of the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub line: Option<u64>,
    /// The character in that line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub column: Option<u64>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What people call it.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// How many steps it has.
    pub total_steps: u32,
    /// The steps that have begun; of more than ten thousand the newest.
    pub steps: Vec<Step>,
    /// How much of the whole is done.
    pub percent: Percent,
    /// What the current step says.
    pub message: Option<String>,
    /// Further members, set by the program that drives it.
    pub metadata: Metadata,
    /// What came out of it.
    pub result: Option<Json>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// When it was started.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "millis")]
    pub updated_at: Timestamp,
    /// How often it was retried. Work that belongs to an earlier attempt is stopped.
    pub attempt: u32,
    /// After so long without a call from whoever drives it, it is taken for lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// The file it makes a report of; none for jobs that are driven over the API.
    pub upload: Option<Upload>,
    /// The command it is, if it is one.
    #[serde(default, rename = "order", skip_serializing_if = "Option::is_none")]
    pub spec: Option<CommandSpec>,
    /// The files its command left so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<Artefact>,
    /// Its place in the order of creation: the offset of its first event.
    pub number: u64,
}

impl Job {
    /// The name of the current step.
    #[must_use]
    pub fn step_name(&self) -> Option<&str> {
        self.steps.last().map(|step| &*step.name)
    }

    /// The number of the current step; 0 before the first.
    #[must_use]
    pub fn step(&self) -> u32 {
        self.steps.last().map_or(0, |step| numbered(self.steps.len() - 1, step))
    }

    pub(crate) fn begin_step(&mut self, name: &str, number: u32, at: Timestamp) {
        self.end_step(at);
        let surplus = (self.steps.len() + 1).saturating_sub(STEPS_KEPT);
        self.steps.drain(..surplus);
        self.steps.push(Step { name: name.into(), number, started_at: at, duration_ms: None });
    }

    pub(crate) fn end_step(&mut self, at: Timestamp) {
        if let Some(step) = self.steps.last_mut()
            && step.duration_ms.is_none()
        {
            step.duration_ms = Some(at.millis_since(step.started_at));
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.spec {
            Some(spec) if spec.is_video() => Kind::Video,
            Some(_) => Kind::Command,
            None if self.upload.is_some() => Kind::Report,
            None => Kind::Progress,
        }
    }

    /// Whether it is a command that this server runs.
    #[must_use]
    pub fn is_own_command(&self) -> bool {
        self.spec.as_ref().is_some_and(CommandSpec::is_own)
    }

    /// Whether it still waits for bytes, or would when retried.
    #[must_use]
    pub fn is_unfinished_upload(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| !upload.removed && !upload.is_complete())
    }

    /// Whether bytes of its upload are welcome.
    #[must_use]
    pub fn takes_bytes(&self) -> bool {
        let removed = self.upload.as_ref().is_none_or(|upload| upload.removed);
        !removed && !matches!(self.status, Status::Cancelled | Status::Failed)
    }

    /// The whole state as the API gives it, without `cursor`. `place` is its place in the queue, from 1,
    /// while it waits there.
    #[must_use]
    pub fn state(&self, place: Option<usize>) -> impl Serialize + '_ {
        self.shown(place, 0)
    }

    /// The state as `progress_update` gives it, and the answer to a call that made it: of many steps
    /// only those that may have changed.
    #[must_use]
    pub fn update(&self, place: Option<usize>) -> impl Serialize + '_ {
        let ended = matches!(self.status, Status::Succeeded | Status::Failed | Status::Cancelled);
        self.shown(place, self.newest(if ended { STEPS_TOLD_AT_END } else { STEPS_TOLD }))
    }

    /// The state as lists give it: of many steps only the newest.
    #[must_use]
    pub fn listed(&self, place: Option<usize>) -> impl Serialize + '_ {
        self.shown(place, self.newest(STEPS_TOLD))
    }

    /// Where the steps begin that are told: all while they are no more than so many.
    fn newest(&self, told: usize) -> usize {
        let count = self.steps.len();
        if count <= told { 0 } else { count - STEPS_NEWEST }
    }

    /// The state with the steps from a place in the list on.
    fn shown(&self, place: Option<usize>, from: usize) -> State<'_> {
        State {
            session_id: &self.id,
            title: &self.title,
            kind: self.kind(),
            attempt: self.attempt,
            queue_position: place,
            command: self.spec.as_ref(),
            artefacts: self.artefacts.iter().map(|file| ShownArtefact::new(&self.id, file)).collect(),
            status: self.status,
            step: self.step(),
            total_steps: self.total_steps,
            step_name: self.step_name(),
            percent: self.percent,
            message: self.message.as_deref(),
            metadata: self.public_metadata(),
            steps: self.steps.iter().enumerate().skip(from).map(StepState::new).collect(),
            result: self.result.as_ref(),
            error: self.error.as_ref(),
            created_at: iso(self.created_at),
            updated_at: iso(self.updated_at),
        }
    }

    fn public_metadata(&self) -> Metadata {
        let mut metadata = self.metadata.clone();
        if let Some(upload) = &self.upload {
            let mut shown = serde_json::json!({
                "id": upload.id, "filename": upload.filename,
                "size_bytes": upload.size_bytes, "received_bytes": upload.received_bytes,
            });
            if upload.removed {
                shown["removed"] = true.into();
            }
            metadata.set("upload".to_owned(), shown.into());
        }
        metadata
    }
}

/// The state of a job, as event `progress_update` has it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobState")]
pub(crate) struct State<'a> {
    session_id: &'a JobId,
    title: &'a str,
    kind: Kind,
    /// How often it was retried.
    attempt: u32,
    /// Its place in the queue while it waits there.
    #[schemars(range(min = 1))]
    queue_position: Option<usize>,
    /// What is to be run, of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CommandSpec")]
    command: Option<&'a CommandSpec>,
    /// The files its command left so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artefacts: Vec<ShownArtefact<'a>>,
    status: Status,
    /// The number of the current step; 0 before the first.
    step: u32,
    total_steps: u32,
    step_name: Option<&'a str>,
    /// How much of the whole is done.
    percent: Percent,
    /// What the current step says.
    message: Option<&'a str>,
    /// What whoever drives it wants to be known; of an upload, `upload` with `id`, `filename`, `size_bytes`,
    /// `received_bytes`, and `removed` once the file is gone.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    metadata: Metadata,
    /// The steps that have begun; of more than ten thousand the newest. In lists, and in events and
    /// answers to calls that change something (of a job that has ended, where there are more than a
    /// thousand), of more than ten only the two newest: the one that ended and the one that runs.
    steps: Vec<StepState<'a>>,
    /// What came out of it; of a report, `report_url`, `rows`, `columns`, `size_bytes`, `sha256`,
    /// `report_sha256`, `encoding`, `delimiter`, `header_line`, `faults` (their kinds and counts),
    /// `duration_ms`.
    #[schemars(with = "Anything")]
    result: Option<&'a Json>,
    /// Why it failed.
    error: Option<&'a JobError>,
    #[schemars(with = "Time")]
    created_at: String,
    #[schemars(with = "Time")]
    updated_at: String,
}

/// A file that a command left.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Artefact")]
struct ShownArtefact<'a> {
    #[serde(flatten)]
    file: &'a Artefact,
    /// Where it is.
    url: String,
}

impl<'a> ShownArtefact<'a> {
    fn new(id: &JobId, file: &'a Artefact) -> Self {
        Self { file, url: format!("/api/jobs/{id}/files/{}", file.name) }
    }
}

/// A step that has begun.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepState<'a> {
    /// Its number, from 1. Where numbers jump, steps were passed over.
    #[schemars(range(min = 1))]
    index: u32,
    name: &'a str,
    #[schemars(with = "Time")]
    started_at: String,
    /// Null while it runs.
    duration_ms: Option<u64>,
}

impl<'a> StepState<'a> {
    fn new((place, step): (usize, &'a Step)) -> Self {
        Self {
            index: numbered(place, step),
            name: &step.name,
            started_at: iso(step.started_at),
            duration_ms: step.duration_ms,
        }
    }
}

fn numbered(place: usize, step: &Step) -> u32 {
    if step.number > 0 { step.number } else { u32::try_from(place + 1).unwrap_or(u32::MAX) }
}
