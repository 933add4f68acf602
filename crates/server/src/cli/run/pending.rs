//! What the server has not been told yet of a command: bounded, and numbered, so that what was passed over is
//! seen.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anywire_jobs::{Json, Metadata, ParsedLine, STEPS_MAX};
use serde::Serialize;
use serde_json::{Value, json};

/// The step of a command that names none.
const ONLY_STEP: &str = "run";
/// How many lines wait for the server; before them the oldest go.
const LINES_MAX: usize = 2000;
/// How much of them one request brings, in bytes of text.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// How many steps wait for the server; more are passed over.
const WAITING_MAX: usize = 200;
/// The longest line the server takes, in characters.
const LINE_CHARS_MAX: usize = 8000;
/// How many of the last lines explain a failure, and how much of each.
const LAST_LINES: usize = 3;
const LAST_LINE_CHARS: usize = 300;

/// One line of the command, numbered from 1.
pub(super) struct Line {
    pub(super) number: u64,
    is_error: bool,
    text: String,
}

impl Line {
    pub(super) fn body(&self) -> Value {
        if self.is_error { json!({ "stream": "err", "text": self.text }) } else { json!(self.text) }
    }
}

/// What a request says of a step.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Step {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

impl Step {
    pub(super) fn body(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers")
    }
}

/// What the server has not been told yet.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) lines: VecDeque<Line>,
    /// How many lines there were.
    counted: u64,
    /// Steps in their order; the last gathers what changes.
    pub(super) steps: VecDeque<Step>,
    /// The step that was begun last: its name, and its number.
    step: String,
    number: u32,
    pub(super) result: Option<Json>,
    pub(super) error: Option<String>,
    /// The last lines: they explain a failure.
    pub(super) last: VecDeque<String>,
}

impl Pending {
    pub(super) fn line(&mut self, is_error: bool, line: &str) {
        self.counted += 1;
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.chars().take(LAST_LINE_CHARS).collect());
        let text = line.chars().take(LINE_CHARS_MAX).collect();
        self.lines.push_back(Line { number: self.counted, is_error, text });
        self.keep_newest();
    }

    fn keep_newest(&mut self) {
        let surplus = self.lines.len().saturating_sub(LINES_MAX);
        self.lines.drain(..surplus);
    }

    /// The oldest lines, as many as one request brings; their numbers follow each other.
    pub(super) fn batch(&mut self) -> Vec<Line> {
        let mut bytes = 0;
        let fits = |line: &&Line| {
            bytes += line.text.len();
            bytes <= BATCH_BYTES_MAX
        };
        let count = self.lines.iter().take_while(fits).count();
        self.lines.drain(..count).collect()
    }

    /// The server was away: these wait again, unless newer lines have taken their place.
    pub(super) fn put_back(&mut self, batch: Vec<Line>) {
        let next = batch.last().map(|line| line.number + 1);
        if self.lines.front().map(|line| line.number).is_none_or(|first| Some(first) == next) {
            batch.into_iter().rev().for_each(|line| self.lines.push_front(line));
            self.keep_newest();
        }
    }

    /// The server took the job for dead while it was away: any step revives it.
    pub(super) fn revive(&mut self) {
        if self.steps.is_empty() {
            let name = self.unnamed();
            self.steps.push_back(Step { name, ..Step::default() });
        }
    }

    fn unnamed(&self) -> String {
        if self.step.is_empty() { ONLY_STEP.to_owned() } else { self.step.clone() }
    }

    pub(super) fn told(&mut self, told: ParsedLine) {
        let ParsedLine { step, number, total_steps, percent, message, metadata, result, error, .. } = told;
        self.result = result.or(self.result.take());
        self.error = error.or(self.error.take());
        let news = percent.is_some() || message.is_some() || !metadata.is_empty() || total_steps.is_some();
        if step.is_none() && !news {
            return;
        }
        self.begin(step.unwrap_or_else(|| self.unnamed()), number);
        let Some(body) = self.steps.back_mut() else { return };
        // More steps than were promised are no reason to refuse one.
        body.total_steps = Some(total_steps.unwrap_or(0).max(self.number).clamp(1, STEPS_MAX));
        body.percent = percent.or(body.percent);
        body.message = message.or(body.message.take());
        body.metadata.extend(metadata);
    }

    /// What is told next belongs to this step: the current one, or the next. Where too many wait already
    /// those in between are passed over.
    fn begin(&mut self, name: String, number: Option<u32>) {
        let another = name != self.step || number.is_some_and(|number| number != self.number);
        if !another && !self.steps.is_empty() {
            return;
        }
        if another {
            self.number = number.unwrap_or(self.number + 1);
        }
        self.step.clone_from(&name);
        if !another || self.steps.len() < WAITING_MAX {
            self.steps.push_back(Step::default());
        }
        if let Some(body) = self.steps.back_mut() {
            body.name = name;
            body.step = Some(self.number.max(1));
        }
    }
}

pub(super) fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, percent: f64) -> ParsedLine {
        ParsedLine { step: Some(name.to_owned()), percent: Some(percent), ..ParsedLine::default() }
    }

    #[test]
    fn what_changes_in_one_step_is_told_at_once_and_steps_in_their_order() {
        let mut pending = Pending::default();
        pending.told(ParsedLine { percent: Some(1.0), ..ParsedLine::default() });
        for told in [step("a", 10.0), step("a", 20.0), step("b", 30.0)] {
            pending.told(told);
        }
        let told: Vec<_> = pending.steps.iter().map(|step| (step.name.as_str(), step.percent)).collect();
        assert_eq!(told, [("run", Some(1.0)), ("a", Some(20.0)), ("b", Some(30.0))]);
        assert_eq!(pending.steps.back().and_then(|step| step.total_steps), Some(3));
    }

    #[test]
    fn a_step_with_a_number_is_told_by_it_and_the_newest_is_never_passed_over() {
        let mut pending = Pending::default();
        let numbered = |number: u32| ParsedLine {
            step: Some(format!("compile {number}")),
            number: Some(number),
            total_steps: Some(12_000),
            ..ParsedLine::default()
        };
        (7..=12_000).for_each(|number| pending.told(numbered(number)));
        let ends = [pending.steps.front(), pending.steps.back()].map(|step| {
            let step = step.expect("a step");
            (step.name.as_str(), step.step, step.total_steps)
        });
        assert_eq!(ends[0], ("compile 7", Some(7), Some(12_000)));
        assert_eq!(ends[1], ("compile 12000", Some(12_000), Some(12_000)));
        assert_eq!(pending.steps.len(), WAITING_MAX);
    }

    #[test]
    fn what_waits_for_the_server_is_bounded_and_numbers_tell_what_went() {
        let mut pending = Pending::default();
        for number in 0..LINES_MAX + 10 {
            pending.line(false, &number.to_string());
            pending.told(step(&number.to_string(), 0.0));
        }
        assert_eq!((pending.lines.len(), pending.steps.len()), (LINES_MAX, WAITING_MAX));
        assert_eq!((pending.lines[0].number, pending.lines[0].text.as_str()), (11, "10"));
    }

    #[test]
    fn lines_that_could_not_be_told_wait_in_their_place_or_give_way_to_newer_ones() {
        let mut pending = Pending::default();
        let numbers = |pending: &Pending| pending.lines.iter().map(|line| line.number).collect::<Vec<_>>();
        (0..3).for_each(|_| pending.line(true, "x"));
        let batch = pending.batch();
        pending.line(false, "y");
        pending.put_back(batch);
        assert_eq!(numbers(&pending), [1, 2, 3, 4]);
        assert_eq!(pending.lines[0].body(), json!({ "stream": "err", "text": "x" }));
        let batch = pending.batch();
        (0..LINES_MAX + 1).for_each(|_| pending.line(false, "z"));
        pending.put_back(batch);
        assert_eq!(pending.lines.front().map(|line| line.number), Some(6));
        pending.lines.clear();
        let long = "x".repeat(LINE_CHARS_MAX);
        (0..100).for_each(|_| pending.line(false, &long));
        assert_eq!(pending.batch().len(), BATCH_BYTES_MAX / LINE_CHARS_MAX);
    }

    #[test]
    fn a_job_that_was_taken_for_dead_is_revived_by_the_step_it_is_in() {
        let mut pending = Pending::default();
        pending.revive();
        let named = |name: &str| Some(Step { name: name.to_owned(), ..Step::default() });
        assert_eq!(pending.steps.pop_front(), named("run"));
        pending.told(step("a", 10.0));
        pending.steps.clear();
        pending.revive();
        assert_eq!(pending.steps.pop_front(), named("a"));
    }
}
