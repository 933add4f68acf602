//! The directory: one process at a time, its epoch, and which of its files count.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anywire_log::Epoch;

use super::error::{OpenError, at};
use crate::embedded::{
    checkpoint, disk,
    segment::{file, read},
};

const LOCK_FILE: &str = "LOCK";
const META_FILE: &str = "meta";

pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    // Its name must not be lost in a crash either.
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    disk::sync_directory(parent.unwrap_or(Path::new(".")))
}

/// Takes the directory for this process.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = file.map_err(at(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { format!(" by process {}", holder.trim()) } else { String::new() };
            return Err(OpenError::Locked { directory: directory.to_owned(), holder });
        }
        Err(error) => return Err(at(&path)(error.into())),
    }
    // Only for the message to others; the lock itself is the system's.
    let _informative = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// The segments of a directory by base, without those that a rewritten one stands for. What was written half
/// is removed.
pub(super) fn list(directory: &Path) -> Result<Vec<(PathBuf, u64)>, OpenError> {
    let mut segments = Vec::new();
    let mut indexes = Vec::new();
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".tmp") {
            fs::remove_file(&path).map_err(at(&path))?;
        } else if let Some((base, generation)) = file::parse_name(name) {
            segments.push((base, generation, path));
        } else if name.ends_with(".idx") {
            indexes.push(path);
        }
    }
    let kept = without_replaced(segments)?;
    for index in indexes {
        if !kept.iter().any(|(path, _)| path.with_extension("idx") == index) {
            fs::remove_file(&index).map_err(at(&index))?;
        }
    }
    Ok(kept)
}

/// Removes segments that a rewritten one stands for.
fn without_replaced(mut segments: Vec<(u64, u32, PathBuf)>) -> Result<Vec<(PathBuf, u64)>, OpenError> {
    segments.sort_unstable();
    let mut covering = Vec::new();
    for (base, generation, path) in &segments {
        if *generation > 0
            && let Some(header) = read::header(path).map_err(at(path))?
        {
            covering.push((*base, header.covers, *generation));
        }
    }
    let mut kept = Vec::new();
    for (base, generation, path) in segments {
        let replaced = covering
            .iter()
            .any(|(from, through, newer)| (*from..=*through).contains(&base) && *newer > generation);
        if replaced {
            fs::remove_file(&path).map_err(at(&path))?;
        } else {
            kept.push((path, base));
        }
    }
    Ok(kept)
}

pub(super) fn epoch(directory: &Path, is_new: bool) -> Result<Epoch, OpenError> {
    let path = directory.join(META_FILE);
    if let Some(epoch) = checkpoint::read_epoch(&path)? {
        return Ok(epoch);
    }
    if !is_new {
        let detail = "it is missing, but there are segments";
        return Err(OpenError::Damaged { path, at: 0, detail });
    }
    let epoch = Epoch::random().map_err(at(&path))?;
    checkpoint::write_epoch(&path, epoch).map_err(at(&path))?;
    Ok(epoch)
}
