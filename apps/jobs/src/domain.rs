//! What a job is, and how its state looks to others. Pure.
//!
//! Knows: a job's parts. Does not know: what may happen to it ([`crate::rules`]), the log, HTTP, files, clocks.

use std::{fmt, sync::Arc};

use anywire_log::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    order::{Artefact, Kind, Order},
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
        if self.0.is_multiple_of(10) {
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
    /// The command it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
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

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.order {
            Some(order) if order.is_video() => Kind::Video,
            Some(_) => Kind::Command,
            None if self.upload.is_some() => Kind::Report,
            None => Kind::Progress,
        }
    }

    /// Whether it is a command that this server runs.
    #[must_use]
    pub fn is_own_command(&self) -> bool {
        self.order.as_ref().is_some_and(Order::is_own)
    }

    /// The whole state as the API and `progress_update` give it, without `cursor`. `place` is its place in the queue, from 1, while it waits there.
    #[must_use]
    pub fn state(&self, place: Option<usize>) -> impl Serialize + '_ {
        State {
            session_id: &self.id,
            title: &self.title,
            kind: self.kind(),
            attempt: self.attempt,
            queue_position: place,
            command: self.order.as_ref(),
            artefacts: self.artefacts.iter().map(|file| ShownArtefact::new(&self.id, file)).collect(),
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
    kind: Kind,
    attempt: u32,
    queue_position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a Order>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artefacts: Vec<ShownArtefact<'a>>,
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
struct ShownArtefact<'a> {
    #[serde(flatten)]
    file: &'a Artefact,
    url: String,
}

impl<'a> ShownArtefact<'a> {
    fn new(id: &JobId, file: &'a Artefact) -> Self {
        Self { file, url: format!("/api/jobs/{id}/files/{}", file.name) }
    }
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
