//! What the routes read and write, as types: their schemas are the description's.

use anywire_app::description::schemas::{CursorText, Time};
use schemars::JsonSchema;
use serde::Serialize;

use self::shape::LogLine;
use crate::domain::{JobId, Line, ParserKind, Pipe};

/// The commands there are.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Commands {
    pub(crate) commands: Vec<Command>,
    /// Whether a request may bring a command line.
    pub(crate) adhoc: bool,
    /// How many run at the same time.
    pub(crate) running_max: usize,
}

/// A command of the configuration.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) title: String,
    /// What a request must give values for.
    pub(crate) parameters: Vec<String>,
    pub(crate) parser: ParserKind,
    /// After this time it is ended.
    pub(crate) timeout_ms: u64,
}

/// A video that is being made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct VideoStarted {
    #[schemars(with = "JobId")]
    pub(crate) job_id: String,
    /// Its job as server-sent events.
    pub(crate) stream_url: String,
    /// Its job without a stream.
    pub(crate) status_url: String,
}

/// The output of a command. Where `n` jumps, lines were cut.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Log {
    pub(crate) attempt: u32,
    #[schemars(with = "Vec<LogLine>")]
    pub(crate) lines: Vec<Line>,
    /// The number of the newest line there is.
    pub(crate) newest: u64,
    /// How many lines between these are not kept.
    pub(crate) cut: u64,
    #[schemars(with = "CursorText")]
    pub(crate) cursor: String,
}

/// What a clean-up removed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Cleaned {
    pub(crate) jobs_cleaned: usize,
    pub(crate) events_removed: u64,
}

/// Bodies whose state is bytes of JSON already, or that are read member by member, so that an error names the
/// member, its value and the way out: these types are there for their schemas.
pub(crate) mod shape {
    #![expect(dead_code, reason = "these types are there for their schemas")]

    use std::collections::BTreeMap;

    use serde_json::{Map, Value};

    use super::*;
    use crate::domain::{Kind, STEPS_MAX, State, Status};

    /// A line of output.
    #[derive(JsonSchema)]
    pub(crate) struct LogLine {
        /// Its number.
        #[schemars(range(min = 1))]
        n: u64,
        at: Time,
        stream: Pipe,
        text: String,
    }

    /// The state of a job, with the cursor to subscribe from.
    #[derive(JsonSchema)]
    pub(crate) struct Job {
        #[schemars(flatten)]
        state: State<'static>,
        cursor: CursorText,
    }

    /// Jobs, the newest first.
    #[derive(JsonSchema)]
    pub(crate) struct Jobs {
        jobs: Vec<Job>,
        cursor: CursorText,
    }

    /// The state of a job, with its video once it is made.
    #[derive(JsonSchema)]
    pub(crate) struct VideoJob {
        job_id: JobId,
        #[schemars(with = "Video", skip_serializing_if = "Option::is_none")]
        video: Option<Video>,
        #[schemars(flatten)]
        job: Job,
    }

    /// A video.
    #[derive(JsonSchema)]
    #[schemars(extend("additionalProperties" = true))]
    struct Video {
        url: String,
        duration_s: f64,
        size_bytes: u64,
        width: u32,
        height: u32,
        #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
        captions_url: Option<String>,
        #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    }

    /// Only jobs with this status; all, if it is empty.
    #[derive(JsonSchema)]
    #[schemars(inline, untagged)]
    pub(crate) enum StatusFilter {
        One(Status),
        All(#[schemars(extend("const" = ""))] String),
    }

    /// Only jobs of this kind; all, if it is empty.
    #[derive(JsonSchema)]
    #[schemars(inline, untagged)]
    pub(crate) enum KindFilter {
        One(Kind),
        All(#[schemars(extend("const" = ""))] String),
    }

    /// A job to start.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct StartJob {
        /// Default: a new UUID.
        session_id: Option<JobId>,
        #[schemars(length(min = 1, max = 200), regex(pattern = "\\S"))]
        title: String,
        #[schemars(range(min = 1, max = STEPS_MAX))]
        total_steps: u32,
        /// The command line that the caller runs itself: the job is of kind `command`.
        argv: Option<Argv>,
        /// After so many milliseconds without a call of whoever drives it the job is `interrupted`: they
        /// may be gone without a word. Without it: `jobs.job_idle_ms`.
        #[schemars(range(min = 5000, max = 86_400_000))]
        lease_ms: Option<u64>,
    }

    /// A program and its arguments.
    #[derive(JsonSchema)]
    pub(crate) struct Argv(
        #[schemars(length(min = 1, max = 256), inner(length(max = 4000), regex(pattern = "^[^\\u0000]*$")))]
        Vec<String>,
    );

    /// The next step, or news of the current one.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct StepJob {
        #[schemars(length(min = 1, max = 100), regex(pattern = "\\S"))]
        name: String,
        /// Its number, greater than the current one's; default: the next.
        #[schemars(range(min = 1, max = STEPS_MAX))]
        step: Option<u32>,
        #[schemars(length(max = 2000))]
        message: Option<String>,
        /// Of the whole; default: from the number of the step.
        #[schemars(range(min = 0, max = 100))]
        percent: Option<f64>,
        /// Members to set, at most 16 KiB as JSON; null removes one.
        metadata: Option<Map<String, Value>>,
        /// How many steps there are, if that has turned out otherwise.
        #[schemars(range(min = 1, max = STEPS_MAX))]
        total_steps: Option<u32>,
    }

    /// What came out of a job.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct CompleteJob {
        /// Any JSON value, at most 64 KiB.
        result: Option<Value>,
    }

    /// Why a job failed.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct FailJob {
        error: FailedWith,
    }

    #[derive(JsonSchema)]
    #[schemars(inline, untagged, deny_unknown_fields)]
    enum FailedWith {
        Text(#[schemars(length(min = 1, max = 4000), regex(pattern = "\\S"))] String),
        Detailed {
            #[schemars(length(min = 1, max = 4000), regex(pattern = "\\S"))]
            message: String,
            /// The step at which it failed.
            #[schemars(length(max = 100))]
            step: Option<String>,
            /// Of the file, from 1.
            line: Option<u64>,
            /// In that line, from 1.
            column: Option<u64>,
        },
    }

    /// A body without members.
    #[derive(JsonSchema)]
    #[schemars(inline, deny_unknown_fields)]
    pub(crate) struct Nothing {}

    /// A command of the configuration by its name, or a command line.
    #[derive(JsonSchema)]
    #[schemars(untagged, deny_unknown_fields)]
    pub(crate) enum RunCommand {
        Configured {
            /// Default: a new UUID.
            session_id: Option<JobId>,
            #[schemars(length(max = 200))]
            title: Option<String>,
            #[schemars(length(max = 100))]
            command: String,
            parameters: Option<BTreeMap<String, ParameterValue>>,
        },
        AdHoc {
            /// Default: a new UUID.
            session_id: Option<JobId>,
            #[schemars(length(max = 200))]
            title: Option<String>,
            argv: Argv,
            parser: Option<ParserKind>,
            #[schemars(length(max = 2000))]
            pattern: Option<String>,
            #[schemars(range(min = 1000, max = 604_800_000))]
            timeout_ms: Option<u64>,
        },
    }

    #[derive(JsonSchema)]
    #[schemars(inline, untagged)]
    pub(crate) enum ParameterValue {
        Text(#[schemars(length(max = 4000), regex(pattern = "^[^\\u0000]*$"))] String),
        Number(f64),
    }

    /// What a video is to say.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct CreateVideo {
        #[schemars(length(min = 1, max = 2000), regex(pattern = "^[^\\u0000]*\\S[^\\u0000]*$"))]
        message: String,
        /// Default `auto`: looked up in the message.
        language: Option<Language>,
        /// Default: a new UUID.
        session_id: Option<JobId>,
    }

    #[derive(JsonSchema)]
    #[schemars(inline, rename_all = "lowercase")]
    enum Language {
        Auto,
        En,
        Vi,
    }

    /// What is old.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct CleanUp {
        /// Seconds since the job ended; default `jobs.events_kept_ms`.
        older_than_s: Option<u64>,
    }

    /// Lines of a command that runs elsewhere.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct AddLog {
        #[schemars(length(min = 1, max = 2000))]
        lines: Vec<OutputLine>,
        /// The number of the first of these lines, counted by the sender from 1: lines that are there already
        /// are left out.
        #[schemars(range(min = 1))]
        first: Option<u64>,
    }

    #[derive(JsonSchema)]
    #[schemars(inline, untagged, deny_unknown_fields)]
    enum OutputLine {
        Text(#[schemars(length(max = 8192), regex(pattern = "^[^\\u0000]*$"))] String),
        Of {
            #[schemars(length(max = 8192), regex(pattern = "^[^\\u0000]*$"))]
            text: String,
            stream: Option<Pipe>,
        },
    }
}
