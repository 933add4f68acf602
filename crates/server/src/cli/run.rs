//! `anywire run -- COMMAND…`: the command runs here, and whoever has the link watches it on the server.
//!
//! ```text
//! command ──lines──▶ this terminal
//!            └─────▶ parser ──▶ pending ──4 times a second──▶ server: steps, output
//! server ──"cancelled" (SSE)──▶ the command is ended
//! ```
//! A server that is away for a while is no reason to end the command: what it misses is kept, bounded, and told when it is back.
//!
//! Knows: the jobs API. Does not know: how a server works.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anywire_jobs::{Ended, Parser, ParserKind, Start, Supervisor, Told, read_lines};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    RunArgs,
    client::{agent, authorization, refusal},
};

/// How often the server is told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How long the end is tried to be told to a server that is away.
const LAST_WORD_MAX: Duration = Duration::from_secs(30);
/// How long the command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How many lines wait for the server; before them the oldest go.
const LINES_MAX: usize = 2000;
/// How many steps wait for the server; more are passed over.
const STEPS_MAX: usize = 200;
/// The longest line the server takes, in characters.
const LINE_CHARS_MAX: usize = 8000;

/// What the server has not been told yet.
#[derive(Default)]
struct Pending {
    lines: VecDeque<String>,
    cut: u64,
    /// Steps in their order; the last gathers what changes.
    steps: VecDeque<Map<String, Value>>,
    /// The name of the step that was begun last, and how many were.
    step: String,
    count: u32,
    result: Option<Value>,
    error: Option<String>,
}

impl Pending {
    fn line(&mut self, line: &str) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.cut += 1;
        }
        self.lines.push_back(line.chars().take(LINE_CHARS_MAX).collect());
    }

    fn told(&mut self, told: Told) {
        let Told { step, total_steps, percent, message, metadata, result, error, .. } = told;
        self.result = result.or(self.result.take());
        self.error = error.or(self.error.take());
        let nothing = step.is_none() && percent.is_none() && message.is_none() && metadata.is_empty();
        if nothing {
            return;
        }
        let full = self.steps.len() >= STEPS_MAX;
        let unnamed = if self.step.is_empty() { "run".to_owned() } else { self.step.clone() };
        let name = step.filter(|name| !full || *name == self.step).unwrap_or(unnamed);
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
        let mut response = request.send(body.to_string()).map_err(away)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(away)?;
        match status {
            200..300 => Ok(serde_json::from_str(&text).unwrap_or_default()),
            429 | 500.. => Err(Refused::Away(refusal(status, &text))),
            _ => Err(Refused::No(refusal(status, &text))),
        }
    }

    fn start(&mut self, title: &str, argv: &[String]) -> Result<(), String> {
        let body = json!({ "title": title, "total_steps": 1, "argv": argv });
        let state = self.post("/api/progress", &body).map_err(|refused| match refused {
            Refused::Away(why) | Refused::No(why) => format!("{}: {why}", self.url),
        })?;
        self.id = state["session_id"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Tells what there is. What could not be told for now goes back.
    fn tell(&self, pending: &Mutex<Pending>) {
        let (lines, cut, steps) = {
            let mut pending = lock(pending);
            (
                std::mem::take(&mut pending.lines),
                std::mem::take(&mut pending.cut),
                std::mem::take(&mut pending.steps),
            )
        };
        let mut words: Vec<&str> = lines.iter().map(String::as_str).collect();
        let said = format!("… {cut} lines cut");
        if cut > 0 {
            words.truncate(LINES_MAX - 1);
            words.insert(0, &said);
        }
        let path = format!("/api/jobs/{}/log", self.id);
        if !words.is_empty() && matches!(self.post(&path, &json!({ "lines": words })), Err(Refused::Away(_)))
        {
            let mut pending = lock(pending);
            let newer = std::mem::take(&mut pending.lines);
            pending.cut += cut;
            lines.iter().chain(&newer).for_each(|line| pending.line(line));
        }
        for (index, step) in steps.iter().enumerate() {
            let told = self.post(&format!("/api/progress/{}/step", self.id), &Value::Object(step.clone()));
            if matches!(told, Err(Refused::Away(_))) {
                let mut pending = lock(pending);
                for step in steps.iter().skip(index).rev() {
                    pending.steps.push_front(step.clone());
                }
                return;
            }
        }
    }

    /// The end, if need be again and again for a while.
    fn end(&self, ended: &Ended, program: &str, pending: &Mutex<Pending>) {
        let until = Instant::now() + LAST_WORD_MAX;
        let (path, body) = {
            let pending = lock(pending);
            match (ended, &pending.error) {
                (Ended::Exited(0), None) => ("complete", json!({ "result": pending.result })),
                (_, Some(error)) => ("fail", json!({ "error": error })),
                _ => ("fail", json!({ "error": words(ended, program) })),
            }
        };
        loop {
            self.tell(pending);
            match self.post(&format!("/api/progress/{}/{path}", self.id), &body) {
                Ok(_) => return,
                Err(Refused::Away(_)) if Instant::now() < until => std::thread::sleep(Duration::from_secs(1)),
                Err(Refused::Away(why) | Refused::No(why)) => {
                    // Cancelled by somebody: then that is its end.
                    tracing::debug!(why);
                    return;
                }
            }
        }
    }

    /// Waits until somebody cancels the job; comes again when the stream ends.
    fn watch(&self, cancelled: &CancellationToken) {
        let mut last = None;
        loop {
            if self.stream(&mut last) {
                return cancelled.cancel();
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn stream(&self, last: &mut Option<String>) -> bool {
        let mut request = self.agent.get(format!("{}/api/video-progress/{}", self.url, self.id));
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        if let Some(last) = last.as_ref() {
            request = request.header("Last-Event-ID", last);
        }
        let Ok(mut response) = request.call() else { return false };
        for line in BufReader::new(response.body_mut().as_reader()).lines().map_while(Result::ok) {
            if let Some(cursor) = line.strip_prefix("id: ") {
                *last = Some(cursor.to_owned());
            }
            if line == "event: cancelled" {
                return true;
            }
        }
        false
    }
}

enum Refused {
    /// It may go well later.
    Away(String),
    /// It will not.
    No(String),
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
    eprintln!("anywire: live at {}/jobs/{}", job.url, job.id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime could not start: {error}"))?;
    let job = Arc::new(job);
    let (ended, pending) = runtime.block_on(follow(args, parser, &job))?;
    job.end(&ended, &argv[0], &pending);
    if !matches!(ended, Ended::Exited(0)) {
        eprintln!("anywire: {}", words(&ended, &argv[0]));
    }
    Ok(ExitCode::from(match ended {
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
) -> Result<(Ended, Arc<Mutex<Pending>>), String> {
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
    watch_all_the_while(Arc::clone(job), stop.clone());
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some((is_error, line)) => {
                    show(is_error, &line);
                    let told = parser.read(&line);
                    let mut pending = lock(&pending);
                    if !told.hidden {
                        pending.line(&line);
                    }
                    pending.told(told);
                }
                None => break,
            },
            _ = tokio::signal::ctrl_c() => stop.cancel(),
        }
    }
    let ended = ended.await.map_err(|error| error.to_string())?;
    done.cancel();
    let _told = teller.join();
    Ok((ended, pending))
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
fn watch_all_the_while(job: Arc<Job>, stop: CancellationToken) {
    std::thread::spawn(move || job.watch(&stop));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, percent: f64) -> Told {
        Told { step: Some(name.to_owned()), percent: Some(percent), ..Told::default() }
    }

    #[test]
    fn what_changes_in_one_step_is_told_at_once_and_steps_in_their_order() {
        let mut pending = Pending::default();
        pending.told(Told { percent: Some(1.0), ..Told::default() });
        for told in [step("a", 10.0), step("a", 20.0), step("b", 30.0)] {
            pending.told(told);
        }
        let told: Vec<_> =
            pending.steps.iter().map(|step| (step["name"].clone(), step["percent"].clone())).collect();
        assert_eq!(told, [(json!("run"), json!(1.0)), (json!("a"), json!(20.0)), (json!("b"), json!(30.0))]);
        assert_eq!(pending.steps.back().map(|step| step["total_steps"].clone()), Some(json!(3)));
    }

    #[test]
    fn what_waits_for_the_server_is_bounded_and_the_cut_is_counted() {
        let mut pending = Pending::default();
        for number in 0..LINES_MAX + 10 {
            pending.line(&number.to_string());
            pending.told(step(&number.to_string(), 0.0));
        }
        assert_eq!((pending.lines.len(), pending.cut, pending.steps.len()), (LINES_MAX, 10, STEPS_MAX));
        assert_eq!(pending.lines[0], "10");
    }
}
