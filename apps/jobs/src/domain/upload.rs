//! The file a job began with.

use std::fmt;

use anywire_log::Timestamp;
use serde::{Deserialize, Serialize};

use super::{millis, status::Percent};

/// The name of an upload: a UUID that we made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(uuid::Uuid);

impl UploadId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// The upload of that name, as we wrote it: anything else is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.parse().ok().map(Self)?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The file a job began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its name under `/api/uploads/`.
    pub id: UploadId,
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
    /// The bytes are gone: removed by a request or by age.
    #[serde(default)]
    pub removed: bool,
    /// The partial uploads it was joined from, in their order; none for one that came in one piece.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<UploadId>,
    /// The addresses of its parts in the words of who joined them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub part_addresses: Vec<String>,
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
        Percent::of(self.received_bytes, self.size_bytes).halved()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_made_are_uploads() {
        let id = UploadId::random();
        assert_eq!(UploadId::parse(&id.to_string()), Some(id));
        for text in ["", "..", "../x", "a/b", &id.to_string().to_uppercase(), &format!("{{{id}}}")] {
            assert_eq!(UploadId::parse(text), None, "{text:?}");
        }
    }
}
