//! What goes through between whoever sits here and the command: every byte as it is. The lines for the
//! server are read from a copy.

use std::{io, os::fd::AsFd};

use anywire_jobs::{Lines, Running, Start, Streams, Supervisor, start_with};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc::{self, Receiver, Sender},
};

use super::terminal::{OnTerminal, Session, Terminal};

/// How many bytes are handed on at once.
const CHUNK_BYTES: usize = 16 << 10;
/// How many lines wait for being told.
const LINES_WAITING: usize = 256;

/// A command that runs here.
pub(super) struct Local {
    pub(super) running: Running,
    /// Its lines, and whether each came out of standard error.
    pub(super) lines: Receiver<(bool, String)>,
    /// The terminal it has taken over, if there is one.
    pub(super) session: Option<Session>,
}

impl Local {
    /// Starts a command that reads and writes what this program does: terminals become one of its own,
    /// anything else stays what it is.
    pub(super) fn start(start: &Start<'_>) -> io::Result<Self> {
        let on = OnTerminal::look();
        let worker = Supervisor::new(None);
        let (sender, lines) = mpsc::channel(LINES_WAITING);
        let input = |pts: Option<&pty_process::Pts>| match pts.filter(|_| on.input) {
            Some(pts) => pts.as_fd().try_clone_to_owned(),
            None => io::stdin().as_fd().try_clone_to_owned(),
        };
        if !on.any() {
            let streams = Streams { input: Some(input(None)?), ..Streams::default() };
            let (running, stdout, stderr) = start_with(&worker, start, streams)?;
            hand_on_pipe(stdout, file(io::stdout())?, false, &sender);
            hand_on_pipe(stderr, file(io::stderr())?, true, &sender);
            return Ok(Self { running, lines, session: None });
        }
        let (terminal, pts) = Terminal::open(on)?;
        let copy = |wanted: bool| wanted.then(|| pts.as_fd().try_clone_to_owned()).transpose();
        let streams = Streams {
            input: Some(input(Some(&pts))?),
            output: copy(on.output)?,
            error: copy(on.error)?,
            terminal: None,
        };
        let (running, stdout, stderr) =
            start_with(&worker, start, Streams { terminal: Some(pts), ..streams })?;
        let (screen, session) = terminal.connect(on)?;
        hand_on_pipe(stdout, file(io::stdout())?, false, &sender);
        hand_on_pipe(stderr, file(io::stderr())?, true, &sender);
        if on.output {
            hand_on(screen, file(io::stdout())?, false, sender);
        } else {
            hand_on(screen, file(io::stderr())?, on.error, sender);
        }
        Ok(Self { running, lines, session: Some(session) })
    }
}

/// One of our own streams, written to without holding anybody up.
fn file(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from_std(std::fs::File::from(stream.as_fd().try_clone_to_owned()?)))
}

fn hand_on_pipe(
    pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
    to: File,
    is_error: bool,
    sender: &Sender<(bool, String)>,
) {
    if let Some(pipe) = pipe {
        hand_on(pipe, to, is_error, sender.clone());
    }
}

/// Hands bytes on until there are no more, or nobody takes them: then whoever writes is told so, as
/// without us.
fn hand_on(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: File,
    is_error: bool,
    sender: Sender<(bool, String)>,
) {
    tokio::spawn(async move {
        let mut lines = Lines::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            // A pseudo-terminal ends with an error.
            let count = from.read(&mut chunk).await.unwrap_or(0);
            let mut found = Vec::new();
            match &chunk[..count] {
                [] => lines.finish(|line| found.push(line)),
                bytes => {
                    if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
                        return;
                    }
                    lines.push(bytes, |line| found.push(line));
                }
            }
            for line in found {
                if sender.send((is_error, line)).await.is_err() {
                    return;
                }
            }
            if count == 0 {
                return;
            }
        }
    });
}
