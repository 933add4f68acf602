//! The job of a command on the server: it is told of steps and output, and tells when somebody cancels it.

use std::{
    io::{BufRead as _, BufReader},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    end::{End, NOTHING, last_word, say},
    pending::{Line, Pending, lock},
};
use crate::cli::client::refusal;

/// How long the end is tried to be told to a server that is away.
const LAST_WORD_MAX: Duration = Duration::from_secs(30);
/// How long one request may take, and how long one stream is listened to: a server that is gone without a
/// word must not be waited for.
const REQUEST_MAX: Duration = Duration::from_secs(10);
const STREAM_MAX: Duration = Duration::from_secs(90);
/// After so long without a word of ours the server takes us for lost, and how often there is one.
const LEASE_MS: u64 = 30_000;
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How much of the command line the server takes: arguments, and characters of each.
const ARGUMENTS_MAX: usize = 256;
const ARGUMENT_CHARS_MAX: usize = 4000;

/// The job on the server.
pub(super) struct Job {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
    id: String,
    /// When the server last answered.
    answered: Mutex<Instant>,
}

impl Job {
    fn post(&self, path: &str, body: String) -> Result<Value, Refused> {
        let away = |error: ureq::Error| Refused::Away(error.to_string());
        let mut request =
            self.agent.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        let request = request.config().timeout_global(Some(REQUEST_MAX)).build();
        let mut response = request.send(body).map_err(away)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(away)?;
        match status {
            200..300 => {
                *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                Ok(serde_json::from_str(&text).unwrap_or_default())
            }
            429 | 500.. => Err(Refused::Away(refusal(status, &text))),
            404 | 409 => Err(Refused::Over),
            _ => Err(Refused::No(refusal(status, &text))),
        }
    }

    /// Starts a job on the server.
    pub(super) fn start(
        agent: ureq::Agent,
        url: String,
        authorization: Option<String>,
        title: &str,
        argv: &[String],
    ) -> Result<Self, String> {
        let mut job =
            Self { agent, url, authorization, id: String::new(), answered: Mutex::new(Instant::now()) };
        let argument = |text: &String| text.chars().take(ARGUMENT_CHARS_MAX).collect::<String>();
        let argv: Vec<String> = argv.iter().take(ARGUMENTS_MAX).map(argument).collect();
        let body = json!({ "title": title, "total_steps": 1, "argv": argv, "lease_ms": LEASE_MS });
        let state = job.post("/api/progress", body.to_string()).map_err(|refused| match refused {
            Refused::Away(why) | Refused::No(why) => format!("{}: {why}", job.url),
            Refused::Over => format!("{}: there is no jobs API; see --url", job.url),
        })?;
        job.id = state["session_id"].as_str().unwrap_or_default().to_owned();
        Ok(job)
    }

    /// Where people look at it.
    pub(super) fn page(&self) -> String {
        format!("{}/jobs/{}", self.url, self.id)
    }

    /// Says that we are still here, if nothing else has for a while.
    fn stay(&self) {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.elapsed() >= ALIVE_EVERY {
            // If the server is away it will not take us for lost; if the job is over, others hear of it.
            let _refused = self.post(&format!("/api/progress/{}/alive", self.id), NOTHING.to_owned());
        }
    }

    /// Tells what there is. What could not be told for now goes back.
    pub(super) fn tell(&self, pending: &Mutex<Pending>) {
        let path = format!("/api/jobs/{}/log", self.id);
        loop {
            let batch = lock(pending).batch();
            let Some(first) = batch.first().map(|line| line.number) else { break };
            let lines: Vec<Value> = batch.iter().map(Line::body).collect();
            let body = json!({ "first": first, "lines": lines });
            if let Err(Refused::Away(_)) = self.post(&path, body.to_string()) {
                lock(pending).put_back(batch);
                return;
            }
        }
        let mut steps = std::mem::take(&mut lock(pending).steps);
        while let Some(step) = steps.front() {
            let told = self.post(&format!("/api/progress/{}/step", self.id), step.body());
            if let Err(Refused::Away(_)) = told {
                let mut pending = lock(pending);
                steps.append(&mut pending.steps);
                pending.steps = steps;
                return;
            }
            steps.pop_front();
        }
        self.stay();
    }

    /// The end, if need be again and again for a while.
    pub(super) fn end(&self, end: &End, program: &str, pending: &Mutex<Pending>) {
        let until = Instant::now() + LAST_WORD_MAX;
        let (path, mut body) = last_word(end, program, &mut lock(pending));
        loop {
            self.tell(pending);
            match self.post(&format!("/api/progress/{}/{path}", self.id), body.clone()) {
                // Over: cancelled or forgotten by somebody, and that is its end.
                Ok(_) | Err(Refused::Over) => return,
                Err(Refused::Away(_)) if Instant::now() < until => std::thread::sleep(Duration::from_secs(1)),
                Err(Refused::No(why)) if body != NOTHING && path == "complete" => {
                    say(&format!("the result is left out: {why}"));
                    body = NOTHING.to_owned();
                }
                Err(Refused::Away(why) | Refused::No(why)) => {
                    return say(&format!("the server did not hear of the end: {why}"));
                }
            }
        }
    }

    /// Waits until somebody cancels the job; comes again when the stream ends.
    pub(super) fn watch(&self, pending: &Mutex<Pending>, cancelled: &CancellationToken) {
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
    // What else is in there is others' JSON, and need not be a value of ours.
    #[derive(Deserialize)]
    struct State<'a> {
        status: &'a str,
    }
    serde_json::from_str::<State<'_>>(data).is_ok_and(|state| state.status == "interrupted")
}

enum Refused {
    /// It may go well later.
    Away(String),
    /// It will not.
    No(String),
    /// The job has ended by somebody's wish, or is forgotten.
    Over,
}
