//! The active segment: the one that is being written, and how far it is synced.

use std::{
    fs::OpenOptions,
    io,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::Timestamp;

use crate::embedded::{
    compaction::jobs::Sealed,
    config::EmbeddedConfig,
    disk::{self, AppendFile},
    segment::{
        file::{self, SPAN_MAX, Segment},
        layout::{Encoder, SEGMENT_HEADER_BYTES, Seed, SegmentHeader},
        segment_index::{KeyRecord, Notes},
    },
    shared::Shared,
};

/// How many keys of a segment are recorded; the window remembers no more.
const KEYS_MAX: usize = 100_000;

/// The segment that is being written.
pub(crate) struct ActiveSegment {
    pub(crate) segment: Arc<Segment>,
    /// What its index will say beside the entries.
    pub(crate) notes: Notes,
    file: AppendFile,
    /// Everything up to here is synced.
    length: u64,
    seed: Seed,
}

impl ActiveSegment {
    /// Goes on with a segment that ends at `length`; `file_bytes` is how long the file is with what is
    /// allocated ahead.
    pub(crate) fn open(
        segment: Arc<Segment>,
        notes: Notes,
        file_bytes: u64,
        config: &EmbeddedConfig,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&segment.path)?;
        let mut file = AppendFile::new(file, file_bytes, config.preallocate(), config.faults.clone());
        let length = segment.log_bytes.load(Ordering::Relaxed);
        if file_bytes < length {
            file.cut(length)?;
        }
        Ok(Self { seed: segment.header.seed(), segment, notes, file, length })
    }

    /// Makes an empty segment.
    pub(crate) fn create(header: SegmentHeader, config: &EmbeddedConfig) -> io::Result<Self> {
        let path = config.directory.join(file::file_name(header.base, header.generation));
        disk::replace(&path, &header.encode())?;
        let length = SEGMENT_HEADER_BYTES as u64;
        let notes = Notes { last_time: header.base_time, ..Notes::default() };
        Self::open(Arc::new(Segment::new(header, path, length)), notes, length, config)
    }

    pub(crate) fn encoder(&self) -> Encoder {
        let position = u32::try_from(self.length).expect("a segment is smaller than 4 GiB");
        Encoder { seed: self.seed, position }
    }

    /// Whether another segment should take so many bytes.
    pub(crate) fn is_full_with(&self, bytes: u64, next: u64, now: Timestamp, shared: &Shared) -> bool {
        let header = &self.segment.header;
        let base_time = Timestamp::from_millis(header.base_time);
        let holds_any = self.length > SEGMENT_HEADER_BYTES as u64;
        let too_long = self.length + bytes > shared.config.segment_bytes();
        let too_wide = next - header.base > SPAN_MAX || now.millis_since(base_time) > SPAN_MAX;
        (holds_any && too_long) || too_wide
    }

    /// Seals this segment and begins another, whose first offset is `base`.
    pub(crate) fn rotate(&mut self, base: u64, now: Timestamp, shared: &Shared) -> io::Result<()> {
        let header = file::new_header(shared.epoch.get(), base, now)?;
        let another = Self::create(header, &shared.config)?;
        let mut sealed = std::mem::replace(self, another);
        if let Err(error) = sealed.file.cut(sealed.length) {
            tracing::debug!(%error, "what was allocated ahead could not be given back");
        }
        let mut index = shared.index.write();
        index.segments.insert(base, Arc::clone(&self.segment));
        let channels = std::mem::take(&mut index.active_channels);
        drop(index);
        shared.jobs.seal(Sealed { segment: sealed.segment, notes: sealed.notes, channels });
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.length)
    }

    /// Syncs what was written last.
    pub(crate) fn sync(&mut self, bytes: usize) -> io::Result<()> {
        self.file.sync()?;
        self.length += bytes as u64;
        self.segment.log_bytes.store(self.length, Ordering::Relaxed);
        Ok(())
    }

    /// Cuts off everything that is not synced, for good.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.file.cut(self.length)?;
        self.file.sync()
    }

    pub(crate) fn record_key(&mut self, key: KeyRecord) {
        let keys = &mut self.notes.keys;
        keys.push(key);
        if keys.len() > 2 * KEYS_MAX {
            keys.drain(..KEYS_MAX);
        }
    }
}
