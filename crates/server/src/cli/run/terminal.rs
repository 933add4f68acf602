//! The terminal that `anywire run` sits at, and the pseudo-terminal on which it puts the command instead of
//! itself: keys go to the command as they are, what it draws comes back as it is.

use std::{
    io::{self, IsTerminal, Read as _},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pty_process::{OwnedReadPty, OwnedWritePty, Pts, Pty, Size};
use rustix::termios::{
    OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};
use tokio::{
    io::AsyncWriteExt as _,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// How many key presses wait for a command that does not read.
const KEYS_WAITING: usize = 64;
/// What Ctrl-C sends where nobody has set another key.
const CONTROL_C: u8 = 3;

/// Which of our standard streams are a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnTerminal {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) error: bool,
}

impl OnTerminal {
    pub(super) fn look() -> Self {
        let input = io::stdin();
        // In the background of a shell the keys are not for us.
        let foreground = tcgetpgrp(&input).is_ok_and(|group| group == rustix::process::getpgrp());
        Self {
            input: input.is_terminal() && foreground,
            output: io::stdout().is_terminal(),
            error: io::stderr().is_terminal(),
        }
    }

    pub(super) fn any(self) -> bool {
        self.input || self.output || self.error
    }
}

/// The pseudo-terminal, and our own in the meantime.
pub(super) struct Terminal {
    pub(super) screen: OwnedReadPty,
    keys: OwnedWritePty,
    _raw: Option<Raw>,
    /// Somebody pressed Ctrl-C.
    pub(super) interrupted: Arc<AtomicBool>,
}

impl Terminal {
    /// A pseudo-terminal like ours: its size, and what its keys mean. While it stands, keys that are pressed
    /// here mean nothing here.
    pub(super) fn open(on: OnTerminal) -> io::Result<(Self, Pts)> {
        let (pty, pts) = pty_process::open().map_err(io::Error::other)?;
        let raw = with_ours(on, |ours| {
            let mode = tcgetattr(ours)?;
            tcsetattr(&pts, OptionalActions::Now, &without_suspension(mode.clone()))?;
            resize(&pty, ours)?;
            if on.input { Raw::set(mode).map(Some) } else { Ok(None) }
        })?;
        let (screen, keys) = pty.into_split();
        Ok((Self { screen, keys, _raw: raw, interrupted: Arc::default() }, pts))
    }

    /// Hands on what is typed and how large the window is; what is left is the screen, and our terminal
    /// until it is dropped.
    pub(super) fn connect(self, on: OnTerminal) -> io::Result<(OwnedReadPty, Session)> {
        let Self { screen, keys, _raw, interrupted } = self;
        let (sender, typed) = mpsc::channel(KEYS_WAITING);
        if on.input {
            let interrupted = Arc::clone(&interrupted);
            // It ends with the process: reading a terminal cannot be given up.
            std::thread::spawn(move || read_keys(&sender, &interrupted));
        }
        let windows = signal(SignalKind::window_change())?;
        tokio::spawn(hand_on(keys, typed, windows, on));
        Ok((screen, Session { _raw, interrupted }))
    }
}

/// Our terminal as it stands while the command has the keys.
pub(super) struct Session {
    _raw: Option<Raw>,
    interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Whether somebody pressed Ctrl-C.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Ours is whatever of our streams is one.
fn with_ours<T>(on: OnTerminal, work: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
    match on {
        OnTerminal { output: true, .. } => work(io::stdout().as_fd()),
        OnTerminal { error: true, .. } => work(io::stderr().as_fd()),
        OnTerminal { .. } => work(io::stdin().as_fd()),
    }
}

/// Nobody here could wake a command that is suspended by a key.
fn without_suspension(mut mode: Termios) -> Termios {
    mode.special_codes[SpecialCodeIndex::VSUSP] = 0;
    mode
}

fn resize(pty: &Pty, ours: BorrowedFd<'_>) -> io::Result<()> {
    pty.resize(size(ours)?).map_err(io::Error::other)
}

fn size(ours: BorrowedFd<'_>) -> io::Result<Size> {
    let size = tcgetwinsize(ours)?;
    Ok(Size::new_with_pixel(size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel))
}

fn read_keys(sender: &mpsc::Sender<Vec<u8>>, interrupted: &AtomicBool) {
    let mut chunk = [0; 4096];
    loop {
        match io::stdin().read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                let typed = &chunk[..count];
                interrupted.fetch_or(typed.contains(&CONTROL_C), Ordering::Relaxed);
                if sender.blocking_send(typed.to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

async fn hand_on(
    mut keys: OwnedWritePty,
    mut typed: mpsc::Receiver<Vec<u8>>,
    mut windows: tokio::signal::unix::Signal,
    on: OnTerminal,
) {
    loop {
        tokio::select! {
            bytes = typed.recv() => {
                // Without keys the window still changes.
                let Some(bytes) = bytes else { break };
                if keys.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            changed = windows.recv() => {
                if changed.is_none() || resized(&keys, on).is_err() {
                    return;
                }
            }
        }
    }
    while windows.recv().await.is_some() && resized(&keys, on).is_ok() {}
}

fn resized(keys: &OwnedWritePty, on: OnTerminal) -> io::Result<()> {
    with_ours(on, |ours| keys.resize(size(ours)?).map_err(io::Error::other))
}

/// Our terminal in raw mode; it is as before once this is dropped.
struct Raw(Termios);

impl Raw {
    fn set(before: Termios) -> io::Result<Self> {
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
