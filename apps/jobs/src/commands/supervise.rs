//! The process between the server and a command: it ends everything the command started, also when the server
//! is killed.
//!
//! It makes itself the reaper of its descendants, so a process whose parent has died comes to it, even one in
//! a session of its own. Its standard input is a socket to the server:
//!
//! ```text
//! server ▶ supervisor   the end of the stream, for whatever reason: stop
//! supervisor ▶ server   a line each: started <pid> · missing · unusable <why> · exited <code> ·
//!                       signalled <number>
//! ```
//! What the command is to read, if anything, comes first over that socket ([`super::handover`]).
//! Standard output and error are the command's own. Where the supervisor leads the session of a
//! terminal, the command is put into its foreground.
//!
//! Invariant: it ends only when no descendant is left.

use std::{
    ffi::OsString,
    io::Write as _,
    os::{
        fd::AsFd,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use rustix::{
    process::{
        Pid, Signal, WaitOptions, WaitStatus, getpid, getsid, kill_process, kill_process_group,
        set_child_subreaper, wait,
    },
    termios::tcsetpgrp,
};

use super::handover;

/// How often what refuses to die is killed again.
const AGAIN: Duration = Duration::from_millis(20);

/// What the threads tell.
enum News {
    /// Stop, or the server is gone.
    Stop,
    /// The command itself has ended.
    Ended(String),
    /// Nobody is left.
    Empty,
}

/// The command reads nothing.
pub(super) const NOTHING: &str = "nothing";
/// What the command reads comes over the socket.
pub(super) const INPUT: &str = "input";

/// `supervise <grace in ms> nothing|input <program> <argument>…`
pub(crate) fn supervise(arguments: Vec<OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let grace = arguments.next().and_then(|text| text.to_str()?.parse().ok()).map(Duration::from_millis);
    let reads = arguments.next();
    let (Some(grace), Some(reads), Some(program)) = (grace, reads, arguments.next()) else {
        eprintln!("supervise <grace in ms> {NOTHING}|{INPUT} <program> <argument>…");
        return ExitCode::from(2);
    };
    // A terminal that is closed tells the leader of its session; whoever started us ends what is to end.
    let hung_up = signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::default());
    let input =
        if reads == INPUT { handover::take(std::io::stdin()).map(Stdio::from) } else { Ok(Stdio::null()) };
    let input = match hung_up.and(input) {
        Ok(input) => input,
        Err(error) => {
            tell(&format!("unusable its input: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tell(&format!("unusable descendants cannot be kept: {error}"));
        return ExitCode::FAILURE;
    }
    let mut command = Command::new(&program);
    let spawned = command.args(arguments).stdin(input).process_group(0).spawn();
    // The streams that the command has are not held here.
    drop(command);
    match spawned {
        Ok(child) => {
            to_the_foreground(child.id());
            tell(&format!("started {}", child.id()));
            watch(child.id(), grace);
            ExitCode::SUCCESS
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tell("missing");
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(&format!("unusable {error}"));
            ExitCode::FAILURE
        }
    }
}

/// On a terminal of our own the command's group gets the keys. It may have asked for them already and been
/// stopped for that.
fn to_the_foreground(child: u32) {
    let Some(group) = i32::try_from(child).ok().and_then(Pid::from_raw) else { return };
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return };
    if getsid(None).is_ok_and(|session| session == getpid()) && tcsetpgrp(&terminal, group).is_ok() {
        let _gone = kill_process_group(group, Signal::CONT);
    }
}

/// The server may be gone: then there is nobody to tell.
fn tell(line: &str) {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return };
    let _gone = std::fs::File::from(socket).write_all(format!("{line}\n").as_bytes());
}

fn watch(main: u32, grace: Duration) {
    let (news, heard) = channel();
    let other = news.clone();
    std::thread::spawn(move || listen(&other));
    std::thread::spawn(move || reap(main, &news));
    let mut ended = None;
    let mut gone = false;
    // The command's end or the request for it, whichever is first. Both end everything else that it started.
    match heard.recv() {
        Ok(News::Ended(status)) => ended = Some(status),
        Ok(News::Empty) | Err(_) => gone = true,
        Ok(News::Stop) => {}
    }
    if !gone {
        end_all(&heard, grace, &mut ended);
    }
    tell(&ended.unwrap_or_else(|| "signalled 9".to_owned()));
}

/// The server says nothing on the socket: all that can come is its end.
fn listen(news: &Sender<News>) {
    let _end = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    let _over = news.send(News::Stop);
}

/// Waits for every descendant in turn.
fn reap(main: u32, news: &Sender<News>) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_nonzero().get()) == Ok(main) => {
                let _over = news.send(News::Ended(ending(status)));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _over = news.send(News::Empty);
}

fn ending(status: WaitStatus) -> String {
    let status = std::process::ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited {code}"),
        (None, signal) => format!("signalled {}", signal.unwrap_or(9)),
    }
}

/// Asks everybody to end, waits, and then does not ask any more.
fn end_all(heard: &Receiver<News>, grace: Duration, ended: &mut Option<String>) {
    let until = Instant::now() + grace;
    signal_all(Signal::TERM);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let killing = left.is_zero();
        if killing {
            signal_all(Signal::KILL);
        }
        match heard.recv_timeout(if killing { AGAIN } else { left }) {
            Ok(News::Empty) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(News::Ended(status)) => *ended = Some(status),
            Ok(News::Stop) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// A process that is gone meanwhile needs no signal.
fn signal_all(signal: Signal) {
    for pid in descendants(getpid()) {
        let _gone = kill_process(pid, signal);
    }
}

/// Children, their children, and so on: proc(5), the fourth field of `stat`.
fn descendants(of: Pid) -> Vec<Pid> {
    let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![of.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(one) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(pid, parent)| *parent == one && !found.contains(pid))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        next += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything, brackets too.
    let rest = &text[text.rfind(')')? + 1..];
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_and_its_child_are_descendants() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & echo up; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("a line");
        let own = i32::try_from(child.id()).expect("a pid");
        let below = descendants(Pid::from_raw(own).expect("a pid"));
        assert_eq!(below.len(), 1, "{below:?}");
        assert!(descendants(getpid()).contains(&below[0]));
        below.iter().for_each(|pid| kill_process(*pid, Signal::KILL).expect("killed"));
        child.kill().and_then(|()| child.wait()).expect("ended");
    }
}
