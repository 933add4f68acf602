//! Child processes: each in a group of its own, so that Ctrl-C ends everything that was started and nothing
//! else.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Failure;

const POLL: Duration = Duration::from_millis(25);
/// How long a group may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// Silence after which a long step says that it is still at work.
const REMIND: Duration = Duration::from_secs(20);

/// The same for a command that a person waits for.
const AT_WORK: Duration = Duration::from_secs(15);

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on Ctrl-C, a hang-up and SIGTERM are noted instead of ending us at once.
pub(crate) fn watch_signals() {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(flag)) {
            eprintln!("signal {signal} cannot be caught: {error}");
        }
    }
}

/// Whether the user wants it to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Waits, but not longer than the user wants. Answers whether the time ran out undisturbed.
pub(crate) fn pause(time: Duration) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if interrupted() {
            return false;
        }
        std::thread::sleep(POLL.min(until - Instant::now()));
    }
    !interrupted()
}

/// Whether a program is in the search path.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps daemons where an ordinary user's path does not look.
    let extra = ["/usr/sbin", "/sbin"].into_iter().map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A process and everything it starts. Dropping it ends the group.
pub(crate) struct Group {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Starts a command without standard input, in a group of its own.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        let child = child.map_err(|error| format!("{program} does not start: {error}"))?;
        Ok(Self { child, ended: None })
    }

    /// Its standard output, once.
    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end, calling `tick` all the while; an interruption ends it.
    pub(crate) fn wait(&mut self, mut tick: impl FnMut()) -> Result<ExitStatus, Failure> {
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if interrupted() {
                self.stop();
                return Err("interrupted".to_owned());
            }
            tick();
            std::thread::sleep(POLL);
        }
    }

    /// Asks the group to end, and kills it if it does not.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let until = Instant::now() + GRACE;
        while self.ended().is_none() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may be gone already; there is nothing to do about it.
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.stop();
        }
    }
}

/// Runs a command on our own terminal and reminds the user from time to time that it is at work.
pub(crate) fn watched(command: &mut Command, what: &str) -> Result<(), Failure> {
    let started = Instant::now();
    let mut said = started;
    let mut group = Group::start(command)?;
    let status = group.wait(|| {
        if said.elapsed() >= AT_WORK {
            said = Instant::now();
            println!("      … {what} is at work, {}", elapsed(started.elapsed()));
        }
    })?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status})")) }
}

/// What a command did.
pub(crate) struct Finished {
    /// Whether it ended with zero.
    pub(crate) success: bool,
    /// What it ended with; nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote, both streams in the order in which lines arrived.
    pub(crate) output: String,
}

/// Runs a command whose output passes through to ours and is kept as well.
pub(crate) fn tee(command: &mut Command) -> Result<Finished, Failure> {
    capture(command, Sink { through: true, file: None })
}

/// Runs a command whose output goes into a file as it comes, and is kept. It passes through to ours if that
/// is wanted.
pub(crate) fn record(command: &mut Command, file: &Path, through: bool) -> Result<Finished, Failure> {
    let opened = File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
    capture(command, Sink { through, file: Some(opened) })
}

/// Where lines go beside the text that is kept.
struct Sink {
    through: bool,
    file: Option<File>,
}

impl Sink {
    /// A reader of ours that went away, or a full disk, is no reason to end the command.
    fn write(&self, line: &[u8]) {
        if self.through {
            let mut out = io::stdout().lock();
            let _closed = out.write_all(line).and_then(|()| out.flush());
        }
        if let Some(mut file) = self.file.as_ref() {
            let _full = file.write_all(line);
        }
    }
}

fn capture(command: &mut Command, sink: Sink) -> Result<Finished, Failure> {
    let kept = Arc::new(Mutex::new(String::new()));
    let mut reminder = sink.through.then(|| Reminder::new(&kept));
    let sink = Arc::new(sink);
    let mut group = Group::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        group.child.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>),
        group.child.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>),
    ];
    let streams = streams.into_iter().flatten();
    let copiers: Vec<_> =
        streams.map(|stream| copy_lines(stream, Arc::clone(&kept), Arc::clone(&sink))).collect();
    let started = Instant::now();
    let ended = group.wait(|| reminder.iter_mut().for_each(|reminder| reminder.tick(started)));
    // What a daemon left behind still holds the pipes: it ends with the command that started it.
    group.signal(Signal::KILL);
    for copier in copiers {
        let _panicked = copier.join();
    }
    let status = ended?;
    let output = std::mem::take(&mut *kept.lock().expect("no copier panics while it holds the text"));
    Ok(Finished { success: status.success(), code: status.code(), output })
}

fn copy_lines(stream: Box<dyn Read + Send>, kept: Arc<Mutex<String>>, sink: Arc<Sink>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            sink.write(&line);
            if let Ok(mut kept) = kept.lock() {
                kept.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    })
}

/// Says that a silent step is still at work.
struct Reminder {
    kept: Arc<Mutex<String>>,
    length: usize,
    since: Instant,
}

impl Reminder {
    fn new(kept: &Arc<Mutex<String>>) -> Self {
        Self { kept: Arc::clone(kept), length: 0, since: Instant::now() }
    }

    fn tick(&mut self, started: Instant) {
        let length = self.kept.lock().map_or(0, |kept| kept.len());
        if length != self.length {
            self.length = length;
            self.since = Instant::now();
        } else if self.since.elapsed() >= REMIND {
            self.since = Instant::now();
            println!("  … still at work, {}", elapsed(started.elapsed()));
        }
    }
}

/// Passes a stream's lines on to ours and sends each to whoever asked. Sending stops when nobody listens.
pub(crate) fn forward(stream: impl Read + Send + 'static, heard: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            println!("{line}");
            let _nobody = heard.send(line);
        }
    });
}

/// A time as a person says it: `4.2 s`, `1 min 05 s`.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_both_streams_is_kept_and_the_exit_is_told() {
        let done = tee(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]));
        let done = done.expect("sh starts");
        assert_eq!((done.success, done.code), (false, Some(3)));
        let mut lines: Vec<_> = done.output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn what_is_recorded_is_in_the_file_and_kept() {
        let file = std::env::temp_dir().join(format!("anywire-xtask-{}.log", std::process::id()));
        let done = record(Command::new("sh").args(["-c", "echo one; echo two >&2"]), &file, false);
        let written = std::fs::read_to_string(&file).expect("the file is there");
        std::fs::remove_file(&file).expect("it is ours");
        assert_eq!(written.lines().count(), 2);
        assert_eq!(done.expect("sh starts").output.len(), written.len());
    }

    #[test]
    fn stopping_ends_the_whole_group() {
        let mut group =
            Group::start(Command::new("sh").args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped()))
                .expect("sh starts");
        let mut grandchild = String::new();
        BufReader::new(group.stdout().expect("piped")).read_line(&mut grandchild).expect("a line");
        group.stop();
        let gone = || std::fs::read_to_string(format!("/proc/{}/stat", grandchild.trim()));
        let until = Instant::now() + Duration::from_secs(30);
        while gone().is_ok_and(|stat| !stat.contains(") Z")) {
            assert!(Instant::now() < until, "the grandchild lives on");
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn times_read_as_a_person_says_them() {
        assert_eq!(elapsed(Duration::from_millis(4_249)), "4.2 s");
        assert_eq!(elapsed(Duration::from_secs(65)), "1 min 05 s");
    }
}
