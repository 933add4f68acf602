//! `anywire check`: verifies the log of a server that is stopped.

use std::path::PathBuf;
use std::process::ExitCode;

use anywire_store::{Checked, Finding, check};
use clap::Args;

use crate::storage::LOG_FOLDER;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The data directory of a server that is stopped.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Verifies; the status is 1 if anything is damaged.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, String> {
    let inner = args.directory.join(LOG_FOLDER);
    let directory = if inner.is_dir() { inner } else { args.directory.clone() };
    if !directory.join("meta").exists() && !directory.join("manifest").exists() {
        let shown = args.directory.display();
        return Err(format!("{shown}: there is no log; name the directory that the server has as `data`"));
    }
    let checked = check(&directory).map_err(|error| error.to_string())?;
    for finding in &checked.findings {
        println!("{}", line(finding));
    }
    println!("{}", summary(&checked));
    Ok(if checked.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(finding: &Finding) -> String {
    let (path, detail) = (finding.path.display(), &finding.detail);
    match finding.lost {
        None => format!("{path}: {detail}"),
        Some((first, last)) if last < first => {
            format!("{path}: {detail}; lost: everything from offset {first} on")
        }
        Some((first, last)) => format!("{path}: {detail}; lost: offsets {first} to {last}"),
    }
}

fn summary(checked: &Checked) -> String {
    let Checked { segments, events, bytes, findings } = checked;
    let read = format!("{events} events in {segments} segments, {bytes} bytes, were read");
    match findings.len() {
        0 => format!("{read}; everything is as it was written"),
        1 => format!("{read}; 1 place is damaged"),
        count => format!("{read}; {count} places are damaged"),
    }
}
