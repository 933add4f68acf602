//! `cargo xtask test`: every test there is, one stage after the other, and one table at the end.
//!
//! Knows: the stages and their order. Does not know: what a test tests.

mod stages;
mod tally;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    process::{self, elapsed},
    tools,
};
use stages::{Stage, Trouble, stages};
use tally::Tally;

/// How a stage went.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed(String),
    /// It could not run, and the user said that this is acceptable.
    Missing(String),
}

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
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let all = stages();
    if options.list {
        for stage in &all {
            println!("{:<12} {}", stage.name, stage.what);
        }
        return Ok(());
    }
    if let Some(unknown) = options.only.iter().find(|name| !all.iter().any(|stage| stage.name == **name)) {
        return Err(format!("there is no stage {unknown:?}; `cargo xtask test --list` names them"));
    }
    let chosen: Vec<&Stage> = all
        .iter()
        .filter(|stage| options.only.is_empty() || options.only.iter().any(|name| name == stage.name))
        .collect();
    let started = Instant::now();
    let mut outcomes = Vec::new();
    for (index, stage) in chosen.iter().enumerate() {
        println!("\n━━ {} of {}: {} · {}", index + 1, chosen.len(), stage.name, stage.what);
        let outcome = run_stage(stage, &allowed());
        let failed = matches!(outcome.verdict, Verdict::Failed(_));
        println!("── {}: {}, {}", stage.name, describe(&outcome), elapsed(outcome.time));
        outcomes.push(outcome);
        if process::interrupted() || (failed && options.fail_fast) {
            break;
        }
    }
    summary(&outcomes, chosen.len(), started.elapsed())
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
                    return Err(format!(
                        "test does not know {other:?}; it knows --list, --only NAME, --fail-fast"
                    ));
                }
            },
        }
    }
    Ok(options)
}

/// What may be missing: what the user says, and what nobody has to have.
fn allowed() -> BTreeSet<String> {
    // The Autobahn suite needs Python 2.7, which Debian has no more: where it is absent, the summary says so.
    let nobody_has_to = format!(",{},autobahn", tools::CARGO_DENY);
    let names = std::env::var("ANYWIRE_ALLOW_MISSING").unwrap_or_default() + &nobody_has_to;
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn run_stage(stage: &Stage, allowed: &BTreeSet<String>) -> Outcome {
    let started = Instant::now();
    let missing: Vec<&str> = stage.needs.iter().filter(|tool| !tools::present(tool)).copied().collect();
    let mut tally = Tally::default();
    let done =
        if missing.is_empty() { (stage.run)(&mut tally) } else { Err(Trouble::Missing(missing.join(", "))) };
    // A stage that counts nothing is one test; one that failed beside its tests is one more.
    let verdict = match done {
        Ok(()) if tally.failed == 0 => {
            tally.passed = tally.passed.max(1);
            Verdict::Passed
        }
        Ok(()) => Verdict::Failed("tests failed".to_owned()),
        Err(Trouble::Missing(what)) if excused(stage.name, &what, allowed) => Verdict::Missing(what),
        Err(trouble) => {
            tally.failed = tally.failed.max(1);
            Verdict::Failed(match trouble {
                Trouble::Failed(message) => message,
                Trouble::Missing(what) => format!("missing: {what}"),
            })
        }
    };
    Outcome { name: stage.name, verdict, tally, time: started.elapsed() }
}

/// Whether the user accepts that a stage does not run: its own name, or all that is missing, is allowed.
fn excused(stage: &str, missing: &str, allowed: &BTreeSet<String>) -> bool {
    allowed.contains(stage) || missing.split(", ").all(|tool| allowed.contains(tool))
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
        Stage { name: "a", what: "", needs, run }
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
    fn stage_names_are_unique() {
        let names: BTreeSet<_> = stages().iter().map(|stage| stage.name).collect();
        assert_eq!(names.len(), stages().len());
    }
}
