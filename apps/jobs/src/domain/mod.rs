//! What a job is made of, and how its state looks to others. No log, no HTTP, no files, no clock.

mod command;
mod id;
mod job;
mod json;
pub(crate) mod millis;
mod output;
mod status;
mod upload;
mod weight;

pub(crate) use command::VIDEO;
pub use command::{Artefact, CommandSpec, Kind, ParserKind, is_artefact_name};
pub use id::{JobId, JobIdError};
pub(crate) use job::State;
pub use job::{Job, JobError, REPORT_STEPS, STEPS_MAX, Step};
pub use json::{Json, Metadata};
pub(crate) use output::{Line, Pipe};
pub use status::{Percent, Status};
pub use upload::{Upload, UploadId};
