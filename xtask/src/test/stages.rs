//! The stages: what runs, in which order, and what each needs.
//!
//! Knows: the commands of every part of the repository. Does not know: how results are counted and shown.
//!
//! The order matters: the server embeds the console, so the console is built first; everything that talks to a server
//! comes after its release build.

use std::{path::PathBuf, process::Command};

use super::tally::Tally;
use crate::{Failure, bench, process, tidy, tools, workspace};

/// One stage.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Names of tools, or of programs in the search path.
    pub(super) needs: &'static [&'static str],
    pub(super) run: fn(&mut Tally) -> Result<(), Failure>,
}

/// Whether something a stage needs is there.
pub(super) fn present(name: &str) -> bool {
    match tools::TOOLS.iter().find(|tool| tool.name == name) {
        Some(tool) => tool.present(),
        None => process::find(name).is_some(),
    }
}

/// All of them, in order.
pub(super) fn stages() -> Vec<Stage> {
    let stage = |name, what, needs, run| Stage { name, what, needs, run };
    vec![
        stage("tools", "the programs the tests need", &[], ensure_tools),
        stage("fmt", "cargo fmt --check", &[], |tally| cargo(tally, &["fmt", "--all", "--check"])),
        stage("clippy", "cargo clippy, warnings are errors", &[], |tally| {
            cargo(tally, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        }),
        stage("tidy", "the house rules", &[], |_| tidy::run(&[])),
        stage("rust", "cargo test --workspace", &[], |tally| {
            cargo(tally, &["test", "--workspace", "--no-fail-fast"])
        }),
        stage("deny", "licences and advisories, where cargo-deny is installed", &[], deny),
        stage("client", "the TypeScript client: lint, unit tests, build, size", &["npm"], client),
        stage("console", "the console: lint, unit tests, build", &["npm"], console),
        stage("server", "release build of the server, with the console in it", &[], |tally| {
            cargo(tally, &["build", "--release", "-p", "anywire", "-p", "anywire-bench"])
        }),
        stage(
            "client-live",
            "the TypeScript client against the real server",
            &["npm", "chromium"],
            client_live,
        ),
        stage("conformance", "the protocol's cases against the real server", &["npm"], conformance),
        stage(
            "e2e",
            "real browser, real proxies, real clients",
            &["npm", "chromium", "nginx", "python3", "curl"],
            e2e,
        ),
        stage("bench", "the benchmarks run and print their tables", &[], |_| bench::smoke()),
    ]
}

fn ensure_tools(_tally: &mut Tally) -> Result<(), Failure> {
    let allowed = super::allowed();
    let missing = tools::ensure();
    let missing: Vec<String> = missing.into_iter().filter(|tool| !allowed.contains(tool)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing: {}", missing.join(", "))) }
}

fn deny(tally: &mut Tally) -> Result<(), Failure> {
    if tools::deny() {
        return cargo(tally, &["deny", "check"]);
    }
    println!(
        "  cargo-deny is not installed: licences and advisories are NOT checked (cargo install cargo-deny)"
    );
    Ok(())
}

fn client(tally: &mut Tally) -> Result<(), Failure> {
    let folder = "clients/typescript";
    npm_ci(folder)?;
    each(tally, folder, &["lint", "test", "build", "size"])
}

fn client_live(tally: &mut Tally) -> Result<(), Failure> {
    npm_ready("clients/typescript")?;
    each(tally, "clients/typescript", &["test:server"])
}

fn console(tally: &mut Tally) -> Result<(), Failure> {
    npm_ci("console")?;
    each(tally, "console", &["lint", "test", "build"])
}

fn conformance(tally: &mut Tally) -> Result<(), Failure> {
    npm_ci("conformance")?;
    each(tally, "conformance", &["test"])
}

fn e2e(tally: &mut Tally) -> Result<(), Failure> {
    npm_ready("clients/typescript")?;
    npm_ci("e2e")?;
    each(tally, "e2e", &["check", "test"])
}

/// Runs npm scripts one after the other; the rest runs also when one fails.
fn each(tally: &mut Tally, folder: &str, scripts: &[&str]) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for script in scripts {
        println!("  ── {folder}: npm run {script}");
        let mut command = Command::new("npm");
        command.args(["run", "--silent", script]).current_dir(workspace::root().join(folder));
        if let Err(error) = counted(tally, &mut command) {
            failed.push(format!("npm run {script} in {folder} {error}"));
        }
        if process::interrupted() {
            break;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Installs exactly what the lock file names.
pub(crate) fn npm_ci(folder: &str) -> Result<(), Failure> {
    println!("  ── {folder}: npm ci");
    let mut command = Command::new("npm");
    command.args(["ci", "--no-audit", "--no-fund"]).current_dir(workspace::root().join(folder));
    if process::tee(&mut command)?.success { Ok(()) } else { Err(format!("npm ci in {folder} failed")) }
}

/// Installs only where nothing is installed: an earlier stage may have done it.
fn npm_ready(folder: &str) -> Result<(), Failure> {
    if workspace::root().join(folder).join("node_modules").is_dir() { Ok(()) } else { npm_ci(folder) }
}

fn cargo(tally: &mut Tally, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new(workspace::cargo());
    command.args(arguments).current_dir(workspace::root());
    counted(tally, &mut command).map_err(|error| format!("cargo {} {error}", arguments[0]))
}

/// Runs a command and adds what it counted.
fn counted(tally: &mut Tally, command: &mut Command) -> Result<(), Failure> {
    let server: PathBuf = workspace::release("anywire");
    command
        .env("ANYWIRE_BIN", server)
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1")
        .env("CI", "true");
    let done = process::tee(command)?;
    let counted = Tally::read(&done.output);
    *tally = *tally + counted;
    if done.success { Ok(()) } else { Err("failed".to_owned()) }
}
