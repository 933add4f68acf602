//! The stages: what runs, in which lane, after what, and what each needs.

use std::process::Command;

use super::tally::Tally;
use crate::{Failure, bench, demo, licences, npm, process, ship, tidy, tools, workspace};

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

/// What is built, the same for clippy, the tests and the servers: another choice of profile, packages or
/// features would compile hundreds of crates anew. The features are all there are: Kafka, and the WebSocket
/// that echoes for the Autobahn suite.
const BUILD: [&str; 5] =
    ["--profile", workspace::CI, "--workspace", "--features", "anywire/kafka,anywire-gateway/echo"];
/// What building librdkafka takes.
const KAFKA_BUILD: &[&str] = &["make", "c++"];
/// What `conformance/autobahn/run.mjs` and `conformance/openapi/run.py` end with when they cannot run their
/// suite.
const SUITE_ABSENT: i32 = 2;
/// What the end-to-end suites talk to.
const SUITES: &[&str] = &[
    "npm",
    "chromium",
    "nginx",
    "python3",
    "redis-server",
    "curl",
    "ffmpeg",
    "espeak-ng",
    "faketime",
    "java",
    "mvn",
    "kcat",
];

/// Stages of one lane run one after the other; lanes run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// What cargo does: it locks its folder, so two at a time would only wait.
    Rust,
    /// What needs npm or the network, and no server.
    Npm,
    /// Everything that talks to a server: its time limits want the machine for themselves.
    Live,
}

impl Lane {
    pub(super) const ALL: [Self; 3] = [Self::Rust, Self::Npm, Self::Live];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Npm => "npm",
            Self::Live => "live",
        }
    }
}

/// One stage.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) lane: Lane,
    pub(super) what: &'static str,
    /// Names of tools, or of programs in the search path.
    pub(super) needs: &'static [&'static str],
    /// Stages that end first, however they end.
    pub(super) after: &'static [&'static str],
    /// The stage whose programs it runs: it is chosen with it, and where it failed this one fails unrun.
    pub(super) uses: Option<&'static str>,
    /// Whether `cargo xtask check` has it.
    pub(super) quick: bool,
    pub(super) run: fn(&mut Tally) -> Done,
}

impl Stage {
    pub(super) fn new(
        name: &'static str,
        lane: Lane,
        what: &'static str,
        run: fn(&mut Tally) -> Done,
    ) -> Self {
        Self { name, lane, what, needs: &[], after: &[], uses: None, quick: false, run }
    }

    pub(super) fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    fn after(self, after: &'static [&'static str]) -> Self {
        Self { after, ..self }
    }

    fn uses(self, stage: &'static str) -> Self {
        Self { uses: Some(stage), ..self }
    }

    fn quick(self) -> Self {
        Self { quick: true, ..self }
    }
}

/// All of them; those of one lane in their order.
pub(super) fn stages() -> Vec<Stage> {
    let mut stages = rust_lane();
    stages.extend(npm_lane());
    stages.extend(live_lane());
    stages
}

/// What stands at the end runs alone: `e2e` is the last of the other lanes.
fn rust_lane() -> Vec<Stage> {
    use Lane::Rust;
    vec![
        Stage::new("fmt", Rust, "cargo fmt --check", |tally| cargo(tally, &["fmt", "--all", "--check"]))
            .needs(&["rustfmt"])
            .quick(),
        Stage::new("tidy", Rust, "the house rules", |_| Ok(tidy::run(&[])?)).quick(),
        Stage::new("licences", Rust, "every dependency's licence and source", licences).quick(),
        Stage::new("deny", Rust, "advisories and duplicates, where cargo-deny is installed", deny),
        Stage::new("clippy", Rust, "cargo clippy, warnings are errors", clippy)
            .needs(&["clippy", "make", "c++"])
            .quick(),
        // The console is built into the server: were it there only later, the server would be built twice.
        Stage::new("build", Rust, "tests and servers, in the profile ci", build)
            .needs(KAFKA_BUILD)
            .after(&["console"])
            .quick(),
        Stage::new("rust", Rust, "cargo test --workspace", rust).uses("build").quick(),
        Stage::new("shipped", Rust, "the program as it is shipped", |_| Ok(ship::build(true)?))
            .after(&["console", "e2e"]),
        Stage::new("bench", Rust, "the benchmarks run and print their tables", |_| Ok(bench::smoke()?))
            .uses("shipped"),
        Stage::new("e2e-shipped", Rust, "crashes and transports, with the shipped program", e2e_shipped)
            .needs(SUITES)
            .uses("shipped"),
    ]
}

/// The console first: what embeds it is built after it.
fn npm_lane() -> Vec<Stage> {
    use Lane::Npm;
    vec![
        Stage::new("console", Npm, "the console: lint, unit tests, build", console).needs(&["npm"]).quick(),
        Stage::new("client", Npm, "the TypeScript client: lint, unit tests, build, size", client)
            .needs(&["npm"])
            .quick(),
        Stage::new("suites", Npm, "the test suites' own lint, types and tests", suites)
            .needs(&["npm"])
            .quick(),
        Stage::new("broker", Npm, "Kafka for the tests, fetched by Maven", |_| Ok(kafka()?))
            .needs(&["java", "mvn"]),
    ]
}

fn live_lane() -> Vec<Stage> {
    use Lane::Live;
    let after = &["rust", "console", "suites", "broker"];
    vec![
        Stage::new("client-live", Live, "the TypeScript client against the real server", client_live)
            .needs(&["npm", "chromium"])
            .after(after)
            .uses("build"),
        Stage::new("conformance", Live, "the protocol's cases against the real server", conformance)
            .needs(&["npm"])
            .after(after)
            .uses("build"),
        Stage::new("openapi", Live, "the API's description against the server, by schemathesis", openapi)
            .needs(&["python3"])
            .after(after)
            .uses("build"),
        Stage::new("demo", Live, "the demo's report and prices appear", |_| Ok(demo::smoke()?))
            .after(after)
            .uses("build"),
        Stage::new("autobahn", Live, "WebSocket framing judged by the Autobahn suite", autobahn)
            .needs(&["npm"])
            .after(after)
            .uses("build"),
        Stage::new("e2e", Live, "real browser, real proxies, real clients", e2e)
            .needs(SUITES)
            .after(after)
            .uses("build"),
    ]
}

fn licences(_tally: &mut Tally) -> Done {
    println!("  {} packages are as deny.toml allows", licences::check()?);
    Ok(())
}

fn deny(tally: &mut Tally) -> Done {
    if tools::deny() {
        cargo(tally, &["deny", "check"])
    } else {
        println!("  advisories are not checked; to have them: cargo install --locked cargo-deny");
        Err(Trouble::Missing(tools::CARGO_DENY.to_owned()))
    }
}

fn clippy(tally: &mut Tally) -> Done {
    cargo(tally, &[&["clippy", "--all-targets"], &BUILD[..], &["--", "-D", "warnings"]].concat())
}

/// Tests, examples and the programs, `anywire` and `echo` among them.
fn build(tally: &mut Tally) -> Done {
    cargo(tally, &[&["test", "--no-run"], &BUILD[..]].concat())
}

fn rust(tally: &mut Tally) -> Done {
    cargo(tally, &[&["test", "--no-fail-fast"], &BUILD[..]].concat())
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

fn suites(tally: &mut Tally) -> Done {
    npm::ready("clients/typescript")?;
    npm::ci("conformance")?;
    npm::ci("e2e")?;
    let runner = each(tally, "conformance", &["test:runner"]);
    each(tally, "e2e", &["check"]).and(runner)
}

fn conformance(tally: &mut Tally) -> Done {
    npm::ready("conformance")?;
    each(tally, "conformance", &["test:server"])
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
    npm::ready("conformance")?;
    let mut command = npm::script("conformance", "test:autobahn");
    command.env("ECHO_BIN", workspace::built(workspace::CI, "examples/echo"));
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
    npm::ready("e2e")?;
    kafka()?;
    each(tally, "e2e", &["test"])
}

fn e2e_shipped(tally: &mut Tally) -> Done {
    npm::ready("clients/typescript")?;
    npm::ready("e2e")?;
    let mut command = npm::script("e2e", "test:shipped");
    command.env("ANYWIRE_BIN", workspace::shipped("anywire"));
    if run(tally, &mut command)?.success {
        Ok(())
    } else {
        Err("npm run test:shipped in e2e".to_owned().into())
    }
}

/// Runs npm scripts one after the other; the rest runs also when one fails.
fn each(tally: &mut Tally, folder: &str, scripts: &[&str]) -> Done {
    let mut failed = Vec::new();
    for script in scripts {
        println!("  ── {folder}: npm run {script}");
        if !run(tally, &mut npm::script(folder, script))?.success {
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

/// Runs a command and adds what it counted. Unless the command says otherwise, the server is that of the
/// tests' build.
fn run(tally: &mut Tally, command: &mut Command) -> Result<process::Finished, Failure> {
    if !command.get_envs().any(|(name, _)| name == "ANYWIRE_BIN") {
        command.env("ANYWIRE_BIN", workspace::built(workspace::CI, "anywire"));
    }
    command.env("CARGO_TERM_COLOR", "never").env("NO_COLOR", "1").env("CI", "true");
    let done = process::tee(command)?;
    *tally = *tally + Tally::read(&done.output);
    Ok(done)
}
