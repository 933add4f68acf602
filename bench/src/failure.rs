//! Why a benchmark could not run: one sentence for the person who started it.
//!
//! Nobody branches on it, so it is text with its cause and not an enum.

use std::fmt;

/// What went wrong and, where there is one, the way out.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The result of everything that can keep a benchmark from running.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure in the words given.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when an error came.
pub(crate) trait Context<T> {
    /// Puts `what` in front of the error.
    fn context(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|cause| Failure(format!("{what}: {cause}")))
    }
}
