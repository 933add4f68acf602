//! How long each stage took, kept in a file so that two runs can be compared.

use std::{process::Command, time::Duration};

use serde_json::json;

use super::Outcome;
use crate::{Failure, workspace};

const FILE: &str = "ci-times.json";

/// Replaces the file by what is known of this run.
pub(super) fn write(command: &str, outcomes: &[Outcome], time: Duration) -> Result<(), Failure> {
    let stages: Vec<_> = outcomes.iter().map(Outcome::json).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = json!({
        "command": command, "commit": commit(), "cores": cores, "seconds": time.as_secs(), "stages": stages,
    });
    let file = workspace::target().join(FILE);
    std::fs::write(&file, format!("{text:#}\n")).map_err(|error| format!("{}: {error}", file.display()))
}

/// What was tested, if git knows.
fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(workspace::root());
    git.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
