//! `anywire run -- COMMAND…`: the command runs here, and whoever has the link watches it on the server.
//!
//! ```text
//! this terminal ◀──bytes──▶ command     on a pseudo-terminal where this is one
//!                    └──lines──▶ parser ──▶ pending ──4 times a second──▶ server: steps, output
//! server ──"cancelled" (SSE)──▶ the command is ended
//! ```
//! A server that is away for a while is no reason to end the command: what it misses is kept, bounded, and
//! told when it is back. Lines are counted, so that those whose answer was lost may be told again, and a hole
//! is seen as one.

mod end;
mod job;
mod pending;
mod streams;
mod terminal;

use std::{
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use anywire_jobs::{Ended, Parser, ParserKind, Start, cut};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::{
    end::{End, say, words},
    job::Job,
    pending::{Pending, lock},
    streams::Local,
};
use super::client::{ServerArgs, agent, authorization};

/// How often the server is told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How long the command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

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
    let title = args.title.clone().unwrap_or_else(|| cut(&argv.join(" "), 120));
    let url = args.server.url.trim_end_matches('/').to_owned();
    let job = Job::start(agent(), url, authorization(&args.server), &title, &argv)?;
    say(&format!("live at {}", job.page()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime could not start: {error}"))?;
    let job = Arc::new(job);
    let (end, pending) = runtime.block_on(follow(args, parser, &job))?;
    // Whatever still waits for a key or a reader is not waited for.
    runtime.shutdown_background();
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
    let started = Local::start(&start);
    let Local { running, mut lines, session } =
        started.map_err(|error| format!("the command could not be started: {error}"))?;
    let stop = CancellationToken::new();
    let ended = tokio::spawn(running.ended(stop.clone()));
    let pending = Arc::new(Mutex::new(Pending::default()));
    let done = CancellationToken::new();
    let teller = tell_all_the_while(Arc::clone(job), Arc::clone(&pending), done.clone());
    watch_all_the_while(Arc::clone(job), Arc::clone(&pending), stop.clone());
    let mut by_hand = false;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some((is_error, line)) => note(&mut parser, &pending, is_error, &line),
                None => break,
            },
            () = asked.any() => {
                by_hand = true;
                stop.cancel();
            }
        }
    }
    let ended = ended.await.map_err(|error| error.to_string())?;
    by_hand |= session.is_some_and(|session| session.interrupted()) && is_interrupt(&ended);
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

/// Ctrl-C on a terminal reaches the command itself; a shell says of a command that ended by it 128 and more.
fn is_interrupt(ended: &Ended) -> bool {
    const INTERRUPT: i32 = 2;
    matches!(ended, Ended::Signalled(INTERRUPT)) || *ended == Ended::Exited(128 + INTERRUPT)
}

fn note(parser: &mut Parser, pending: &Mutex<Pending>, is_error: bool, line: &str) {
    let told = parser.read(line);
    let mut pending = lock(pending);
    if !told.hidden {
        pending.line(is_error, line);
    }
    pending.told(told);
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
