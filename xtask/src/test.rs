//! `cargo xtask check` and `cargo xtask test`: stages in lanes side by side, one table at the end, and the
//! time of each kept.

mod lanes;
mod stages;
mod tally;
mod times;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Failure,
    process::{self, elapsed},
    tools, workspace,
};
use stages::{Stage, Trouble, stages};
use tally::Tally;

/// What is run unless stages are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What answers within minutes: no server is started.
    Check,
    Everything,
}

/// How a stage went.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed(String),
    /// It could not run, and the user said that this is acceptable.
    Missing(String),
}

#[derive(Debug, Clone)]
struct Outcome {
    name: &'static str,
    verdict: Verdict,
    tally: Tally,
    time: Duration,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    list: bool,
    fail_fast: bool,
    only: Vec<String>,
}

/// Runs the stages and answers whether all of them passed.
pub(crate) fn run(scope: Scope, arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let all = stages();
    let chosen = chosen(&all, scope, &options.only)?;
    if options.list {
        for stage in &chosen {
            println!("{:<12} {:<5} {}", stage.name, stage.lane.name(), stage.what);
        }
        return Ok(());
    }
    let started = Instant::now();
    let logs = logs()?;
    let mut outcomes = vec![ensure_tools(&chosen)];
    let alone = chosen.iter().all(|stage| stage.lane == chosen[0].lane);
    outcomes.extend(lanes::run(&chosen, options.fail_fast, alone, |stage| child(stage, &logs, alone)));
    let name = if scope == Scope::Check { "check" } else { "test" };
    times::write(name, &outcomes, started.elapsed())?;
    summary(&outcomes, chosen.len() + 1, started.elapsed())
}

/// Runs one stage in this process: what the lanes start.
pub(crate) fn stage(arguments: &[String]) -> Result<(), Failure> {
    let all = stages();
    let stage = all.iter().find(|stage| arguments.first().is_some_and(|name| name == stage.name));
    let outcome = run_stage(stage.ok_or("there is no such stage")?, &allowed());
    let file = result_file(outcome.name);
    std::fs::write(&file, outcome.json().to_string()).map_err(|error| format!("{}: {error}", file.display()))
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => options.list = true,
            "--fail-fast" => options.fail_fast = true,
            "--only" => {
                let names = arguments.next().ok_or("--only needs the name of a stage")?;
                options.only.extend(names.split(',').map(str::to_owned));
            }
            other => match other.strip_prefix("--only=") {
                Some(names) => options.only.extend(names.split(',').map(str::to_owned)),
                None => {
                    return Err(format!("{other:?} is unknown; there are --list, --only NAME, --fail-fast"));
                }
            },
        }
    }
    Ok(options)
}

/// The stages that are named, with those whose programs they run; all of the scope if none is named.
fn chosen<'a>(all: &'a [Stage], scope: Scope, only: &[String]) -> Result<Vec<&'a Stage>, Failure> {
    if let Some(unknown) = only.iter().find(|name| !all.iter().any(|stage| stage.name == **name)) {
        return Err(format!("there is no stage {unknown:?}; `cargo xtask test --list` names them"));
    }
    let named = |stage: &Stage| match only {
        [] => scope == Scope::Everything || stage.quick,
        names => names.iter().any(|name| name == stage.name),
    };
    let used: Vec<&str> = all.iter().filter(|stage| named(stage)).filter_map(|stage| stage.uses).collect();
    Ok(all.iter().filter(|stage| named(stage) || used.contains(&stage.name)).collect())
}

/// What may be missing: what the user says, and what nobody has to have.
fn allowed() -> BTreeSet<String> {
    // The Autobahn suite needs Python 2.7, which Debian has no more: where it is absent, the summary says so.
    let nobody_has_to = format!(",{},autobahn", tools::CARGO_DENY);
    let names = std::env::var("ANYWIRE_ALLOW_MISSING").unwrap_or_default() + &nobody_has_to;
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Finds or installs what the stages need, before any of them starts.
fn ensure_tools(chosen: &[&Stage]) -> Outcome {
    println!("━━ tools · the programs that the stages need");
    let started = Instant::now();
    let wanted: BTreeSet<&str> = chosen.iter().flat_map(|stage| stage.needs).copied().collect();
    let allowed = allowed();
    let missing: Vec<String> =
        tools::ensure(&wanted).into_iter().filter(|tool| !allowed.contains(tool)).collect();
    let done = if missing.is_empty() { Ok(()) } else { Err(Trouble::Missing(missing.join(", "))) };
    let outcome = judged("tools", done, Tally::default(), &allowed, started);
    println!("── tools: {}, {}", describe(&outcome), elapsed(outcome.time));
    outcome
}

/// A stage in a process of its own, so that stages may run side by side and none takes the others along.
fn child(stage: &Stage, logs: &std::path::Path, through: bool) -> Outcome {
    let started = Instant::now();
    if through {
        println!("\n━━ {} · {}", stage.name, stage.what);
    }
    // What an earlier run said must not speak for this one.
    let _absent = std::fs::remove_file(result_file(stage.name));
    let done = std::env::current_exe().map_err(|error| format!("xtask does not know itself: {error}"));
    let done = done.and_then(|xtask| {
        let mut command = Command::new(xtask);
        process::record(
            command.args(["stage", stage.name]),
            &logs.join(format!("{}.log", stage.name)),
            through,
        )
    });
    let told = std::fs::read_to_string(result_file(stage.name)).ok();
    let told = told.and_then(|text| Outcome::read(stage.name, &serde_json::from_str(&text).ok()?));
    let outcome = told.unwrap_or_else(|| {
        let message = done.as_ref().map_or_else(String::clone, |_| "it ended without a word".to_owned());
        Outcome::failed(stage.name, message)
    });
    let outcome = Outcome { time: started.elapsed(), ..outcome };
    if !through {
        let output = done.map_or_else(|message| format!("{message}\n"), |done| done.output);
        print!("\n━━ {} · {}\n{output}", stage.name, stage.what);
    }
    println!("── {}: {}, {}", stage.name, describe(&outcome), elapsed(outcome.time));
    outcome
}

fn logs() -> Result<PathBuf, Failure> {
    let folder = workspace::target().join("stages");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn result_file(stage: &str) -> PathBuf {
    workspace::target().join("stages").join(format!("{stage}.json"))
}

fn run_stage(stage: &Stage, allowed: &BTreeSet<String>) -> Outcome {
    let started = Instant::now();
    let missing: Vec<&str> = stage.needs.iter().filter(|tool| !tools::present(tool)).copied().collect();
    let mut tally = Tally::default();
    let done =
        if missing.is_empty() { (stage.run)(&mut tally) } else { Err(Trouble::Missing(missing.join(", "))) };
    judged(stage.name, done, tally, allowed, started)
}

/// What a stage's end and its count mean. One that counts nothing is one test; one that failed beside its
/// tests is one more.
fn judged(
    name: &'static str,
    done: Result<(), Trouble>,
    mut tally: Tally,
    allowed: &BTreeSet<String>,
    started: Instant,
) -> Outcome {
    let verdict = match done {
        Ok(()) if tally.failed == 0 => {
            tally.passed = tally.passed.max(1);
            Verdict::Passed
        }
        Ok(()) => Verdict::Failed("tests failed".to_owned()),
        Err(Trouble::Missing(what)) if excused(name, &what, allowed) => Verdict::Missing(what),
        Err(trouble) => {
            tally.failed = tally.failed.max(1);
            Verdict::Failed(match trouble {
                Trouble::Failed(message) => message,
                Trouble::Missing(what) => format!("missing: {what}"),
            })
        }
    };
    Outcome { name, verdict, tally, time: started.elapsed() }
}

/// Whether the user accepts that a stage does not run: its own name, or all that is missing, is allowed.
fn excused(stage: &str, missing: &str, allowed: &BTreeSet<String>) -> bool {
    allowed.contains(stage) || missing.split(", ").all(|tool| allowed.contains(tool))
}

impl Outcome {
    /// A stage that could not tell by itself.
    fn failed(name: &'static str, message: String) -> Self {
        let tally = Tally { passed: 0, failed: 1 };
        Self { name, verdict: Verdict::Failed(message), tally, time: Duration::ZERO }
    }

    fn json(&self) -> Value {
        let (verdict, message) = match &self.verdict {
            Verdict::Passed => ("passed", ""),
            Verdict::Failed(message) => ("failed", message.as_str()),
            Verdict::Missing(message) => ("missing", message.as_str()),
        };
        json!({
            "stage": self.name, "seconds": (self.time.as_secs_f64() * 10.0).round() / 10.0, "verdict": verdict,
            "message": message, "passed": self.tally.passed, "failed": self.tally.failed,
        })
    }

    /// The reverse of [`Outcome::json`], but for the time.
    fn read(name: &'static str, value: &Value) -> Option<Self> {
        let message = value["message"].as_str()?.to_owned();
        let verdict = match value["verdict"].as_str()? {
            "passed" => Verdict::Passed,
            "failed" => Verdict::Failed(message),
            "missing" => Verdict::Missing(message),
            _ => return None,
        };
        let tally = Tally { passed: value["passed"].as_u64()?, failed: value["failed"].as_u64()? };
        Some(Self { name, verdict, tally, time: Duration::ZERO })
    }
}

fn describe(outcome: &Outcome) -> String {
    match &outcome.verdict {
        Verdict::Passed => format!("ok, {} passed", outcome.tally.passed),
        Verdict::Failed(message) => format!("FAILED, {} failed: {message}", outcome.tally.failed),
        Verdict::Missing(message) => format!("NOT RUN, missing: {message}"),
    }
}

/// Prints the table. The last line stands alone and is meant for machines.
fn summary(outcomes: &[Outcome], chosen: usize, time: Duration) -> Result<(), Failure> {
    println!("\n━━ summary, {}", elapsed(time));
    for outcome in outcomes {
        println!("  {:<12} {:>13}  {}", outcome.name, elapsed(outcome.time), describe(outcome));
    }
    if outcomes.len() < chosen {
        println!("  {} more did not run", chosen - outcomes.len());
    }
    let total = outcomes.iter().fold(Tally::default(), |total, outcome| total + outcome.tally);
    println!("\n{total}");
    if total.failed > 0 || outcomes.len() < chosen { Err(String::new()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn stage(run: fn(&mut Tally) -> Result<(), Trouble>, needs: &'static [&'static str]) -> Stage {
        Stage::new("a", stages::Lane::Rust, "", run).needs(needs)
    }

    #[test]
    fn options_are_read() {
        let options = parse(&words("--only a,b --fail-fast --only=c")).expect("known options");
        assert_eq!(options, Options { list: false, fail_fast: true, only: words("a b c") });
        assert!(parse(&words("--onyl a")).is_err());
        assert!(parse(&words("--only")).is_err());
    }

    #[test]
    fn a_stage_that_counts_nothing_is_one_test() {
        let outcome = run_stage(&stage(|_| Ok(()), &[]), &BTreeSet::new());
        assert_eq!(outcome.tally, Tally { passed: 1, failed: 0 });
        let outcome = run_stage(&stage(|_| Err(Trouble::Failed("no".to_owned())), &[]), &BTreeSet::new());
        assert_eq!(outcome.tally, Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn a_failed_count_fails_the_stage_even_when_the_command_is_content() {
        let outcome = run_stage(
            &stage(
                |tally| {
                    tally.failed = 2;
                    Ok(())
                },
                &[],
            ),
            &BTreeSet::new(),
        );
        assert!(matches!(outcome.verdict, Verdict::Failed(_)));
    }

    #[test]
    fn a_missing_tool_fails_its_stage_unless_it_is_allowed() {
        let needing = stage(|_| Ok(()), &["no-such-program-anywhere"]);
        assert!(matches!(run_stage(&needing, &BTreeSet::new()).verdict, Verdict::Failed(_)));
        let outcome = run_stage(&needing, &BTreeSet::from(["no-such-program-anywhere".to_owned()]));
        assert!(matches!(outcome.verdict, Verdict::Missing(_)));
        assert_eq!(outcome.tally, Tally::default());
    }

    #[test]
    fn a_stage_that_is_named_brings_what_it_runs() {
        let all = stages();
        let names = |scope, only: &str| -> Vec<&str> {
            let chosen = chosen(&all, scope, &words(only)).expect("known stages");
            chosen.into_iter().map(|stage| stage.name).collect()
        };
        assert_eq!(names(Scope::Everything, "conformance"), ["build", "conformance"]);
        assert_eq!(names(Scope::Everything, "tidy"), ["tidy"]);
        assert_eq!(names(Scope::Everything, "").len(), all.len());
        let check = names(Scope::Check, "");
        assert!(
            check.contains(&"clippy") && check.contains(&"console") && !check.contains(&"e2e"),
            "{check:?}"
        );
        assert!(chosen(&all, Scope::Check, &words("tyds")).is_err());
    }

    #[test]
    fn what_a_stage_tells_is_read_back() {
        for verdict in [
            Verdict::Passed,
            Verdict::Failed("tests failed".to_owned()),
            Verdict::Missing("nginx".to_owned()),
        ] {
            let tally = Tally { passed: 7, failed: 2 };
            let told = Outcome { name: "a", verdict, tally, time: Duration::ZERO };
            let read = Outcome::read("a", &told.json()).expect("it is whole");
            assert_eq!((read.verdict, read.tally), (told.verdict, told.tally));
        }
        assert!(Outcome::read("a", &json!({ "verdict": "passed" })).is_none());
    }

    #[test]
    fn stage_names_are_unique() {
        let names: BTreeSet<_> = stages().iter().map(|stage| stage.name).collect();
        assert_eq!(names.len(), stages().len());
    }
}
