//! Runs stages in lanes: those of one lane one after the other, the lanes side by side.
//!
//! Invariant: a stage starts when all that it comes after have ended, or were not chosen.

use std::{
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::{
    Outcome, Verdict,
    stages::{Lane, Stage},
};
use crate::process::{self, elapsed};

/// How often a lane that waits looks whether the user wants it to end.
const LOOK: Duration = Duration::from_millis(200);
/// How often somebody who waits is told what runs.
const REMIND: Duration = Duration::from_secs(60);

/// Runs every stage and answers in the order in which they ended. `quiet` says nothing beside what the stages
/// say.
pub(super) fn run<'a>(
    stages: &[&'a Stage],
    fail_fast: bool,
    quiet: bool,
    one: impl Fn(&'a Stage) -> Outcome + Sync,
) -> Vec<Outcome> {
    let progress = Progress { state: Mutex::default(), changed: Condvar::new(), stages, fail_fast };
    std::thread::scope(|scope| {
        for lane in Lane::ALL {
            let (progress, one) = (&progress, &one);
            scope.spawn(move || progress.lane(lane, one, quiet));
        }
        if !quiet {
            progress.remind();
        }
    });
    progress.state.into_inner().expect("no lane panics while it holds the state").ended
}

#[derive(Default)]
struct State {
    running: Vec<(&'static str, Instant)>,
    ended: Vec<Outcome>,
    lanes_done: usize,
    /// Something failed, and nothing more is to start.
    stop: bool,
}

struct Progress<'a, 'b> {
    state: Mutex<State>,
    changed: Condvar,
    stages: &'b [&'a Stage],
    fail_fast: bool,
}

impl<'a> Progress<'a, '_> {
    fn lane(&self, lane: Lane, one: impl Fn(&'a Stage) -> Outcome, quiet: bool) {
        for stage in self.stages.iter().filter(|stage| stage.lane == lane) {
            if !self.wait_for(stage) {
                break;
            }
            if !quiet {
                println!("▶  {} · {}", stage.name, stage.what);
            }
            let outcome = self.without(stage).unwrap_or_else(|| one(stage));
            self.end(outcome);
        }
        self.state().lanes_done += 1;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no lane panics while it holds the state")
    }

    /// Waits until everything before a stage has ended. `false` if it shall not start any more.
    fn wait_for(&self, stage: &Stage) -> bool {
        let mut state = self.state();
        loop {
            if state.stop || process::interrupted() {
                return false;
            }
            if self.before(stage).all(|name| state.ended.iter().any(|outcome| outcome.name == name)) {
                state.running.push((stage.name, Instant::now()));
                return true;
            }
            state =
                self.changed.wait_timeout(state, LOOK).expect("no lane panics while it holds the state").0;
        }
    }

    /// The chosen stages that a stage comes after.
    fn before(&self, stage: &Stage) -> impl Iterator<Item = &'static str> {
        let names = stage.after.iter().copied().chain(stage.uses);
        names.filter(|name| self.stages.iter().any(|chosen| chosen.name == *name))
    }

    /// How a stage ends whose programs could not be built.
    fn without(&self, stage: &Stage) -> Option<Outcome> {
        let used = stage.uses?;
        let state = self.state();
        let built = state.ended.iter().find(|outcome| outcome.name == used)?;
        let failed = built.verdict != Verdict::Passed;
        failed.then(|| Outcome::failed(stage.name, format!("it did not run, for `{used}` failed")))
    }

    fn end(&self, outcome: Outcome) {
        let mut state = self.state();
        state.running.retain(|(name, _)| *name != outcome.name);
        state.stop |= self.fail_fast && matches!(outcome.verdict, Verdict::Failed(_));
        state.ended.push(outcome);
        self.changed.notify_all();
    }

    /// Says from time to time what runs, until all lanes are done.
    fn remind(&self) {
        let mut said = Instant::now();
        let mut state = self.state();
        while state.lanes_done < Lane::ALL.len() {
            state =
                self.changed.wait_timeout(state, LOOK).expect("no lane panics while it holds the state").0;
            if said.elapsed() >= REMIND {
                said = Instant::now();
                let running: Vec<String> = state
                    .running
                    .iter()
                    .map(|(name, since)| format!("{name} for {}", elapsed(since.elapsed())))
                    .collect();
                println!("   … {}", running.join(", "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{stages::stages, tally::Tally};

    fn passed(name: &'static str) -> Outcome {
        Outcome {
            name,
            verdict: Verdict::Passed,
            tally: Tally { passed: 1, failed: 0 },
            time: Duration::ZERO,
        }
    }

    fn names(outcomes: &[Outcome]) -> Vec<&'static str> {
        outcomes.iter().map(|outcome| outcome.name).collect()
    }

    #[test]
    fn every_stage_ends_after_all_that_it_comes_after() {
        let all = stages();
        let chosen: Vec<&Stage> = all.iter().collect();
        let ended = names(&run(&chosen, false, true, |stage| passed(stage.name)));
        assert_eq!(ended.len(), all.len());
        let place = |name: &str| ended.iter().position(|ended| *ended == name).expect("it is a stage");
        for stage in &all {
            for before in stage.after.iter().copied().chain(stage.uses) {
                assert!(place(before) < place(stage.name), "{before} before {}", stage.name);
            }
        }
    }

    #[test]
    fn what_was_not_chosen_is_not_waited_for() {
        let all = stages();
        let chosen: Vec<&Stage> = all.iter().filter(|stage| stage.name == "e2e").collect();
        assert_eq!(names(&run(&chosen, false, true, |stage| passed(stage.name))), ["e2e"]);
    }

    #[test]
    fn without_its_programs_a_stage_fails_and_does_not_run() {
        let all = stages();
        let chosen: Vec<&Stage> =
            all.iter().filter(|stage| ["build", "rust", "tidy"].contains(&stage.name)).collect();
        let outcomes = run(&chosen, false, true, |stage| match stage.name {
            "build" => Outcome::failed("build", "no".to_owned()),
            "rust" => panic!("it must not run"),
            name => passed(name),
        });
        let rust = outcomes.iter().find(|outcome| outcome.name == "rust").expect("it is told");
        assert!(matches!(&rust.verdict, Verdict::Failed(message) if message.contains("`build`")));
        assert_eq!(rust.tally.failed, 1);
    }

    #[test]
    fn after_a_failure_nothing_more_starts_where_that_is_wanted() {
        let all = stages();
        let chosen: Vec<&Stage> = all.iter().filter(|stage| stage.lane == Lane::Rust).collect();
        let outcomes = run(&chosen, true, true, |stage| Outcome::failed(stage.name, String::new()));
        assert_eq!(outcomes.len(), 1);
    }
}
