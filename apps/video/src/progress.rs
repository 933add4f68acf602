//! What is reported while a video is made, and its form as JSON lines.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

/// Some news; what is `None` has not changed.
#[derive(Debug, Default, Serialize)]
pub struct Progress<'a> {
    /// The step that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'a str>,
    /// How many steps there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<usize>,
    /// How much of the whole is done, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
    /// Members to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// A file that is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artefact: Option<&'a str>,
    /// What came out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is no video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

/// Whoever wants to know how far a video is.
pub trait ProgressReporter {
    /// Takes news in. It must not wait long: the work waits meanwhile.
    fn report(&mut self, progress: &Progress<'_>);

    /// Takes a line for the log in: nothing is wrong.
    fn log(&mut self, line: &str);
}

/// Writes a JSON object a line to standard output, and lines for the log as they are.
#[derive(Debug, Default)]
pub struct JsonLines;

impl ProgressReporter for JsonLines {
    fn report(&mut self, progress: &Progress<'_>) {
        // Only texts and numbers are in there: writing them cannot fail.
        let Ok(line) = serde_json::to_string(progress) else { return };
        let mut out = std::io::stdout().lock();
        // Nobody may be listening: then this process is about to be ended.
        let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    fn log(&mut self, line: &str) {
        let _gone = writeln!(std::io::stdout(), "{line}");
    }
}
