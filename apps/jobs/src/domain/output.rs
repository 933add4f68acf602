//! A line of the output of a command.

use anywire_app::time::iso;
use anywire_log::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Which pipe a line came out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Pipe {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// When it came.
    pub(crate) at: Timestamp,
    /// Where it came out.
    pub(crate) pipe: Pipe,
    /// What it says.
    pub(crate) text: String,
}

impl Serialize for Line {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            n: u64,
            at: String,
            stream: Pipe,
            text: &'a str,
        }
        Shown { n: self.number, at: iso(self.at), stream: self.pipe, text: &self.text }.serialize(serializer)
    }
}
