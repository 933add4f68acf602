//! Why a record was not processed, or nothing can be.

use std::path::PathBuf;

/// Why a record was not processed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It will never be: the record itself is wrong.
    #[error("{0}")]
    Record(String),
    /// It may be another time.
    #[error("{0}")]
    Passing(String),
}

/// Why processing cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProcessingError {
    /// The file of the schema cannot be read.
    #[error("pipeline.schema {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is no JSON Schema.
    #[error("pipeline.schema {path} is no JSON Schema: {detail}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The sink is no address.
    #[error("pipeline.sink is {url:?}: {detail}; expected http://… or https://…")]
    Sink {
        /// The address.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
}
