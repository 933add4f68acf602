//! The directory: one process at a time, its epoch, and which of its files count.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anywire_log::Epoch;

use super::error::{OpenError, at};
use crate::embedded::{
    checkpoint::{self, Meta},
    disk,
    manifest::{Listed, Manifest},
    segment::{file, layout::SEGMENT_HEADER_BYTES, read},
};

const LOCK_FILE: &str = "LOCK";
pub(crate) const META_FILE: &str = "meta";

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
pub(crate) fn lock(directory: &Path) -> Result<File, OpenError> {
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

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    pub(crate) base: u64,
    pub(crate) generation: u32,
    pub(crate) path: PathBuf,
}

/// What is in a directory.
pub(crate) struct Listing {
    /// The segments, by base.
    pub(crate) segments: Vec<SegmentFile>,
    indexes: Vec<PathBuf>,
    /// What was written half.
    unfinished: Vec<PathBuf>,
}

/// Looks into a directory.
pub(crate) fn list(directory: &Path) -> Result<Listing, OpenError> {
    let mut listing = Listing { segments: Vec::new(), indexes: Vec::new(), unfinished: Vec::new() };
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".tmp") {
            listing.unfinished.push(path);
        } else if let Some((base, generation)) = file::parse_name(name) {
            listing.segments.push(SegmentFile { base, generation, path });
        } else if file::is_index(&path) {
            listing.indexes.push(path);
        }
    }
    listing.segments.sort_unstable_by_key(|one| (one.base, one.generation));
    Ok(listing)
}

impl Listing {
    /// Takes the files that the manifest names; returns the segments that are missing. What it does not name
    /// was removed or rewritten before a crash, or never written to, and goes, unless something is missing.
    pub(super) fn hold_to(&mut self, manifest: &Manifest, path: &Path) -> Result<Vec<Listed>, OpenError> {
        let is_there = |listed: &&Listed| {
            self.segments.iter().any(|one| (one.base, one.generation) == (listed.base, listed.generation))
        };
        let missing: Vec<_> = manifest.segments.iter().filter(|listed| !is_there(listed)).copied().collect();
        if !missing.is_empty() {
            return Ok(missing);
        }
        let newest = manifest.segments.iter().map(|listed| listed.base).max().unwrap_or_default();
        let is_named = |one: &SegmentFile| manifest.find(one.base, one.generation).is_some();
        for other in self.segments.iter().filter(|one| !is_named(one) && one.base > newest) {
            if holds_anything(&other.path).map_err(at(&other.path))? {
                let detail = "it is older than the newest segment in the directory";
                return Err(OpenError::Damaged { path: path.to_owned(), at: 0, detail });
            }
        }
        let (named, others): (Vec<_>, Vec<_>) = self.segments.drain(..).partition(is_named);
        self.segments = named;
        others.iter().try_for_each(|other| fs::remove_file(&other.path).map_err(at(&other.path)))?;
        Ok(Vec::new())
    }

    /// Removes segments that a rewritten one stands for.
    pub(super) fn drop_replaced(&mut self) -> Result<(), OpenError> {
        let mut covering = Vec::new();
        for one in self.segments.iter().filter(|one| one.generation > 0) {
            if let Some(header) = read::header(&one.path).map_err(at(&one.path))? {
                covering.push((one.base..=header.covers, one.generation));
            }
        }
        let is_replaced = |one: &SegmentFile| {
            covering.iter().any(|(bases, newer)| bases.contains(&one.base) && *newer > one.generation)
        };
        let (replaced, kept): (Vec<_>, Vec<_>) = self.segments.drain(..).partition(is_replaced);
        self.segments = kept;
        replaced.iter().try_for_each(|one| fs::remove_file(&one.path).map_err(at(&one.path)))
    }

    /// Whether a rewritten segment stands for one with this base.
    pub(super) fn stands_for(&self, base: u64) -> bool {
        let rewritten = self.segments.iter().filter(|one| one.generation > 0 && one.base <= base);
        let mut headers = rewritten.filter_map(|one| read::header(&one.path).ok().flatten());
        headers.any(|header| header.covers >= base)
    }

    /// Removes index files whose segment is not there, and what was written half.
    pub(super) fn drop_strays(&self) -> Result<(), OpenError> {
        let has_segment =
            |index: &&PathBuf| self.segments.iter().any(|one| one.path.with_extension("idx") == **index);
        let stray = self.indexes.iter().filter(|index| !has_segment(index)).chain(&self.unfinished);
        stray.into_iter().try_for_each(|index| fs::remove_file(index).map_err(at(index)))
    }
}

/// Whether anything stands in a segment behind its header.
fn holds_anything(path: &Path) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    Ok(bytes.iter().skip(SEGMENT_HEADER_BYTES).any(|byte| *byte != 0))
}

/// What the directory is. A new one is given an epoch.
pub(super) fn meta(directory: &Path, is_new: bool, of_segments: Option<Epoch>) -> Result<Meta, OpenError> {
    let path = directory.join(META_FILE);
    if let Some(meta) = checkpoint::read_meta(&path)? {
        if of_segments.is_some_and(|epoch| epoch != meta.epoch) {
            let detail = "it names another log than the segments do";
            return Err(OpenError::Damaged { path, at: 0, detail });
        }
        return Ok(meta);
    }
    if !is_new {
        let detail = "it is missing, but there are segments";
        return Err(OpenError::Damaged { path, at: 0, detail });
    }
    let meta = Meta { epoch: Epoch::random().map_err(at(&path))?, has_manifest: false };
    write_meta(directory, meta)?;
    Ok(meta)
}

pub(super) fn write_meta(directory: &Path, meta: Meta) -> Result<(), OpenError> {
    let path = directory.join(META_FILE);
    checkpoint::write_meta(&path, meta).map_err(at(&path))
}

/// The log that all segments of a directory say they belong to.
pub(crate) fn epoch_of_segments(listing: &Listing) -> Option<Epoch> {
    let mut epochs = listing.segments.iter().filter_map(|one| read::header(&one.path).ok().flatten());
    let first = epochs.next()?.epoch;
    epochs.all(|header| header.epoch == first).then(|| Epoch::new(first))
}
