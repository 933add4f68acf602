//! Verifies a log that is not in use, whole, and says what would be lost; changes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anywire_log::{Epoch, Offset};

use crate::embedded::{
    checkpoint::{self, Checkpoint},
    manifest::{Listed, MANIFEST_FILE, Manifest},
    recovery::{
        OpenError,
        directory::{self, META_FILE, SegmentFile},
    },
    segment::{error::FileError, file::Segment, layout::SegmentHeader, read, scan, segment_index},
    shared::CHECKPOINT_FILE,
    synced::Synced,
};

/// What a log holds, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// How many segments could be read.
    pub segments: usize,
    /// How many events stand in them.
    pub events: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub detail: String,
    /// The offsets that are lost by it, first and last; none if nothing is. Zero as the last where nobody
    /// knows how far the log went.
    pub lost: Option<(Offset, Offset)>,
}

/// Verifies the log in a directory. Cost: everything in it is read once.
///
/// # Errors
/// [`OpenError`] if a server has it open, or it cannot be read at all.
pub fn check(directory: &Path) -> Result<Checked, OpenError> {
    let _lock = directory::lock(directory)?;
    let listing = directory::list(directory)?;
    let mut check = Check { checked: Checked::default(), synced: Synced::read(directory) };
    let meta_path = directory.join(META_FILE);
    let meta = match checkpoint::read_meta(&meta_path) {
        Ok(Some(meta)) => Some(meta),
        Ok(None) => {
            check.found(&meta_path, "it is missing", None);
            None
        }
        Err(error) => check.tell(&meta_path, error)?,
    };
    let of_segments = directory::epoch_of_segments(&listing);
    let Some(epoch) = of_segments.or(meta.map(|meta| meta.epoch)) else { return Ok(check.checked) };
    if meta.is_some_and(|meta| meta.epoch != epoch) {
        check.found(&meta_path, "it names another log than the segments do", None);
    }
    let manifest_path = directory.join(MANIFEST_FILE);
    let manifest = match Manifest::read(&manifest_path, epoch) {
        Ok(None) if meta.is_some_and(|meta| meta.has_manifest) => {
            check.found(&manifest_path, "it is missing", None);
            None
        }
        Ok(manifest) => manifest,
        Err(error) => check.tell(&manifest_path, error)?,
    };
    check.checkpoint(directory, epoch, manifest.as_ref())?;
    check.segments(directory, &listing.segments, epoch, manifest.as_ref())?;
    Ok(check.checked)
}

struct Check {
    checked: Checked,
    synced: Option<Synced>,
}

impl Check {
    fn found(&mut self, path: &Path, detail: impl Into<String>, lost: Option<(u64, u64)>) {
        let lost = lost.map(|(first, last)| (Offset::new(first), Offset::new(last)));
        self.checked.findings.push(Finding { path: path.to_owned(), detail: detail.into(), lost });
    }

    /// Takes damage as a finding; what the system refuses ends the check.
    fn tell<T>(&mut self, path: &Path, error: FileError) -> Result<Option<T>, OpenError> {
        match error {
            FileError::Damaged { at, detail, .. } => {
                self.found(path, format!("{detail} (byte {at})"), None);
                Ok(None)
            }
            FileError::Io { .. } => Err(error.into()),
        }
    }

    fn checkpoint(
        &mut self,
        directory: &Path,
        epoch: Epoch,
        manifest: Option<&Manifest>,
    ) -> Result<(), OpenError> {
        let path = directory.join(CHECKPOINT_FILE);
        let known = manifest.map_or(0, |manifest| manifest.checkpoint);
        match Checkpoint::read(&path, epoch) {
            Ok(Some(read)) if read.number < known => self.found(&path, "it is an older copy", None),
            Ok(None) if known > 0 => self.found(&path, "it is missing", None),
            Ok(_) => {}
            Err(error) => drop(self.tell::<()>(&path, error)?),
        }
        Ok(())
    }

    fn segments(
        &mut self,
        directory: &Path,
        files: &[SegmentFile],
        epoch: Epoch,
        manifest: Option<&Manifest>,
    ) -> Result<(), OpenError> {
        for loss in manifest.iter().flat_map(|manifest| &manifest.losses) {
            let lost = (loss.first.get(), loss.last.get());
            self.found(directory, format!("lost earlier, and accepted: {}", loss.place), Some(lost));
        }
        let listed = manifest.map_or(&[][..], |manifest| &manifest.segments);
        let is_there = |one: &Listed| {
            files.iter().any(|file| (file.base, file.generation) == (one.base, one.generation))
        };
        for missing in listed.iter().filter(|one| !is_there(one)) {
            let last = self.end_of(missing.salt, Some(missing));
            self.found(&directory.join(missing.file_name()), "it is missing", Some((missing.base, last)));
        }
        for (at, file) in files.iter().enumerate() {
            let is_last = at + 1 == files.len();
            let listed = manifest.and_then(|manifest| manifest.find(file.base, file.generation));
            if manifest.is_some() && listed.is_none() && !is_last {
                // Removed or rewritten; a crash came before the file went.
                continue;
            }
            self.segment(file, listed, epoch, is_last)?;
        }
        Ok(())
    }

    /// The last offset that stood in a segment; zero if nobody knows.
    fn end_of(&self, salt: u64, listed: Option<&Listed>) -> u64 {
        let noted = self.synced.filter(|synced| synced.salt == salt).map(|synced| synced.used);
        listed.and_then(|listed| listed.seal).map(|seal| seal.through).or(noted).unwrap_or_default()
    }

    fn segment(
        &mut self,
        file: &SegmentFile,
        listed: Option<&Listed>,
        epoch: Epoch,
        is_last: bool,
    ) -> Result<(), OpenError> {
        let io = |source| OpenError::Io { path: file.path.clone(), source };
        let bytes = fs::read(&file.path).map_err(io)?;
        let whole = |check: &Self, salt| Some((file.base, check.end_of(salt, listed)));
        let Some(header) = SegmentHeader::decode(&bytes) else {
            let lost = whole(self, listed.map_or(0, |listed| listed.salt));
            self.found(&file.path, "its header is not readable by this version", lost);
            return Ok(());
        };
        let is_another = listed.is_some_and(|listed| listed.salt != header.salt);
        if header.epoch != epoch.get() || header.base != file.base || is_another {
            let lost = whole(self, listed.map_or(header.salt, |listed| listed.salt));
            self.found(&file.path, "it is not the file that was written there", lost);
            return Ok(());
        }
        let seal = listed.and_then(|listed| listed.seal);
        let synced = self.synced.filter(|synced| synced.salt == header.salt).map_or(0, |synced| synced.bytes);
        let expected = seal.map_or(0, |seal| seal.bytes).max(synced);
        let contents = match scan::scan(&file.path, &bytes, &header, is_last) {
            Ok(contents) if contents.length >= expected => contents,
            _ => scan::salvage(&bytes, &header, expected),
        };
        self.checked.segments += 1;
        self.checked.bytes += contents.length;
        self.checked.events += contents.entries.values().map(|entries| entries.len() as u64).sum::<u64>();
        for lost in &contents.lost {
            let last = lost.last.unwrap_or_else(|| self.end_of(header.salt, listed));
            let detail = format!("it cannot be read from byte {} on", lost.at);
            self.found(&file.path, detail, Some((lost.first, last)));
        }
        if !is_last {
            self.index(&header, &file.path, contents.length)?;
        }
        Ok(())
    }

    /// A damaged index is no loss: it is made again.
    fn index(&mut self, header: &SegmentHeader, path: &Path, log_bytes: u64) -> Result<(), OpenError> {
        let segment = Segment::new(*header, path.to_owned(), log_bytes);
        let index = segment.index_path();
        let io = |source| OpenError::Io { path: index.clone(), source };
        let again = "it is made again from its segment";
        match read::summary(&segment, log_bytes).map_err(io)? {
            None => self.found(&index, format!("it is missing or damaged; {again}"), None),
            Some(summary) => {
                let bytes = fs::read(&index).map_err(io)?;
                let blocks = usize::try_from(summary.blocks_at).ok().and_then(|from| bytes.get(from..));
                let blocks = blocks.unwrap_or_default().chunks(segment_index::BLOCK_BYTES);
                let is_sound = |block: &[u8]| {
                    block.try_into().is_ok_and(|block| segment_index::decode_block(block).is_some())
                };
                if !blocks.into_iter().all(is_sound) {
                    self.found(&index, format!("an entry of it is damaged; {again}"), None);
                }
            }
        }
        Ok(())
    }
}
