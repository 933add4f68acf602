//! The name of a job.

use std::{borrow::Cow, fmt, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The name of a job, chosen by the caller or a UUID: 1 to 128 characters of `A–Z a–z 0–9 . _ : -`, the first
/// a letter or digit.
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

impl JsonSchema for JobId {
    fn schema_name() -> Cow<'static, str> {
        "JobId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "1 to 128 characters of `A–Z a–z 0–9 . _ : -`; the first is a letter or digit.",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$",
            "examples": ["import-7"],
        })
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
