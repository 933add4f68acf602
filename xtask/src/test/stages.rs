//! The stages: what runs, in which order, and what each needs.
//!
//! Knows: the commands of every part of the repository. Does not know: how results are counted and shown.
//!
//! The order matters: the server embeds the console, so the console is built first; everything that talks to a server
//! comes after its release build.

use std::{path::PathBuf, process::Command};

use super::tally::Tally;
use crate::{Failure, bench, licences, npm, process, tidy, tools, workspace};

/// Why a stage did not pass.
#[derive(Debug)]
pub(super) enum Trouble {
    Failed(Failure),
    /// It could not run for want of something.
    Missing(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Done = Result<(), Trouble>;

/// The tests have everything that can be built in: Kafka, and the WebSocket that echoes for the Autobahn suite.
const FEATURES: &str = "anywire/kafka,anywire-gateway/echo";
/// What building librdkafka takes.
const KAFKA_BUILD: &[&str] = &["make", "c++"];
/// What runs against a server, all of it by one command: another choice of packages or features would build half of everything anew.
const RELEASE: &str =
    "build --release -p anywire -p anywire-bench -p anywire-gateway --bins --example echo --features";
/// What `conformance/autobahn/run.mjs` and `conformance/openapi/run.py` end with when they cannot run their suite.
const SUITE_ABSENT: i32 = 2;

/// One stage.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Names of tools, or of programs in the search path.
    pub(super) needs: &'static [&'static str],
    pub(super) run: fn(&mut Tally) -> Done,
}

/// All of them, in order.
pub(super) fn stages() -> Vec<Stage> {
    let stage = |name, what, needs, run| Stage { name, what, needs, run };
    vec![
        stage("tools", "the programs the tests need", &[], ensure_tools),
        stage("fmt", "cargo fmt --check", &[], |tally| cargo(tally, &["fmt", "--all", "--check"])),
        stage("clippy", "cargo clippy, warnings are errors", KAFKA_BUILD, |tally| {
            cargo(
                tally,
                &["clippy", "--workspace", "--all-targets", "--features", FEATURES, "--", "-D", "warnings"],
            )
        }),
        stage("tidy", "the house rules", &[], |_| Ok(tidy::run(&[])?)),
        stage("rust", "cargo test --workspace", KAFKA_BUILD, |tally| {
            cargo(tally, &["test", "--workspace", "--features", FEATURES, "--no-fail-fast"])
        }),
        stage("licences", "every dependency's licence and source, as deny.toml allows them", &[], |_| {
            println!("  {} packages are as deny.toml allows", licences::check()?);
            Ok(())
        }),
        stage("deny", "advisories and duplicates, where cargo-deny is installed", &[], deny),
        stage("client", "the TypeScript client: lint, unit tests, build, size", &["npm"], client),
        stage("console", "the console: lint, unit tests, build", &["npm"], console),
        stage("server", "release build of the server, with the console in it", KAFKA_BUILD, release),
        stage(
            "client-live",
            "the TypeScript client against the real server",
            &["npm", "chromium"],
            client_live,
        ),
        stage("conformance", "the protocol's cases against the real server", &["npm"], conformance),
        stage(
            "openapi",
            "the API's description against the real server, by schemathesis",
            &["python3"],
            openapi,
        ),
        stage("autobahn", "WebSocket framing judged by the Autobahn suite", &["npm"], autobahn),
        stage(
            "e2e",
            "real browser, real proxies, real clients",
            &[
                "npm",
                "chromium",
                "nginx",
                "python3",
                "redis-server",
                "curl",
                "ffmpeg",
                "espeak-ng",
                "java",
                "mvn",
                "kcat",
            ],
            e2e,
        ),
        stage("bench", "the benchmarks run and print their tables", &[], |tally| {
            release(tally)?;
            Ok(bench::smoke()?)
        }),
    ]
}

fn ensure_tools(_tally: &mut Tally) -> Done {
    let allowed = super::allowed();
    let missing = tools::ensure();
    let missing: Vec<String> = missing.into_iter().filter(|tool| !allowed.contains(tool)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Trouble::Missing(missing.join(", "))) }
}

fn deny(tally: &mut Tally) -> Done {
    if tools::deny() {
        cargo(tally, &["deny", "check"])
    } else {
        Err(Trouble::Missing(tools::CARGO_DENY.to_owned()))
    }
}

fn client(tally: &mut Tally) -> Done {
    let folder = "clients/typescript";
    npm::ci(folder)?;
    each(tally, folder, &["lint", "test", "build", "size"])
}

fn client_live(tally: &mut Tally) -> Done {
    npm::ready("clients/typescript")?;
    each(tally, "clients/typescript", &["test:server"])
}

fn console(tally: &mut Tally) -> Done {
    npm::ci("console")?;
    each(tally, "console", &["lint", "test", "build"])
}

fn conformance(tally: &mut Tally) -> Done {
    npm::ci("conformance")?;
    each(tally, "conformance", &["test:runner", "test:server"])
}

fn openapi(tally: &mut Tally) -> Done {
    let mut command = Command::new("python3");
    command.arg("conformance/openapi/run.py").current_dir(workspace::root());
    let done = run(tally, &mut command)?;
    match done.code {
        Some(0) => Ok(()),
        Some(SUITE_ABSENT) => Err(Trouble::Missing("schemathesis, from PyPI".to_owned())),
        _ => Err(Trouble::Failed("the server does not do what its description says".to_owned())),
    }
}

fn autobahn(tally: &mut Tally) -> Done {
    release(tally)?;
    let mut command = Command::new("npm");
    command.args(["run", "--silent", "test:autobahn"]).current_dir(workspace::root().join("conformance"));
    command.env("ECHO_BIN", workspace::release("examples/echo"));
    let done = run(tally, &mut command)?;
    match done.code {
        Some(0) => Ok(()),
        Some(SUITE_ABSENT) => {
            Err(Trouble::Missing("Python 2.7 with pip, or docker, for the Autobahn suite".to_owned()))
        }
        _ => Err(Trouble::Failed("the Autobahn suite found broken framing".to_owned())),
    }
}

fn e2e(tally: &mut Tally) -> Done {
    npm::ready("clients/typescript")?;
    npm::ci("e2e")?;
    kafka()?;
    each(tally, "e2e", &["check", "test"])
}

/// Runs npm scripts one after the other; the rest runs also when one fails.
fn each(tally: &mut Tally, folder: &str, scripts: &[&str]) -> Done {
    let mut failed = Vec::new();
    for script in scripts {
        println!("  ── {folder}: npm run {script}");
        let mut command = Command::new("npm");
        command.args(["run", "--silent", script]).current_dir(workspace::root().join(folder));
        if !run(tally, &mut command)?.success {
            failed.push(*script);
        }
        if process::interrupted() {
            break;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("npm run {} in {folder}", failed.join(", ")).into()) }
}

/// Brings the broker before anything waits for it: how long that takes is up to the network.
fn kafka() -> Result<(), Failure> {
    println!("  ── e2e: fetching Kafka");
    let mut command = Command::new(workspace::root().join("xtask/kafka/broker.sh"));
    if process::tee(command.arg("fetch"))?.success {
        Ok(())
    } else {
        Err("Kafka could not be fetched".to_owned())
    }
}

fn cargo(tally: &mut Tally, arguments: &[&str]) -> Done {
    let mut command = Command::new(workspace::cargo());
    command.args(arguments).current_dir(workspace::root());
    if run(tally, &mut command)?.success { Ok(()) } else { Err(format!("cargo {}", arguments[0]).into()) }
}

/// Builds what an earlier stage has built already, unless only one stage runs.
fn release(tally: &mut Tally) -> Done {
    let arguments: Vec<&str> = RELEASE.split(' ').chain([FEATURES]).collect();
    cargo(tally, &arguments)
}

/// Runs a command and adds what it counted.
fn run(tally: &mut Tally, command: &mut Command) -> Result<process::Finished, Failure> {
    let server: PathBuf = workspace::release("anywire");
    command
        .env("ANYWIRE_BIN", server)
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1")
        .env("CI", "true");
    let done = process::tee(command)?;
    *tally = *tally + Tally::read(&done.output);
    Ok(done)
}
