//! `anywire run -- COMMAND…`: the command runs here, and whoever has the link watches it on the server.
//!
//! ```text
//! command ──lines──▶ this terminal
//!            └─────▶ parser ──▶ pending ──4 times a second──▶ server: steps, output
//! server ──"cancelled" (SSE)──▶ the command is ended
//! ```
//! A server that is away for a while is no reason to end the command: what it misses is kept, bounded, and
//! told when it is back. Lines are counted, so that those whose answer was lost may be told again, and a hole
//! is seen as one.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anywire_jobs::{Ended, ParsedLine, Parser, ParserKind, Start, Supervisor, read_lines};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::client::{ServerArgs, agent, authorization, refusal};

/// How often the server is told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How long the end is tried to be told to a server that is away.
const LAST_WORD_MAX: Duration = Duration::from_secs(30);
/// How long the command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// The step of a command that names none.
const ONLY_STEP: &str = "run";
/// How long one request may take, and how long one stream is listened to: a server that is gone without a
/// word must not be waited for.
const REQUEST_MAX: Duration = Duration::from_secs(10);
const STREAM_MAX: Duration = Duration::from_secs(90);
/// How many lines wait for the server; before them the oldest go.
const LINES_MAX: usize = 2000;
/// How much of them one request brings, in bytes of text.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// How many steps wait for the server; more are passed over.
const STEPS_MAX: usize = 200;
/// The longest line the server takes, in characters.
const LINE_CHARS_MAX: usize = 8000;
/// How many of the last lines explain a failure, and how much of each.
const LAST_LINES: usize = 3;
const LAST_LINE_CHARS: usize = 300;
/// How much of the command line the server takes: arguments, and characters of each.
const ARGUMENTS_MAX: usize = 256;
const ARGUMENT_CHARS_MAX: usize = 4000;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// What people call it. Default: the command line.
    #[arg(long)]
    title: Option<String>,
    /// How its output becomes progress: lines, json or ffmpeg.
    #[arg(long, default_value = "lines")]
    parser: String,
    /// A regular expression with groups named step, percent, message, or done and total.
    #[arg(long, value_name = "REGEX")]
    pattern: Option<String>,
    /// The command and its arguments, after `--`.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

/// One line of the command, numbered from 1.
struct Line {
    number: u64,
    is_error: bool,
    text: String,
}

impl Line {
    fn body(&self) -> Value {
        if self.is_error { json!({ "stream": "err", "text": self.text }) } else { json!(self.text) }
    }
}

/// What the server has not been told yet.
#[derive(Default)]
struct Pending {
    lines: VecDeque<Line>,
    /// How many lines there were.
    counted: u64,
    /// Steps in their order; the last gathers what changes.
    steps: VecDeque<Map<String, Value>>,
    /// The name of the step that was begun last, and how many were.
    step: String,
    count: u32,
    result: Option<Value>,
    error: Option<String>,
    /// The last lines: they explain a failure.
    last: VecDeque<String>,
}

impl Pending {
    fn line(&mut self, is_error: bool, line: &str) {
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
    fn batch(&mut self) -> Vec<Line> {
        let mut bytes = 0;
        let fits = |line: &&Line| {
            bytes += line.text.len();
            bytes <= BATCH_BYTES_MAX
        };
        let count = self.lines.iter().take_while(fits).count();
        self.lines.drain(..count).collect()
    }

    /// The server was away: these wait again, unless newer lines have taken their place.
    fn put_back(&mut self, batch: Vec<Line>) {
        let next = batch.last().map(|line| line.number + 1);
        if self.lines.front().map(|line| line.number).is_none_or(|first| Some(first) == next) {
            batch.into_iter().rev().for_each(|line| self.lines.push_front(line));
            self.keep_newest();
        }
    }

    /// The server took the job for dead while it was away: any step revives it.
    fn revive(&mut self) {
        if self.steps.is_empty() {
            let name = self.unnamed();
            self.steps.push_back(Map::from_iter([("name".to_owned(), Value::String(name))]));
        }
    }

    fn unnamed(&self) -> String {
        if self.step.is_empty() { ONLY_STEP.to_owned() } else { self.step.clone() }
    }

    fn told(&mut self, told: ParsedLine) {
        let ParsedLine { step, total_steps, percent, message, metadata, result, error, .. } = told;
        self.result = result.or(self.result.take());
        self.error = error.or(self.error.take());
        let nothing = step.is_none() && percent.is_none() && message.is_none() && metadata.is_empty();
        if nothing {
            return;
        }
        let full = self.steps.len() >= STEPS_MAX;
        let name = step.filter(|name| !full || *name == self.step).unwrap_or_else(|| self.unnamed());
        if name != self.step || self.steps.is_empty() {
            self.count += u32::from(name != self.step);
            self.step.clone_from(&name);
            self.steps.push_back(Map::from_iter([("name".to_owned(), Value::String(name))]));
        }
        let Some(body) = self.steps.back_mut() else { return };
        // More steps than were promised are no reason to refuse one.
        body.insert("total_steps".to_owned(), json!(total_steps.unwrap_or(0).max(self.count).clamp(1, 1000)));
        body.extend(percent.map(|percent| ("percent".to_owned(), json!(percent))));
        body.extend(message.map(|message| ("message".to_owned(), json!(message))));
        if !metadata.is_empty() {
            body.insert("metadata".to_owned(), Value::Object(metadata));
        }
    }
}

/// The job on the server.
struct Job {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
    id: String,
}

impl Job {
    fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        let away = |error: ureq::Error| Refused::Away(error.to_string());
        let mut request =
            self.agent.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        let request = request.config().timeout_global(Some(REQUEST_MAX)).build();
        let mut response = request.send(body.to_string()).map_err(away)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(away)?;
        match status {
            200..300 => Ok(serde_json::from_str(&text).unwrap_or_default()),
            429 | 500.. => Err(Refused::Away(refusal(status, &text))),
            404 | 409 => Err(Refused::Over),
            _ => Err(Refused::No(refusal(status, &text))),
        }
    }

    fn start(&mut self, title: &str, argv: &[String]) -> Result<(), String> {
        let argument = |text: &String| text.chars().take(ARGUMENT_CHARS_MAX).collect::<String>();
        let argv: Vec<String> = argv.iter().take(ARGUMENTS_MAX).map(argument).collect();
        let body = json!({ "title": title, "total_steps": 1, "argv": argv });
        let state = self.post("/api/progress", &body).map_err(|refused| match refused {
            Refused::Away(why) | Refused::No(why) => format!("{}: {why}", self.url),
            Refused::Over => format!("{}: there is no jobs API; see --url", self.url),
        })?;
        self.id = state["session_id"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Tells what there is. What could not be told for now goes back.
    fn tell(&self, pending: &Mutex<Pending>) {
        let path = format!("/api/jobs/{}/log", self.id);
        loop {
            let batch = lock(pending).batch();
            let Some(first) = batch.first().map(|line| line.number) else { break };
            let lines: Vec<Value> = batch.iter().map(Line::body).collect();
            if let Err(Refused::Away(_)) = self.post(&path, &json!({ "first": first, "lines": lines })) {
                lock(pending).put_back(batch);
                return;
            }
        }
        let steps = std::mem::take(&mut lock(pending).steps);
        for (index, step) in steps.iter().enumerate() {
            let told = self.post(&format!("/api/progress/{}/step", self.id), &Value::Object(step.clone()));
            if let Err(Refused::Away(_)) = told {
                let mut pending = lock(pending);
                for step in steps.iter().skip(index).rev() {
                    pending.steps.push_front(step.clone());
                }
                return;
            }
        }
    }

    /// The end, if need be again and again for a while.
    fn end(&self, end: &End, program: &str, pending: &Mutex<Pending>) {
        let until = Instant::now() + LAST_WORD_MAX;
        let (path, mut body) = last_word(end, program, &mut lock(pending));
        loop {
            self.tell(pending);
            match self.post(&format!("/api/progress/{}/{path}", self.id), &body) {
                // Over: cancelled or forgotten by somebody, and that is its end.
                Ok(_) | Err(Refused::Over) => return,
                Err(Refused::Away(_)) if Instant::now() < until => std::thread::sleep(Duration::from_secs(1)),
                Err(Refused::No(why)) if body != json!({}) && path == "complete" => {
                    say(&format!("the result is left out: {why}"));
                    body = json!({});
                }
                Err(Refused::Away(why) | Refused::No(why)) => {
                    return say(&format!("the server did not hear of the end: {why}"));
                }
            }
        }
    }

    /// Waits until somebody cancels the job; comes again when the stream ends.
    fn watch(&self, pending: &Mutex<Pending>, cancelled: &CancellationToken) {
        let mut last = None;
        loop {
            if self.stream(&mut last, pending) {
                return cancelled.cancel();
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn stream(&self, last: &mut Option<String>, pending: &Mutex<Pending>) -> bool {
        let mut request = self.agent.get(format!("{}/api/video-progress/{}", self.url, self.id));
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        if let Some(last) = last.as_ref() {
            request = request.header("Last-Event-ID", last);
        }
        let request = request.config().timeout_global(Some(STREAM_MAX)).build();
        let Ok(mut response) = request.call() else { return false };
        for line in BufReader::new(response.body_mut().as_reader()).lines().map_while(Result::ok) {
            if let Some(cursor) = line.strip_prefix("id: ") {
                *last = Some(cursor.to_owned());
            }
            if line == "event: cancelled" {
                return true;
            }
            if line.strip_prefix("data: ").is_some_and(is_interrupted) {
                lock(pending).revive();
            }
        }
        false
    }
}

fn is_interrupted(data: &str) -> bool {
    serde_json::from_str::<Value>(data).is_ok_and(|state| state["status"] == "interrupted")
}

/// How it ended, and whether because somebody here wanted it to.
struct End {
    ended: Ended,
    by_hand: bool,
}

fn last_word(end: &End, program: &str, pending: &mut Pending) -> (&'static str, Value) {
    match (&end.ended, pending.error.take()) {
        _ if end.by_hand => ("cancel", json!({})),
        (Ended::Exited(0), None) => ("complete", json!({ "result": pending.result })),
        (_, Some(error)) => ("fail", json!({ "error": error })),
        (ended, None) => {
            let why = [words(ended, program), Vec::from(std::mem::take(&mut pending.last)).join(" / ")];
            let said = why.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(": ");
            ("fail", json!({ "error": said }))
        }
    }
}

/// For whoever sits at the terminal; nobody may.
fn say(words: &str) {
    use std::io::Write as _;
    let _gone = writeln!(std::io::stderr(), "anywire: {words}");
}

enum Refused {
    /// It may go well later.
    Away(String),
    /// It will not.
    No(String),
    /// The job has ended by somebody's wish, or is forgotten.
    Over,
}

fn lock(pending: &Mutex<Pending>) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(ended: &Ended, program: &str) -> String {
    match ended {
        Ended::Exited(code) => format!("{program} ended with status {code}"),
        Ended::Signalled(signal) => format!("{program} was ended by signal {signal}"),
        Ended::Missing => format!("there is no program {program} here"),
        Ended::Unusable(why) => format!("{program} could not be run: {why}"),
    }
}

/// Runs the command; its status is ours.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode, String> {
    let kind = match args.parser.as_str() {
        "lines" => ParserKind::Lines,
        "json" => ParserKind::Json,
        "ffmpeg" => ParserKind::Ffmpeg,
        other => return Err(format!("--parser is {other:?}; use lines, json or ffmpeg, or give --pattern")),
    };
    let kind = if args.pattern.is_some() { ParserKind::Pattern } else { kind };
    let parser = Parser::new(kind, args.pattern.as_deref()).map_err(|error| error.to_string())?;
    let argv: Vec<String> = args.command.iter().map(|one| one.to_string_lossy().into_owned()).collect();
    let title = args.title.clone().unwrap_or_else(|| argv.join(" ").chars().take(120).collect());
    let url = args.server.url.trim_end_matches('/').to_owned();
    let mut job = Job { agent: agent(), url, authorization: authorization(&args.server), id: String::new() };
    job.start(&title, &argv)?;
    say(&format!("live at {}/jobs/{}", job.url, job.id));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime could not start: {error}"))?;
    let job = Arc::new(job);
    let (end, pending) = runtime.block_on(follow(args, parser, &job))?;
    job.end(&end, &argv[0], &pending);
    if !matches!(end.ended, Ended::Exited(0)) {
        say(&words(&end.ended, &argv[0]));
    }
    Ok(ExitCode::from(match end.ended {
        Ended::Exited(code) => u8::try_from(code).unwrap_or(1),
        Ended::Signalled(signal) => u8::try_from(128 + signal).unwrap_or(1),
        Ended::Missing => 127,
        Ended::Unusable(_) => 126,
    }))
}

async fn follow(
    args: &RunArgs,
    mut parser: Parser,
    job: &Arc<Job>,
) -> Result<(End, Arc<Mutex<Pending>>), String> {
    let mut asked = Asked::new().map_err(|error| format!("signals cannot be heard: {error}"))?;
    let environment: Vec<_> = std::env::vars_os().collect();
    let directory = std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?;
    let start = Start { argv: &args.command, environment: &environment, directory: &directory, grace: GRACE };
    let started = anywire_jobs::start(&Supervisor::new(None), &start);
    let (running, stdout, stderr) =
        started.map_err(|error| format!("the command could not be started: {error}"))?;
    let stop = CancellationToken::new();
    let ended = tokio::spawn(running.ended(stop.clone()));
    let (sender, mut lines) = tokio::sync::mpsc::channel(256);
    let _readers = [read_lines(stdout, false, sender.clone()), read_lines(stderr, true, sender)];
    let pending = Arc::new(Mutex::new(Pending::default()));
    let done = CancellationToken::new();
    let teller = tell_all_the_while(Arc::clone(job), Arc::clone(&pending), done.clone());
    watch_all_the_while(Arc::clone(job), Arc::clone(&pending), stop.clone());
    let mut by_hand = false;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some((is_error, line)) => take(&mut parser, &pending, is_error, &line),
                None => break,
            },
            () = asked.any() => {
                by_hand = true;
                stop.cancel();
            }
        }
    }
    let ended = ended.await.map_err(|error| error.to_string())?;
    done.cancel();
    let _told = teller.join();
    Ok((End { ended, by_hand }, pending))
}

/// The ways in which a terminal asks a program to end.
struct Asked([Signal; 3]);

impl Asked {
    fn new() -> std::io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn take(parser: &mut Parser, pending: &Mutex<Pending>, is_error: bool, line: &str) {
    show(is_error, line);
    let told = parser.read(line);
    let mut pending = lock(pending);
    if !told.hidden {
        pending.line(is_error, line);
    }
    pending.told(told);
}

fn show(is_error: bool, line: &str) {
    use std::io::Write as _;
    // Nobody may be reading: the command goes on.
    let _gone =
        if is_error { writeln!(std::io::stderr(), "{line}") } else { writeln!(std::io::stdout(), "{line}") };
}

fn tell_all_the_while(
    job: Arc<Job>,
    pending: Arc<Mutex<Pending>>,
    done: CancellationToken,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !done.is_cancelled() {
            job.tell(&pending);
            std::thread::sleep(TELL_EVERY);
        }
    })
}

/// Ends with the process.
fn watch_all_the_while(job: Arc<Job>, pending: Arc<Mutex<Pending>>, stop: CancellationToken) {
    std::thread::spawn(move || job.watch(&pending, &stop));
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
        let told: Vec<_> =
            pending.steps.iter().map(|step| (step["name"].clone(), step["percent"].clone())).collect();
        assert_eq!(told, [(json!("run"), json!(1.0)), (json!("a"), json!(20.0)), (json!("b"), json!(30.0))]);
        assert_eq!(pending.steps.back().map(|step| step["total_steps"].clone()), Some(json!(3)));
    }

    #[test]
    fn what_waits_for_the_server_is_bounded_and_numbers_tell_what_went() {
        let mut pending = Pending::default();
        for number in 0..LINES_MAX + 10 {
            pending.line(false, &number.to_string());
            pending.told(step(&number.to_string(), 0.0));
        }
        assert_eq!((pending.lines.len(), pending.steps.len()), (LINES_MAX, STEPS_MAX));
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
        assert_eq!(pending.steps.pop_front(), Some(Map::from_iter([("name".to_owned(), json!("run"))])));
        pending.told(step("a", 10.0));
        pending.steps.clear();
        pending.revive();
        assert_eq!(pending.steps.pop_front().map(|step| step["name"].clone()), Some(json!("a")));
    }

    #[test]
    fn the_last_word_says_who_ended_it() {
        let end = |ended, by_hand| End { ended, by_hand };
        let mut pending = Pending { result: Some(json!(7)), ..Pending::default() };
        assert_eq!(last_word(&end(Ended::Signalled(15), true), "x", &mut pending).0, "cancel");
        assert_eq!(
            last_word(&end(Ended::Exited(0), false), "x", &mut pending),
            ("complete", json!({ "result": 7 }))
        );
        pending.error = Some("no".to_owned());
        assert_eq!(
            last_word(&end(Ended::Exited(1), false), "x", &mut pending),
            ("fail", json!({ "error": "no" }))
        );
        let mut fails = |words: &str| {
            let expected = ("fail", json!({ "error": words }));
            assert_eq!(last_word(&end(Ended::Exited(1), false), "x", &mut pending), expected);
            (0..9).for_each(|number| pending.line(true, &number.to_string()));
        };
        fails("x ended with status 1");
        fails("x ended with status 1: 6 / 7 / 8");
    }
}
