//! Child processes that never outlive the benchmark.
//!
//! Three nets: `Drop` stops the child (also when a panic unwinds), [`stop_all_on_interrupt`] does on Ctrl-C
//! and SIGTERM, and each child asks the kernel for a signal when the benchmark dies in any other way. That
//! last one needs a call in the child before `exec`; so a child is this binary's hidden `launch` command,
//! which also binds the processor and raises the limit of open files, and then becomes the program.

use crate::failure::{Context, Failure, Outcome};
use crate::machine;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a child may take to end in order before it is killed.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// What has to go when the benchmark is interrupted.
static LEFT_BEHIND: Mutex<Vec<Leftover>> = Mutex::new(Vec::new());

#[derive(Debug, PartialEq, Eq)]
enum Leftover {
    Process(u32),
    Folder(PathBuf),
}

fn remember(leftover: Leftover) {
    LEFT_BEHIND.lock().expect("nothing panics while it holds the list").push(leftover);
}

fn forget(leftover: &Leftover) {
    LEFT_BEHIND.lock().expect("nothing panics while it holds the list").retain(|one| one != leftover);
}

/// How a child is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Name in messages and of the log file.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// The processor it is bound to.
    pub(crate) processor: Option<usize>,
    /// Ends in order on SIGTERM and has children of its own to take along (nginx); others are killed.
    pub(crate) gentle: bool,
}

/// A started child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    process: Child,
    gentle: bool,
    log: PathBuf,
    lines: Receiver<String>,
}

impl Plan {
    /// Starts the child with its standard error in `target/bench/<name>.log`.
    pub(crate) fn start(&self) -> Outcome<Running> {
        let folder = machine::bench_folder();
        std::fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
        let log = folder.join(format!("{}.log", self.name));
        let errors = File::create(&log).context(format_args!("cannot create {}", log.display()))?;
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let mut process = self
            .command(&own)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context(format_args!("cannot start {}", self.name))?;
        remember(Leftover::Process(process.id()));
        let output = process.stdout.take().expect("standard output was asked for as a pipe");
        Ok(Running { gentle: self.gentle, log, lines: forward(output), process })
    }

    fn command(&self, own: &Path) -> Command {
        let mut command = Command::new(own);
        command.arg("launch");
        if let Some(processor) = self.processor {
            command.arg("--processor").arg(processor.to_string());
        }
        if self.gentle {
            command.arg("--gentle");
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        // Ctrl-C in a terminal goes to the whole group; the benchmark alone decides when its children end.
        command.process_group(0);
        command
    }
}

/// Reads the child's output all the time, so that it never blocks on a full pipe.
fn forward(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    let mut lines: Lines<BufReader<ChildStdout>> = BufReader::new(output).lines();
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            // Nobody may be listening any more; the pipe has to be emptied all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The child's standard input.
    pub(crate) fn input(&mut self) -> Option<ChildStdin> {
        self.process.stdin.take()
    }

    /// Waits for the first line that `wanted` makes something of.
    ///
    /// # Errors
    /// If the child ends first or says nothing of the kind in time.
    pub(crate) fn wait_for<T>(&self, within: Duration, wanted: impl Fn(&str) -> Option<T>) -> Outcome<T> {
        let until = Instant::now() + within;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => match wanted(&line) {
                    Some(found) => return Ok(found),
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => return Err(self.silent("said nothing in time")),
                Err(RecvTimeoutError::Disconnected) => return Err(self.silent("ended")),
            }
        }
    }

    fn silent(&self, what: &str) -> Failure {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        let last = last.into_iter().rev().collect::<Vec<_>>().join(" / ");
        Failure::new(format!("it {what}; its log {} ends: {last}", self.log.display()))
    }

    /// Kills the child at once and waits until it is gone: what a crash looks like to its clients.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        forget(&Leftover::Process(self.process.id()));
    }

    fn end_in_order(&mut self) {
        signal(self.process.id(), Signal::TERM);
        let until = Instant::now() + STOP_WAIT;
        while Instant::now() < until && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.gentle {
            self.end_in_order();
        }
        self.kill();
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// A folder for a server's data, removed with its contents when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder in `target/bench`, on the disk the project is on.
    pub(crate) fn new(name: &str) -> Outcome<Self> {
        remove_stale();
        let path = machine::bench_folder().join(format!("data-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).context(format_args!("cannot create {}", path.display()))?;
        remember(Leftover::Folder(path.clone()));
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        forget(&Leftover::Folder(self.0.clone()));
    }
}

/// Removes folders of benchmarks that were killed and could not do it themselves.
fn remove_stale() {
    let Ok(entries) = std::fs::read_dir(machine::bench_folder()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let owner = path.file_name().and_then(|name| name.to_str()?.strip_prefix("data-")?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// From now on Ctrl-C and SIGTERM end the children, remove their folders and end the benchmark.
pub(crate) fn stop_all_on_interrupt() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the thread that waits for Ctrl-C")?;
    std::thread::spawn(move || {
        if runtime.block_on(interrupted()).is_ok() {
            stop_all();
        }
    });
    Ok(())
}

async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

/// Ends everything and then this process. The list stays locked: whoever notices that a child is gone and
/// lets go of it waits here for the end, instead of reporting it.
fn stop_all() -> ! {
    let left = LEFT_BEHIND.lock().expect("nothing panics while it holds the list");
    for leftover in &*left {
        if let Leftover::Process(pid) = leftover {
            signal(*pid, Signal::TERM);
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    for leftover in &*left {
        match leftover {
            Leftover::Process(pid) => signal(*pid, Signal::KILL),
            Leftover::Folder(path) => drop(std::fs::remove_dir_all(path)),
        }
    }
    std::process::exit(130)
}

/// The hidden `launch` command.
#[derive(Debug, clap::Args)]
pub(crate) struct Launch {
    #[arg(long)]
    processor: Option<usize>,
    #[arg(long)]
    gentle: bool,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the program; returns only if that fails.
pub(crate) fn launch(options: &Launch) -> Outcome<()> {
    let death = if options.gentle { Signal::TERM } else { Signal::KILL };
    set_parent_process_death_signal(Some(death)).context("cannot tie the child to its parent")?;
    if let Some(processor) = options.processor {
        machine::pin(processor).context(format_args!("cannot bind to processor {processor}"))?;
    }
    // Servers that need more say so themselves.
    machine::allow_connections(0)?;
    let failed = Command::new(&options.command[0]).args(&options.command[1..]).exec();
    Err(Failure::new(format!("cannot start {}: {failed}", options.command[0])))
}
