//! The packages of the parts that are written in TypeScript.

use std::process::Command;

use crate::{Failure, process, workspace};

/// Installs exactly what the lock file names.
pub(crate) fn ci(folder: &str) -> Result<(), Failure> {
    println!("  ── {folder}: npm ci");
    let mut command = Command::new("npm");
    command.args(["ci", "--no-audit", "--no-fund"]).current_dir(workspace::root().join(folder));
    if process::tee(&mut command)?.success { Ok(()) } else { Err(format!("npm ci in {folder} failed")) }
}

/// Installs only where nothing is installed: an earlier stage may have done it.
pub(crate) fn ready(folder: &str) -> Result<(), Failure> {
    if workspace::root().join(folder).join("node_modules").is_dir() { Ok(()) } else { ci(folder) }
}

/// One of a package's scripts.
pub(crate) fn script(folder: &str, name: &str) -> Command {
    let mut command = Command::new("npm");
    command.args(["run", "--silent", name]).current_dir(workspace::root().join(folder));
    command
}
