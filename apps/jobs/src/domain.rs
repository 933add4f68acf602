//! What a job is, and what may happen to it. Pure: a job and a wish go in, a [`Change`] or a refusal comes out; a job and a change go in,
//! the next job comes out.
//!
//! ```text
//!             ┌────────────── retried ───────────────┐
//!             ▼                                      │
//! started ▶ running ◀─ step ─ interrupted ──▶ cancelled
//!             │  ▲                 ▲                 ▲
//!  upload     ▼  │ step            │ restart         │ cancel
//!  complete  queued ───────────────┴─────────────────┤
//!             └──▶ running ──▶ succeeded | failed ───┘ (failed can be retried)
//! ```
//! An interrupted job goes on by itself when whoever drives it reports the next step: for a backend elsewhere our restart is a pause.
//!
//! Knows: the rules of a job. Does not know: the log, HTTP, files, clocks.
//!
//! Invariants:
//! - [`Change::apply`] gives the same job for the same changes: it is all that a restart has.
//! - A decision that changes nothing is `None`: nothing is published then.

use std::{fmt, sync::Arc};

use anywire_log::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    events::Change,
    time::{iso, millis},
};

/// The most steps a job may have.
pub const STEPS_MAX: u32 = 1000;

/// The nine steps from a file to its report.
pub const REPORT_STEPS: [&str; 9] =
    ["receive", "checksum", "dialect", "parse", "validate", "statistics", "charts", "render", "publish"];

/// The name of a job, chosen by the caller or a UUID: 1 to 128 characters of `A–Z a–z 0–9 . _ : -`, the first a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

/// Why a text is not the name of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "session_id {text:?} is not allowed; use 1 to 128 characters of A-Z a-z 0-9 . _ : - that start with a letter or digit"
)]
pub struct JobIdError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl JobId {
    /// Checks a text and makes it the name of a job.
    ///
    /// # Errors
    /// [`JobIdError`] says what is allowed.
    pub fn new(text: &str) -> Result<Self, JobIdError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-');
        let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if !starts_well || text.len() > 128 || !text.bytes().all(allowed) {
            return Err(JobIdError { text: text.chars().take(64).collect() });
        }
        Ok(Self(Arc::from(text)))
    }

    /// A new random name (a UUID).
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobId {
    type Error = JobIdError;

    fn try_from(text: String) -> Result<Self, JobIdError> {
        Self::new(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Somebody works on it.
    Running,
    /// Done.
    Succeeded,
    /// Ended by an error.
    Failed,
    /// Ended by somebody's wish.
    Cancelled,
    /// The server stopped in the middle of it.
    Interrupted,
}

impl Status {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Interrupted];

    /// The status as the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nobody works on it or will by itself.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A share of the whole in tenths of a percent: 0 to 100.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Percent(u16);

impl Percent {
    /// Everything.
    pub const WHOLE: Self = Self(1000);

    /// `done` of `total`, rounded down; everything when `total` is zero.
    #[must_use]
    pub fn of(done: u64, total: u64) -> Self {
        if total == 0 {
            return Self::WHOLE;
        }
        let tenths = u128::from(done.min(total)) * 1000 / u128::from(total);
        Self(u16::try_from(tenths).unwrap_or(1000))
    }

    /// Rounded to tenths; `None` outside 0 to 100.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000 fits")]
        (0.0..=100.0).contains(&percent).then(|| Self((percent * 10.0).round() as u16))
    }

    /// The point `part` of the way (0 to 1) from this to `end`.
    #[must_use]
    pub fn toward(self, end: Self, part: f64) -> Self {
        let (from, to) = (f64::from(self.0), f64::from(end.0));
        Self::new((from + (to - from) * part.clamp(0.0, 1.0)) / 10.0).unwrap_or(end)
    }
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole percents are written without a fraction, as everybody expects them.
        if self.0 % 10 == 0 {
            serializer.serialize_u16(self.0 / 10)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 10.0)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value)
            .ok_or_else(|| serde::de::Error::custom(format!("percent {value} is outside 0 to 100")))
    }
}

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// When it began.
    #[serde(with = "millis")]
    pub started_at: Timestamp,
    /// How long it took; none while it runs.
    pub duration_ms: Option<u64>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// The step at which it failed.
    pub step: Option<String>,
    /// What happened and what to do.
    pub message: String,
    /// The line of the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The character in that line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

/// The file a job began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its name under `/api/uploads/`.
    pub id: crate::files::UploadId,
    /// The name it had where it came from; shown, never used as a path.
    pub filename: String,
    /// How long it will be.
    pub size_bytes: u64,
    /// How much of it was here at the last update; the file itself is the truth.
    pub received_bytes: u64,
    /// The `Upload-Metadata` it came with, given back as it was.
    pub metadata: String,
    /// When a byte last came, or somebody asked for more.
    #[serde(with = "millis")]
    pub heard_at: Timestamp,
    /// The bytes are gone: by its owner's wish or by age.
    #[serde(default)]
    pub removed: bool,
}

impl Upload {
    /// Whether every byte is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.received_bytes == self.size_bytes
    }

    /// The share of the whole job that its bytes are: they count for half.
    #[must_use]
    pub fn percent(&self) -> Percent {
        Percent(Percent::of(self.received_bytes, self.size_bytes).0 / 2)
    }
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
    /// The steps that have begun.
    pub steps: Vec<Step>,
    /// How much of the whole is done.
    pub percent: Percent,
    /// What the current step says.
    pub message: Option<String>,
    /// What whoever drives it wants to be known.
    pub metadata: Map<String, Value>,
    /// What came out of it.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// When it was started.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "millis")]
    pub updated_at: Timestamp,
    /// How often it was retried: work that belongs to an earlier attempt is told to stop by it.
    pub attempt: u32,
    /// The file it makes a report of; none for jobs that are driven over the API.
    pub upload: Option<Upload>,
    /// Its place in the order of creation: the offset of its first event.
    pub number: u64,
}

impl Job {
    /// The name of the current step.
    #[must_use]
    pub fn step_name(&self) -> Option<&str> {
        self.steps.last().map(|step| step.name.as_str())
    }

    /// The number of the current step; 0 before the first.
    #[must_use]
    pub fn step(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn end_step(&mut self, at: Timestamp) {
        if let Some(step) = self.steps.last_mut()
            && step.duration_ms.is_none()
        {
            step.duration_ms = Some(at.millis_since(step.started_at));
        }
    }

    /// The whole state as the API and `progress_update` give it, without `cursor`.
    #[must_use]
    pub fn state(&self) -> impl Serialize + '_ {
        State {
            session_id: &self.id,
            title: &self.title,
            status: self.status,
            step: self.step(),
            total_steps: self.total_steps,
            step_name: self.step_name(),
            percent: self.percent,
            message: self.message.as_deref(),
            metadata: self.public_metadata(),
            steps: (1..).zip(&self.steps).map(|(index, step)| StepState::new(index, step)).collect(),
            result: self.result.as_ref(),
            error: self.error.as_ref(),
            created_at: iso(self.created_at),
            updated_at: iso(self.updated_at),
        }
    }

    fn public_metadata(&self) -> Map<String, Value> {
        let mut metadata = self.metadata.clone();
        if let Some(upload) = &self.upload {
            let mut shown = serde_json::json!({
                "id": upload.id, "filename": upload.filename,
                "size_bytes": upload.size_bytes, "received_bytes": upload.received_bytes,
            });
            if upload.removed {
                shown["removed"] = Value::Bool(true);
            }
            metadata.insert("upload".to_owned(), shown);
        }
        metadata
    }
}

#[derive(Serialize)]
struct State<'a> {
    session_id: &'a JobId,
    title: &'a str,
    status: Status,
    step: u32,
    total_steps: u32,
    step_name: Option<&'a str>,
    percent: Percent,
    message: Option<&'a str>,
    metadata: Map<String, Value>,
    steps: Vec<StepState<'a>>,
    result: Option<&'a Value>,
    error: Option<&'a JobError>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct StepState<'a> {
    index: u32,
    name: &'a str,
    started_at: String,
    duration_ms: Option<u64>,
}

impl<'a> StepState<'a> {
    fn new(index: u32, step: &'a Step) -> Self {
        Self { index, name: &step.name, started_at: iso(step.started_at), duration_ms: step.duration_ms }
    }
}

/// Why a wish was not followed. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such job.
    #[error("there is no job {id}; start it with POST /api/progress, or see GET /api/jobs")]
    NotFound {
        /// The name that was asked for.
        id: String,
    },
    /// A job of this name is there already.
    #[error("job {id} is there already and is {}; choose another session_id, retry it, or DELETE /api/jobs/{id} first", .status.as_str())]
    Exists {
        /// Its name.
        id: JobId,
        /// How it stands.
        status: Status,
    },
    /// The job's status does not allow it.
    #[error("job {id} is {}: {wish} is not possible; {way_out}", .status.as_str())]
    Illegal {
        /// Its name.
        id: JobId,
        /// How it stands.
        status: Status,
        /// What was wanted.
        wish: &'static str,
        /// What is possible instead.
        way_out: &'static str,
    },
    /// Every step has begun.
    #[error(
        "job {id} has {total_steps} steps and all have begun: {name:?} cannot; start the job with a greater total_steps"
    )]
    TooManySteps {
        /// Its name.
        id: JobId,
        /// How many steps it has.
        total_steps: u32,
        /// The step that was to begin.
        name: String,
    },
    /// The server drives this job itself.
    #[error("job {id} is driven by its upload: {wish} is not possible; cancel or retry it")]
    DrivenByUpload {
        /// Its name.
        id: JobId,
        /// What was wanted.
        wish: &'static str,
    },
    /// The bytes of its upload are gone.
    #[error("the upload of job {id} was removed: {wish} is not possible; upload the file again")]
    UploadRemoved {
        /// Its name.
        id: JobId,
        /// What was wanted.
        wish: &'static str,
    },
    /// As many jobs as allowed are unfinished.
    #[error("{open} jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max")]
    TooManyOpen {
        /// How many.
        open: usize,
    },
    /// The work that wants it belongs to an earlier attempt.
    #[error("job {id} was retried since")]
    Superseded {
        /// Its name.
        id: JobId,
    },
}

/// What a step says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepWish {
    /// Its name; the name of the current step changes that one.
    pub name: String,
    /// What to show.
    pub message: Option<String>,
    /// How much of the whole is done.
    pub percent: Option<Percent>,
    /// Members to set; null removes one.
    pub metadata: Map<String, Value>,
}

impl Job {
    /// The next step begins, or the current one changes.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended, has no step left, or is driven by its upload.
    pub fn wish_step(&self, wish: StepWish) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("a step")?;
        self.open("a step", "retry it first")?;
        self.step_change(wish)
    }

    /// As [`Job::wish_step`], for the work on an upload; `attempt` is the one the work belongs to.
    pub(crate) fn wish_own_step(&self, attempt: u32, wish: StepWish) -> Result<Option<Change>, Refusal> {
        self.same_attempt(attempt)?;
        self.active("a step", "retry it first")?;
        self.step_change(wish)
    }

    fn step_change(&self, wish: StepWish) -> Result<Option<Change>, Refusal> {
        let StepWish { name, message, percent, metadata } = wish;
        if self.step_name() != Some(name.as_str()) {
            if self.step() >= self.total_steps {
                return Err(Refusal::TooManySteps {
                    id: self.id.clone(),
                    total_steps: self.total_steps,
                    name,
                });
            }
            let begun = Percent::of(u64::from(self.step()), u64::from(self.total_steps));
            let percent = percent.unwrap_or_else(|| begun.max(self.percent));
            return Ok(Some(Change::StepBegan { name, message, percent, metadata }));
        }
        let message = message.filter(|message| self.message.as_ref() != Some(message));
        let percent = percent.filter(|percent| *percent != self.percent);
        let news = |(key, value): &(String, Value)| self.metadata.get(key).unwrap_or(&Value::Null) != value;
        let metadata: Map<_, _> = metadata.into_iter().filter(news).collect();
        let same = message.is_none() && percent.is_none() && metadata.is_empty();
        let revived = self.status == Status::Running;
        Ok((!(same && revived)).then_some(Change::StepChanged {
            message,
            percent,
            metadata,
            received_bytes: None,
        }))
    }

    /// Bytes of the upload arrived: `received_bytes` are here now.
    ///
    /// # Errors
    /// [`Refusal`] when the job does not wait for bytes any more.
    pub fn wish_bytes(&self, received_bytes: u64) -> Result<Option<Change>, Refusal> {
        let upload = self.own_upload("receiving bytes")?;
        self.open("receiving bytes", "retry it first")?;
        if upload.received_bytes == received_bytes && self.status == Status::Running {
            return Ok(None);
        }
        let change = Change::StepChanged {
            message: None,
            percent: Some(Upload { received_bytes, ..upload.clone() }.percent()),
            metadata: Map::new(),
            received_bytes: Some(received_bytes),
        };
        Ok(Some(change))
    }

    /// Every byte is here: the report can be made.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended.
    pub fn wish_queue(&self) -> Result<Option<Change>, Refusal> {
        self.own_upload("making the report")?;
        self.open("making the report", "retry it first")?;
        let waiting = self.status != Status::Queued && self.step() <= 1;
        Ok(waiting.then_some(Change::Queued))
    }

    /// It is done.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended or is driven by its upload.
    pub fn wish_complete(&self, result: Option<Value>) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("completing")?;
        self.open("completing", "retry it first")?;
        Ok(Some(Change::Succeeded { result }))
    }

    /// As [`Job::wish_complete`], for the work on an upload.
    pub(crate) fn wish_own_complete(&self, attempt: u32, result: Value) -> Result<Option<Change>, Refusal> {
        self.same_attempt(attempt)?;
        self.active("completing", "retry it first")?;
        Ok(Some(Change::Succeeded { result: Some(result) }))
    }

    /// It cannot go on.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended or is driven by its upload.
    pub fn wish_fail(&self, error: JobError) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("failing")?;
        self.open("failing", "it has ended already")?;
        let step = error.step.or_else(|| self.step_name().map(str::to_owned));
        Ok(Some(Change::Failed { error: JobError { step, ..error } }))
    }

    /// As [`Job::wish_fail`], for the work on an upload.
    pub(crate) fn wish_own_fail(&self, attempt: u32, error: JobError) -> Result<Option<Change>, Refusal> {
        self.same_attempt(attempt)?;
        self.open("failing", "it has ended already")?;
        let step = error.step.or_else(|| self.step_name().map(str::to_owned));
        Ok(Some(Change::Failed { error: JobError { step, ..error } }))
    }

    /// Somebody does not want it any more.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended.
    pub fn wish_cancel(&self) -> Result<Option<Change>, Refusal> {
        self.open("cancelling", "it has ended already")?;
        Ok(Some(Change::Cancelled))
    }

    /// The server stops, or nobody has moved the job for too long.
    #[must_use]
    pub fn wish_interrupt(&self) -> Option<Change> {
        (self.status == Status::Running).then_some(Change::Interrupted)
    }

    /// Once more. `received_bytes` is how much of its upload is here.
    ///
    /// # Errors
    /// [`Refusal`] when the job has not ended, has succeeded, or its upload is gone.
    pub fn wish_retry(&self, received_bytes: Option<u64>) -> Result<Option<Change>, Refusal> {
        if !matches!(self.status, Status::Failed | Status::Cancelled | Status::Interrupted) {
            return Err(
                self.illegal("retrying", "only a failed, cancelled or interrupted job can be retried")
            );
        }
        if self.upload.is_some() {
            self.own_upload("retrying")?;
        }
        Ok(Some(Change::Retried { received_bytes }))
    }

    /// Nobody needs it any more.
    ///
    /// # Errors
    /// [`Refusal`] when somebody still works on it.
    pub fn wish_forget(&self) -> Result<Option<Change>, Refusal> {
        if !self.status.is_finished() {
            return Err(self.illegal("forgetting", "cancel it first"));
        }
        Ok(Some(Change::Forgotten))
    }

    fn driven_over_the_api(&self, wish: &'static str) -> Result<(), Refusal> {
        match self.upload {
            Some(_) => Err(Refusal::DrivenByUpload { id: self.id.clone(), wish }),
            None => Ok(()),
        }
    }

    fn own_upload(&self, wish: &'static str) -> Result<&Upload, Refusal> {
        let gone = || Refusal::UploadRemoved { id: self.id.clone(), wish };
        self.upload.as_ref().filter(|upload| !upload.removed).ok_or_else(gone)
    }

    fn same_attempt(&self, attempt: u32) -> Result<(), Refusal> {
        if self.attempt == attempt { Ok(()) } else { Err(Refusal::Superseded { id: self.id.clone() }) }
    }

    /// An interrupted job counts as open: see the module's head.
    fn open(&self, wish: &'static str, way_out: &'static str) -> Result<(), Refusal> {
        let ended = matches!(self.status, Status::Succeeded | Status::Failed | Status::Cancelled);
        if ended { Err(self.illegal(wish, way_out)) } else { Ok(()) }
    }

    fn active(&self, wish: &'static str, way_out: &'static str) -> Result<(), Refusal> {
        if self.status.is_finished() { Err(self.illegal(wish, way_out)) } else { Ok(()) }
    }

    fn illegal(&self, wish: &'static str, way_out: &'static str) -> Refusal {
        Refusal::Illegal { id: self.id.clone(), status: self.status, wish, way_out }
    }
}
