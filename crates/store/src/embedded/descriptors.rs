//! File descriptors in reserve: sockets may take every other one, and the log can still open its next file.
//!
//! Invariant: what the store opens while it runs, it opens by these functions.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::io::Errno;

/// How many descriptors are kept: more than the store opens at once for one step.
const SPARES: usize = 4;
/// How often a step is tried when others take what was given back before the step does.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// Descriptors belong to the process, whatever number of logs it has.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Takes descriptors into reserve, as far as there are any. Cost: one lock when the reserve is full.
pub(crate) fn keep_spares() {
    fill(&mut HELD.lock());
}

fn fill(held: &mut Vec<File>) {
    while held.len() < SPARES {
        let Ok(file) = File::open("/dev/null") else { return };
        held.push(file);
    }
}

/// Opens a file to read it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    with_spares(|| File::open(path))
}

/// Opens a file as the options say.
pub(crate) fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
    with_spares(|| options.open(path))
}

/// Reads a file whole.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn are_used_up(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| number == Some(errno.raw_os_error()))
}

/// Opens something, with the reserve if there is no other descriptor.
fn with_spares<T>(opening: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let opened = opening();
    if !opened.as_ref().is_err_and(are_used_up) {
        return opened;
    }
    // Locked, so that one step of the store does not take what another gave back.
    let mut held = HELD.lock();
    let mut opened = opened;
    for _ in 0..TRIES {
        held.clear();
        opened = opening();
        if !opened.as_ref().is_err_and(are_used_up) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    fill(&mut held);
    opened
}
