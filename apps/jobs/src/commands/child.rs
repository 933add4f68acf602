//! A command that runs under its supervisor, as the server sees it.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net,
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, ChildStdout, Command},
};
use tokio_util::sync::CancellationToken;

use super::{handover, supervise};

/// How long the supervisor may take beyond its own patience before it is killed itself.
const OVERDUE: Duration = Duration::from_secs(10);

/// The program that supervises, and its first argument.
#[derive(Debug, Clone)]
pub struct Supervisor {
    program: PathBuf,
    first: Option<&'static str>,
}

impl Supervisor {
    /// The configured one, or this program itself (proc(5)): its file may have been replaced meanwhile.
    #[must_use]
    pub fn new(configured: Option<&Path>) -> Self {
        match configured {
            Some(program) => Self { program: program.to_owned(), first: None },
            None => Self { program: PathBuf::from("/proc/self/exe"), first: Some("worker") },
        }
    }

    /// Its command line.
    pub(crate) fn argv(&self) -> Vec<OsString> {
        std::iter::once(self.program.clone().into()).chain(self.first.map(OsString::from)).collect()
    }
}

/// What is to be run, and where.
#[derive(Debug)]
pub struct Start<'a> {
    /// The program and its arguments.
    pub argv: &'a [OsString],
    /// The whole environment.
    pub environment: &'a [(OsString, OsString)],
    /// The working directory.
    pub directory: &'a Path,
    /// How long it may take to end when asked to.
    pub grace: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
    /// It never began: there is no such program.
    Missing,
    /// It never began, for this reason.
    Unusable(String),
}

/// A command that runs.
pub struct Running {
    supervisor: Child,
    grace: Duration,
    control: OwnedWriteHalf,
    words: Lines<BufReader<OwnedReadHalf>>,
}

/// What a command reads and writes where somebody sits at it.
#[derive(Default)]
pub struct Streams {
    /// What it reads; nothing by default.
    pub input: Option<OwnedFd>,
    /// Where it writes; by default what it writes comes out of a pipe.
    pub output: Option<OwnedFd>,
    /// Where it writes errors, likewise.
    pub error: Option<OwnedFd>,
    /// The terminal it runs on.
    pub terminal: Option<pty_process::Pts>,
}

/// Starts a command that reads nothing; what it writes comes out of the two pipes. Must be called inside a
/// tokio runtime.
///
/// # Errors
/// What the system says when there is no further process or descriptor, or the directory is not there.
pub(super) fn start(
    worker: &Supervisor,
    start: &Start<'_>,
) -> io::Result<(Running, ChildStdout, ChildStderr)> {
    let (running, stdout, stderr) = start_with(worker, start, Streams::default())?;
    let pipes = stdout.zip(stderr);
    let (stdout, stderr) = pipes.ok_or_else(|| io::Error::other("a pipe is missing"))?;
    Ok((running, stdout, stderr))
}

/// As [`start`], with streams of one's own; there are pipes for those that were not given.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    worker: &Supervisor,
    start: &Start<'_>,
    streams: Streams,
) -> io::Result<(Running, Option<ChildStdout>, Option<ChildStderr>)> {
    let (own, its) = net::UnixStream::pair()?;
    if let Some(input) = &streams.input {
        handover::give(&own, input.as_fd())?;
    }
    own.set_nonblocking(true)?;
    let (words, control) = UnixStream::from_std(own)?.into_split();
    let mut argv = worker.argv().into_iter();
    let mut command = Command::new(argv.next().unwrap_or_default());
    let reads = if streams.input.is_some() { supervise::INPUT } else { supervise::NOTHING };
    command
        .args(argv)
        .args(["supervise".into(), OsString::from(start.grace.as_millis().to_string()), reads.into()])
        .args(start.argv)
        .env_clear()
        .envs(start.environment.iter().cloned())
        .current_dir(start.directory);
    let stdio = [Stdio::from(OwnedFd::from(its)), pipe_or(streams.output), pipe_or(streams.error)];
    let mut supervisor = spawn(command, stdio, streams.terminal)?;
    let (stdout, stderr) = (supervisor.stdout.take(), supervisor.stderr.take());
    let words = BufReader::new(words).lines();
    Ok((Running { supervisor, grace: start.grace, control, words }, stdout, stderr))
}

fn pipe_or(given: Option<OwnedFd>) -> Stdio {
    given.map_or_else(Stdio::piped, Stdio::from)
}

/// On a terminal it leads a session of its own there; else it is only in a group of its own: a key press at
/// our terminal is for us, not for it.
fn spawn(
    mut command: Command,
    [stdin, stdout, stderr]: [Stdio; 3],
    terminal: Option<pty_process::Pts>,
) -> io::Result<Child> {
    let Some(terminal) = terminal else {
        return command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0).spawn();
    };
    let command = pty_process::Command::from(command).stdin(stdin).stdout(stdout).stderr(stderr);
    command.spawn(terminal).map_err(|error| match error {
        pty_process::Error::Io(error) => error,
        other => io::Error::other(other),
    })
}

impl Running {
    /// Waits until the command and everything it started is gone; it is asked to end when `stop` is
    /// cancelled.
    pub async fn ended(self, stop: CancellationToken) -> Ended {
        let Self { mut supervisor, grace, control, mut words } = self;
        let mut control = Some(control);
        let (mut ended, mut group) = (None, None);
        let overdue = tokio::time::sleep(Duration::from_secs(u64::from(u32::MAX)));
        tokio::pin!(overdue);
        loop {
            tokio::select! {
                word = words.next_line() => match word {
                    Ok(Some(word)) => record(&word, &mut group, &mut ended),
                    _ => break,
                },
                () = stop.cancelled(), if control.is_some() => {
                    // The end of the socket asks the supervisor to stop.
                    control = None;
                    overdue.as_mut().reset(tokio::time::Instant::now() + grace + OVERDUE);
                }
                () = &mut overdue => {
                    tracing::error!("the supervisor of a command does not end and is killed");
                    let _gone = supervisor.start_kill();
                    break;
                }
            }
        }
        let _status = supervisor.wait().await;
        ended.unwrap_or_else(|| abandoned(group))
    }
}

fn record(line: &str, group: &mut Option<i32>, ended: &mut Option<Ended>) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "started" => *group = rest.parse().ok(),
        "exited" => *ended = Some(Ended::Exited(rest.parse().unwrap_or(-1))),
        "signalled" => *ended = Some(Ended::Signalled(rest.parse().unwrap_or(9))),
        "missing" => *ended = Some(Ended::Missing),
        _ => *ended = Some(Ended::Unusable(rest.to_owned())),
    }
}

/// Somebody killed the supervisor: what can still be reached is killed here.
fn abandoned(group: Option<i32>) -> Ended {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = group.and_then(Pid::from_raw) {
        let _gone = kill_process_group(group, Signal::KILL);
    }
    Ended::Unusable("its supervisor was killed".to_owned())
}
