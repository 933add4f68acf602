//! The active segment: the one that is being written, and how far it is synced.

use std::{
    fs::OpenOptions,
    io,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{IdempotencyWindow, Timestamp};

use crate::embedded::{
    compaction::jobs::Sealed,
    config::EmbeddedConfig,
    descriptors,
    disk::{self, AppendFile},
    manifest::{self, Listed},
    segment::{
        file::{self, SPAN_MAX, Seal, Segment},
        layout::{Encoder, SEGMENT_HEADER_BYTES, Seed, SegmentHeader},
        segment_index::{KeyRecord, Notes},
    },
    shared::Shared,
    synced::{Synced, SyncedFile},
};

/// At how many recorded keys of a segment those go that the window has forgotten. It remembers half as many.
const KEYS_MAX: usize = 400_000;

/// The segment that is being written.
pub(crate) struct ActiveSegment {
    pub(crate) segment: Arc<Segment>,
    /// What its index will say beside the entries.
    pub(crate) notes: Notes,
    file: AppendFile,
    /// Everything up to here is synced.
    length: u64,
    /// The checksum of everything up to there, and of what was written after it.
    crc: u32,
    crc_written: u32,
    synced: SyncedFile,
    seed: Seed,
}

impl ActiveSegment {
    /// Goes on with a segment; `file_bytes` is how long the file is with what is allocated ahead, `crc` the
    /// checksum of its log.
    pub(crate) fn open(
        segment: Arc<Segment>,
        notes: Notes,
        file_bytes: u64,
        crc: u32,
        config: &EmbeddedConfig,
    ) -> io::Result<Self> {
        let file = descriptors::open_with(OpenOptions::new().read(true).write(true), &segment.path)?;
        let mut file = AppendFile::new(file, file_bytes, config.preallocate(), config.faults.clone());
        let length = segment.log_bytes.load(Ordering::Relaxed);
        if file_bytes < length {
            file.cut(length)?;
        }
        let (seed, synced) = (segment.header.seed(), SyncedFile::open(&config.directory));
        Ok(Self { segment, notes, file, length, crc, crc_written: crc, synced, seed })
    }

    /// Makes an empty segment.
    pub(crate) fn create(header: SegmentHeader, config: &EmbeddedConfig) -> io::Result<Self> {
        let path = config.directory.join(file::file_name(header.base, header.generation));
        let encoded = header.encode();
        disk::replace(&path, &encoded)?;
        let length = SEGMENT_HEADER_BYTES as u64;
        let notes = Notes { last_time: header.base_time, ..Notes::default() };
        let segment = Arc::new(Segment::new(header, path, length));
        Self::open(segment, notes, length, crc32c::crc32c(&encoded), config)
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
        // Times of events count from the segment's, and are not negative.
        (holds_any && too_long) || too_wide || now < base_time
    }

    /// Seals this segment and begins another, whose first offset is `base`.
    pub(crate) fn rotate(&mut self, base: u64, now: Timestamp, shared: &Shared) -> io::Result<()> {
        let header = file::new_header(shared.epoch.get(), base, now)?;
        let another = Self::create(header, &shared.config)?;
        let seal = self.seal(base - 1);
        let salt = self.segment.header.salt;
        let list = |listed: &mut Vec<Listed>| {
            let ending = listed.iter_mut().find(|one| one.salt == salt);
            ending.into_iter().for_each(|one| one.seal = Some(seal));
            listed.push(Listed::of(&another.segment));
        };
        let mut channels = Vec::new();
        manifest::write_changed(shared, list, || {
            self.segment.seal.get_or_init(|| seal);
            let mut index = shared.index.write();
            index.segments.insert(base, Arc::clone(&another.segment));
            channels = index.take_active();
        })?;
        let mut sealed = std::mem::replace(self, another);
        if let Err(error) = sealed.file.cut(sealed.length) {
            tracing::debug!(%error, "what was allocated ahead could not be given back");
        }
        shared.jobs.seal(Sealed { segment: sealed.segment, notes: sealed.notes, channels });
        Ok(())
    }

    /// How it ends if nothing more is written.
    pub(crate) fn seal(&self, through: u64) -> Seal {
        Seal { bytes: self.length, through, crc: Some(self.crc) }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc_written = crc32c::crc32c_append(self.crc, bytes);
        self.file.write_at(bytes, self.length)
    }

    /// Syncs what was written last. `used` is the greatest offset that was given by then.
    pub(crate) fn sync(&mut self, bytes: usize, used: u64) -> io::Result<()> {
        self.file.sync()?;
        self.length += bytes as u64;
        self.crc = self.crc_written;
        self.segment.log_bytes.store(self.length, Ordering::Relaxed);
        self.synced.write(Synced { salt: self.segment.header.salt, bytes: self.length, used });
        Ok(())
    }

    /// Cuts off everything that is not synced, for good.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.file.cut(self.length)?;
        self.file.sync()
    }

    pub(crate) fn record_key(&mut self, key: KeyRecord, window: &IdempotencyWindow) {
        let keys = &mut self.notes.keys;
        keys.push(key);
        if keys.len() > KEYS_MAX {
            keys.retain(|known| window.remembers(&known.key));
        }
    }
}
