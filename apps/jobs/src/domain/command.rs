//! What a command job is to run, and what came of it. Pure.
//!
//! Only names and values that were checked are kept, never an environment: the log is no place for secrets.
//! What a configured name stands for is looked up when the command starts, so a retry runs what is configured
//! by then.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the command that makes videos.
pub(crate) const VIDEO: &str = "video";

/// How the output of a command becomes progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Parser")]
pub enum ParserKind {
    /// Plain lines.
    #[default]
    Lines,
    /// A JSON object a line.
    Json,
    /// What `ffmpeg -progress pipe:1` writes.
    Ffmpeg,
    /// A regular expression.
    Pattern,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobCommand")]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum CommandSpec {
    /// A command of the configuration.
    Configured {
        /// Its name there.
        name: String,
        /// What stands for the placeholders of its arguments.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<String, String>,
    },
    /// A command line that came with the request.
    AdHoc {
        /// The program and its arguments.
        argv: Vec<String>,
        /// How its output is read.
        parser: ParserKind,
        /// The pattern, for [`ParserKind::Pattern`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "String")]
        pattern: Option<String>,
        /// When it is ended, if not by the default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "u64")]
        timeout_ms: Option<u64>,
    },
    /// A command that runs in somebody's terminal and is driven over the API.
    #[serde(rename = "elsewhere")]
    Remote {
        /// The program and its arguments, for showing.
        argv: Vec<String>,
    },
}

impl CommandSpec {
    /// Whether this server runs it.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        !matches!(self, Self::Remote { .. })
    }

    /// Whether it makes a video.
    #[must_use]
    pub fn is_video(&self) -> bool {
        matches!(self, Self::Configured { name, .. } if name == VIDEO)
    }
}

/// What a job is, as lists are filtered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Driven step by step over the API.
    Progress,
    /// A report of an upload.
    Report,
    /// A command.
    Command,
    /// A video.
    Video,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Progress, Self::Report, Self::Command, Self::Video];

    /// The kind as the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Report => "report",
            Self::Command => "command",
            Self::Video => "video",
        }
    }
}

/// A file that a command left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "File")]
pub struct Artefact {
    /// Its name, which is also the last part of its path.
    pub name: String,
    /// How long it is.
    pub size_bytes: u64,
    /// Its checksum, once the command has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub sha256: Option<String>,
}

/// How long a name of an artefact may be.
const ARTEFACT_NAME_MAX: usize = 100;

/// Whether a file of this name may be downloaded: letters, digits and `. _ -`, the first a letter or digit.
/// So it is no path, no hidden file, no option.
#[must_use]
pub fn is_artefact_name(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    starts_well && name.len() <= ARTEFACT_NAME_MAX && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_path_is_no_artefact() {
        for name in ["video.mp4", "preview-1.jpg", "A_b.C"] {
            assert!(is_artefact_name(name), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "a/b", "../x", "a\\b", "-rf", "a b", "a\0b", "é"] {
            assert!(!is_artefact_name(name), "{name:?}");
        }
        assert!(!is_artefact_name(&"x".repeat(101)));
    }
}
