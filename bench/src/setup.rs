//! What every benchmark of Anywire can be told, and how its server is then set up.

use crate::failure::Outcome;
use crate::peers::{Setting, Transport};
use crate::table::write_json;
use serde_json::Value;
use std::path::PathBuf;

/// The options all benchmarks share.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Setup {
    /// Small numbers, for a few seconds: only shows that everything works.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// The server to measure. Default: `anywire` beside this binary.
    #[arg(long, env = "ANYWIRE_BIN")]
    anywire: Option<PathBuf>,
    /// More arguments for `anywire serve`; repeat for several.
    #[arg(long, allow_hyphen_values = true)]
    anywire_argument: Vec<String>,
    /// Where the JSON goes. Default target/bench/<benchmark>.json.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Setup {
    /// The server's side of a run on this transport, bound to this processor.
    pub(crate) fn setting(&self, transport: Transport, processor: Option<usize>) -> Setting {
        Setting {
            transport,
            processor,
            recovery: false,
            anywire: self.anywire.clone(),
            anywire_arguments: self.anywire_argument.clone(),
        }
    }

    /// Writes the result where it was asked for, or else under the benchmark's name.
    pub(crate) fn write_json(&self, name: &str, result: &Value) -> Outcome<()> {
        write_json(name, self.json.as_deref(), result)
    }
}
