//! What is written to the log, and on which channel.
//!
//! Every change of a job is one batch, all or none of it:
//!
//! ```text
//! offset n      jobs              the change itself: the single source of truth, see [`Record`]
//! offset n + 1  progress_<id>     `progress_update`: the state after the change, of many steps only the
//!                                 newest; none where a call only left its key
//! offset n + 2  system_status     `job_changed`, when the status changed; `job_forgotten`, when the job
//!                                 is gone
//! ```
//!
//! So the cursor of a job's state is always the offset after its record: who reads the state and subscribes
//! to `progress_<id>` after it gets every later update and no earlier one. In the event's own data there is
//! no `cursor`: the event's cursor is its place in the log, which every transport gives.

use std::{borrow::Cow, collections::BTreeMap};

use anywire_app::{CallKey, time::iso};
use anywire_log::{Batch, Channel, EventName, Offset, Payload, Publication, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::value::MapDeserializer};
use serde_json::value::RawValue;

use crate::domain::{
    Artefact, CommandSpec, Job, JobError, JobId, Json, Kind, Line, Metadata, Percent, REPORT_STEPS, Status,
    Step, Upload, millis,
};

/// The channel of the application's own events.
pub const JOBS_CHANNEL: &str = "jobs";
/// The channel of the service as a whole.
pub const STATUS_CHANNEL: &str = "system_status";
/// What the name of a job's own channel begins with.
pub const PROGRESS_PREFIX: &str = "progress_";

/// The event that carries the state.
pub(crate) const UPDATE: &str = "progress_update";
/// The event that carries lines of a command's output.
pub(crate) const LOG: &str = "log";

/// One thing that happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Change {
    /// It began; with an upload its first step began too.
    Started {
        /// What people call it.
        title: String,
        /// How many steps it has.
        total_steps: u32,
        /// The file it makes a report of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upload: Option<Upload>,
        /// After so long without a call from whoever drives it, it is taken for lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease_ms: Option<u64>,
        /// The command it is.
        #[serde(default, rename = "order", skip_serializing_if = "Option::is_none")]
        spec: Option<CommandSpec>,
    },
    /// The next step began.
    StepBegan {
        /// Its name.
        name: String,
        /// Its number, if that is not the next one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u32>,
        /// What to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// How much of the whole is done.
        percent: Percent,
        /// Members to set; null removes one.
        #[serde(skip_deserializing, skip_serializing_if = "Metadata::is_empty")]
        metadata: Metadata,
        /// How many steps there are, if that has turned out otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_steps: Option<u32>,
        /// It is the step that runs already, which had no name of its own yet.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        renames: bool,
    },
    /// The current step has changed.
    StepChanged {
        /// What to show, if it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// How much of the whole is done, if it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<Percent>,
        /// Members to set; null removes one.
        #[serde(skip_deserializing, skip_serializing_if = "Metadata::is_empty")]
        metadata: Metadata,
        /// How many steps there are, if that has turned out otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_steps: Option<u32>,
        /// How much of the upload is here, if it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        received_bytes: Option<u64>,
        /// Files that are ready, or have changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artefacts: Vec<Artefact>,
    },
    /// Every byte is here and the job waits for its turn.
    Queued,
    /// It is done.
    Succeeded {
        /// What came out of it.
        #[serde(skip_deserializing)]
        result: Option<Json>,
    },
    /// It cannot go on.
    Failed {
        /// Why.
        error: JobError,
    },
    /// Somebody did not want it any more.
    Cancelled,
    /// The server stopped in the middle of it.
    Interrupted,
    /// It begins again.
    Retried {
        /// How much of its upload is here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        received_bytes: Option<u64>,
    },
    /// The bytes of its upload are gone.
    UploadRemoved,
    /// It is gone, with its files.
    Forgotten,
    /// What began it was refused in the end: it is gone, and so is the call that began it.
    Withdrawn,
    /// A call with a key found everything as it wanted it; so will its repetition, whatever comes between.
    Unchanged,
    /// The whole job, as earlier releases shortened the channel; now the read model writes snapshots of
    /// itself.
    #[serde(skip_deserializing)]
    Snapshot {
        /// The whole job.
        job: Box<Job>,
    },
}

impl Change {
    /// The name of the event on `jobs`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::StepBegan { .. } => "step_began",
            Self::StepChanged { .. } => "step_changed",
            Self::Queued => "queued",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Retried { .. } => "retried",
            Self::UploadRemoved => "upload_removed",
            Self::Forgotten => "forgotten",
            Self::Withdrawn => "withdrawn",
            Self::Unchanged => "unchanged",
            Self::Snapshot { .. } => "snapshot",
        }
    }

    /// The job after this change; `None` when there is none: it is forgotten, or what went before was lost.
    #[must_use]
    pub fn apply(&self, job: Option<&Job>, record: &Record, offset: Offset) -> Option<Job> {
        let mut job = match self {
            Self::Started { title, total_steps, upload, lease_ms, spec } => {
                let job = started(title, *total_steps, upload.as_ref(), record, offset);
                return Some(with_spec(Job { lease_ms: *lease_ms, ..job }, spec.as_ref()));
            }
            Self::Snapshot { job } => return Some(Job::clone(job)),
            Self::Forgotten | Self::Withdrawn => return None,
            Self::Unchanged => return job.cloned(),
            _ => job?.clone(),
        };
        self.change(&mut job, record.at);
        job.updated_at = record.at;
        Some(job)
    }

    fn change(&self, job: &mut Job, at: Timestamp) {
        match self {
            Self::StepBegan { name, number, message, percent, metadata, total_steps, renames } => {
                begin_step(job, name, *number, *renames, at);
                job.status = Status::Running;
                job.message.clone_from(message);
                job.percent = *percent;
                job.total_steps = total_steps.unwrap_or(job.total_steps);
                job.metadata.merge(metadata);
            }
            Self::StepChanged { message, percent, metadata, total_steps, received_bytes, artefacts } => {
                job.status = Status::Running;
                job.message = message.clone().or_else(|| job.message.take());
                job.percent = percent.unwrap_or(job.percent);
                job.total_steps = total_steps.unwrap_or(job.total_steps);
                job.metadata.merge(metadata);
                receive(job, *received_bytes, at);
                merge_artefacts(&mut job.artefacts, artefacts);
            }
            Self::Queued => queue(job, at),
            Self::Succeeded { result } => {
                end(job, Status::Succeeded, at);
                job.percent = Percent::WHOLE;
                job.result.clone_from(result);
            }
            Self::Failed { error } => {
                end(job, Status::Failed, at);
                job.error = Some(error.clone());
            }
            Self::Cancelled => end(job, Status::Cancelled, at),
            Self::Interrupted => job.status = Status::Interrupted,
            Self::Retried { received_bytes } => retry(job, *received_bytes, at),
            Self::UploadRemoved => {
                if let Some(upload) = &mut job.upload {
                    upload.removed = true;
                }
            }
            Self::Started { .. }
            | Self::Forgotten
            | Self::Withdrawn
            | Self::Unchanged
            | Self::Snapshot { .. } => {}
        }
    }
}

fn started(title: &str, total_steps: u32, upload: Option<&Upload>, record: &Record, offset: Offset) -> Job {
    let first = Step { name: REPORT_STEPS[0].into(), number: 1, started_at: record.at, duration_ms: None };
    Job {
        id: record.session_id.clone(),
        title: title.to_owned(),
        status: Status::Running,
        total_steps,
        steps: if upload.is_some() { vec![first] } else { Vec::new() },
        percent: upload.map_or(Percent::default(), Upload::percent),
        message: None,
        metadata: Metadata::default(),
        result: None,
        error: None,
        created_at: record.at,
        updated_at: record.at,
        attempt: 0,
        lease_ms: None,
        upload: upload.cloned(),
        spec: None,
        artefacts: Vec::new(),
        number: offset.get(),
    }
}

/// A command waits for its turn.
fn with_spec(job: Job, spec: Option<&CommandSpec>) -> Job {
    let status = if spec.is_some_and(CommandSpec::is_own) { Status::Queued } else { job.status };
    Job { status, spec: spec.cloned(), ..job }
}

fn begin_step(job: &mut Job, name: &str, number: Option<u32>, renames: bool, at: Timestamp) {
    let number = number.unwrap_or(job.step() + u32::from(!renames));
    match job.steps.last_mut().filter(|_| renames) {
        Some(step) => {
            step.name = name.into();
            step.number = number;
        }
        None => job.begin_step(name, number, at),
    }
}

fn end(job: &mut Job, status: Status, at: Timestamp) {
    job.end_step(at);
    job.status = status;
    job.error = None;
}

fn receive(job: &mut Job, received_bytes: Option<u64>, at: Timestamp) {
    if let (Some(upload), Some(received_bytes)) = (&mut job.upload, received_bytes) {
        upload.received_bytes = received_bytes;
        upload.heard_at = at;
    }
}

fn queue(job: &mut Job, at: Timestamp) {
    job.end_step(at);
    job.status = Status::Queued;
    job.message = None;
    if let Some(upload) = &mut job.upload {
        upload.received_bytes = upload.size_bytes;
        job.percent = upload.percent();
    }
}

/// The bytes that are here stay; everything after them begins anew.
fn retry(job: &mut Job, received_bytes: Option<u64>, at: Timestamp) {
    job.attempt += 1;
    job.status = Status::Running;
    job.error = None;
    job.result = None;
    job.message = None;
    receive(job, received_bytes, at);
    let Some(upload) = &job.upload else {
        job.steps.clear();
        job.percent = Percent::default();
        if job.is_own_command() {
            job.status = Status::Queued;
            job.metadata.clear();
            job.artefacts.clear();
        }
        return;
    };
    job.percent = upload.percent();
    job.steps.truncate(1);
    if upload.is_complete() {
        queue(job, at);
    } else if let Some(step) = job.steps.last_mut() {
        step.duration_ms = None;
    }
}

fn merge_artefacts(artefacts: &mut Vec<Artefact>, news: &[Artefact]) {
    for file in news {
        match artefacts.iter_mut().find(|known| known.name == file.name) {
            Some(known) => known.clone_from(file),
            None => artefacts.push(file.clone()),
        }
    }
}

/// The data of an event on `jobs`. [`Record::read`] reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Whose change it is.
    pub session_id: JobId,
    /// When it was decided.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// The call it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CallKey>,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
}

impl Record {
    /// Reads the data of an event. What others gave the job stays the text that it is: serde would read the
    /// members of a flattened value before it knows what they are for, and a number only as a double.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Whose {
            session_id: JobId,
            #[serde(with = "millis")]
            at: Timestamp,
            #[serde(default)]
            key: Option<CallKey>,
        }
        #[derive(Deserialize)]
        struct Kept {
            job: Box<Job>,
        }
        let Whose { session_id, at, key } = serde_json::from_slice(data)?;
        let mut members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(data)?;
        if members.get("type").is_some_and(|kind| kind.get() == "\"snapshot\"") {
            let Kept { job } = serde_json::from_slice(data)?;
            return Ok(Self { session_id, at, key, change: Change::Snapshot { job } });
        }
        let (given, came_out) = (members.remove("metadata"), members.remove("result"));
        let mut change = Change::deserialize(MapDeserializer::new(members.into_iter()))?;
        match &mut change {
            Change::StepBegan { metadata, .. } | Change::StepChanged { metadata, .. } => {
                *metadata =
                    given.map(|text| serde_json::from_str(text.get())).transpose()?.unwrap_or_default();
            }
            Change::Succeeded { result } => {
                *result = came_out.map(Json::from).filter(|result| !result.is_null());
            }
            _ => {}
        }
        Ok(Self { session_id, at, key, change })
    }
}

/// The channel of a job.
#[must_use]
pub(crate) fn progress_channel(id: &JobId) -> Channel {
    // A job's name is at most 128 bytes of letters, digits and . _ : -
    Channel::new(&format!("{PROGRESS_PREFIX}{id}")).expect("a job's name fits a channel's")
}

/// The channel of the application's own events.
#[must_use]
pub(crate) fn jobs_channel() -> Channel {
    Channel::new(JOBS_CHANNEL).expect("a literal name")
}

fn status_channel() -> Channel {
    Channel::new(STATUS_CHANNEL).expect("a literal name")
}

/// What goes into the log for one change, in the order the module's head draws.
#[must_use]
pub(crate) fn publications(
    record: &Record,
    before: Option<&Job>,
    after: Option<&Job>,
    place: Option<usize>,
) -> Vec<Publication> {
    let mut publications = vec![publication(jobs_channel(), record.change.name(), record)];
    if record.change == Change::Unchanged {
        return publications;
    }
    if let Some(job) = after {
        publications.push(update(job, place));
        if before.map(|job| job.status) != Some(job.status) {
            publications.push(publication(status_channel(), "job_changed", &JobChanged::of(job)));
        }
    } else {
        let gone = JobForgotten { session_id: &record.session_id, updated_at: iso(record.at) };
        publications.push(publication(status_channel(), "job_forgotten", &gone));
    }
    publications
}

/// The state of a job for those who look.
pub(crate) fn update(job: &Job, place: Option<usize>) -> Publication {
    publication(progress_channel(&job.id), UPDATE, &job.update(place))
}

/// Lines of a command's output for those who look.
pub(crate) fn log_lines(job: &Job, lines: &[Line], cut: u64) -> Batch {
    let data = LogLines { attempt: job.attempt, cut, lines };
    Batch::new(vec![publication(progress_channel(&job.id), LOG, &data)])
}

#[derive(Serialize)]
struct LogLines<'a> {
    attempt: u32,
    /// How many lines before these were left out: they came too fast.
    cut: u64,
    lines: &'a [Line],
}

#[derive(Serialize)]
struct JobChanged<'a> {
    session_id: &'a JobId,
    title: &'a str,
    kind: Kind,
    status: Status,
    percent: Percent,
    step_name: Option<&'a str>,
    updated_at: String,
}

impl<'a> JobChanged<'a> {
    fn of(job: &'a Job) -> Self {
        Self {
            session_id: &job.id,
            title: &job.title,
            kind: job.kind(),
            status: job.status,
            percent: job.percent,
            step_name: job.step_name(),
            updated_at: iso(job.updated_at),
        }
    }
}

#[derive(Serialize)]
struct JobForgotten<'a> {
    session_id: &'a JobId,
    updated_at: String,
}

fn publication(channel: Channel, name: &str, data: &impl Serialize) -> Publication {
    // Only texts, numbers and maps with text keys are in there: writing them cannot fail.
    let json = serde_json::to_vec(data).expect("plain data");
    let name = EventName::new(name).expect("a literal name");
    Publication { channel, name, payload: Payload::Json(Bytes::from(json)) }
}
