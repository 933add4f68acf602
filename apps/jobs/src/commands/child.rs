//! A command that runs under its supervisor, as the server sees it.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net},
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

/// Starts a command; what it writes comes out of the two pipes. Must be called inside a tokio runtime.
///
/// # Errors
/// What the system says when there is no further process or descriptor, or the directory is not there.
pub fn start(worker: &Supervisor, start: &Start<'_>) -> io::Result<(Running, ChildStdout, ChildStderr)> {
    let (own, its) = net::UnixStream::pair()?;
    own.set_nonblocking(true)?;
    let (words, control) = UnixStream::from_std(own)?.into_split();
    let mut argv = worker.argv().into_iter();
    let mut command = Command::new(argv.next().unwrap_or_default());
    command
        .args(argv)
        .args(["supervise".into(), OsString::from(start.grace.as_millis().to_string())])
        .args(start.argv)
        .env_clear()
        .envs(start.environment.iter().cloned())
        .current_dir(start.directory)
        .stdin(Stdio::from(OwnedFd::from(its)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A key press at our terminal is for us, not for it.
        .process_group(0);
    let mut supervisor = command.spawn()?;
    let pipes = supervisor.stdout.take().zip(supervisor.stderr.take());
    let (stdout, stderr) = pipes.ok_or_else(|| io::Error::other("a pipe is missing"))?;
    let words = BufReader::new(words).lines();
    Ok((Running { supervisor, grace: start.grace, control, words }, stdout, stderr))
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
