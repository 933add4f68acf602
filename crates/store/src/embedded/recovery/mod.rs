//! Opens a directory: what was written becomes an index again. Of sealed segments only the start of the index
//! file is read; the active segment is read whole, and a torn last write is cut off.
//!
//! Invariant: where something is missing that was once synced, opening fails and names the place, or, if that
//! is accepted, the log remembers the hole and tells its readers.

mod before;
pub(crate) mod directory;
mod error;

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    hash::BuildHasher,
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{
    Channel, Clock, Durability, Epoch, IdempotencyKey, IdempotencyWindow, Offset, RetentionRules, Timestamp,
};

pub use self::error::OpenError;
use self::{
    before::Before,
    directory::{SegmentFile, lock, make_directory},
    error::at,
};
use crate::embedded::{
    checkpoint::{Checkpoint, Meta},
    compaction::{
        checkpoints,
        jobs::{Jobs, Sealed, Stop},
    },
    config::EmbeddedConfig,
    disk,
    index::{Index, channel::Run},
    journal::{active::ActiveSegment, committer::Committer, group::Group, queue::Queue},
    losses::Loss,
    manifest::{self, Listed, MANIFEST_FILE, Manifest},
    segment::{
        error::FileError,
        file::{self, Seal, Segment},
        files::Files,
        layout::SEGMENT_HEADER_BYTES,
        read,
        scan::{self, Contents},
        segment_index::{KeyRecord, Notes, Summary},
    },
    shared::{CHECKPOINT_FILE, CheckpointState, Shared},
    synced::Synced,
};

/// How far beyond everything that may have been given the offsets go on, where nobody knows how far that was.
const LEAP: u64 = 1 << 32;

/// A directory that was opened.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) committer: Committer,
    /// Held as long as the directory is in use.
    pub(crate) lock: File,
}

/// Opens a directory; makes it if it is missing.
pub(crate) fn open(
    config: EmbeddedConfig,
    rules: RetentionRules,
    clock: Arc<dyn Clock>,
) -> Result<Opened, OpenError> {
    make_directory(&config.directory).map_err(at(&config.directory))?;
    let lock = lock(&config.directory)?;
    loop {
        match recover(config.clone(), rules.clone(), Arc::clone(&clock)) {
            Err(OpenError::Damaged { path, at: at_byte, detail }) if file::is_index(&path) => {
                // It holds nothing that its segment does not: without it the segment is read whole.
                tracing::warn!(index = %path.display(), at_byte, detail, "a damaged index is made again");
                fs::remove_file(&path).map_err(at(&path))?;
            }
            Err(error) => return Err(error),
            Ok((shared, committer)) => return Ok(Opened { shared, committer, lock }),
        }
    }
}

fn recover(
    config: EmbeddedConfig,
    rules: RetentionRules,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Shared>, Committer), OpenError> {
    let read = Before::read(&config)?;
    let (epoch, before, manifest) = (read.meta.epoch, read.checkpoint.clone(), read.manifest.clone());
    let has_manifest = read.meta.has_manifest;
    let mut recovery = Recovery::read(read, &config)?;
    if recovery.last_time > i64::MIN {
        clock.seen(Timestamp::from_millis(recovery.last_time));
    }
    let (begin, now) = (clock.now(), clock.steady());
    let active = recovery.active(&config, epoch, begin)?;
    let (index, files, state, jobs) = recovery.index(&rules, before.is_some(), &active, now)?;
    let channels = index.channel_count();
    let (next, reserved) = (index.through.get() + 1, recovery.reserved_after_start());
    let window = window(&state, recovery.keys, now);
    let number = before.as_ref().map_or(0, |before| before.number);
    let shared = Arc::new(Shared {
        queue: Queue::new(config.queue_bytes_max),
        config,
        rules,
        clock,
        epoch,
        follower: Default::default(),
        index: index.into(),
        files,
        jobs: Jobs::default(),
        scrub: Stop::default(),
        channels: channels.into(),
        trouble: Default::default(),
        reserved: reserved.into(),
        manifest: number.into(),
        checkpoint: state.into(),
    });
    for job in jobs {
        shared.jobs.seal(job);
    }
    write_first_checkpoint(&shared, before.map(|before| before.rules))?;
    write_first_manifest(&shared, manifest.as_ref(), &active)?;
    if !has_manifest {
        directory::write_meta(&shared.config.directory, Meta { epoch, has_manifest: true })?;
    }
    let committer = Committer {
        shared: Arc::clone(&shared),
        active,
        window,
        next,
        last_time: begin,
        poisoned: None,
        routes: HashMap::default(),
        group: Group::default(),
    };
    Ok((shared, committer))
}

/// What the files say.
struct Recovery {
    checkpoint: Checkpoint,
    /// What is lost, and accepted. What is lost at the end of the log has no end of its own.
    lost: Vec<(u64, Option<u64>, String)>,
    accept_loss: bool,
    ephemeral_bytes_max: u64,
    synced: Option<Synced>,
    segments: Vec<Found>,
    keys: Vec<KeyRecord>,
    trims: Vec<(Channel, u64)>,
    reserved: u64,
    used: u64,
    closed: Option<u64>,
    last_time: i64,
}

/// A segment and its channels' runs.
struct Found {
    segment: Arc<Segment>,
    runs: Vec<(Channel, Run)>,
    /// There is no index yet.
    unindexed: Option<Notes>,
    file_bytes: u64,
    /// The checksum of its log, where that was read.
    crc: u32,
    /// Not everything in it could be read: nothing is written behind it.
    damaged: bool,
}

impl Recovery {
    fn read(before: Before, config: &EmbeddedConfig) -> Result<Self, OpenError> {
        let Before { meta, checkpoint, manifest, listing, missing } = before;
        let checkpoint = checkpoint.unwrap_or_default();
        let manifest = manifest.unwrap_or_default();
        let (reserved, keys) = (checkpoint.reserved, checkpoint.keys.clone());
        let mut recovery = Self {
            checkpoint,
            lost: Vec::new(),
            accept_loss: config.accept_loss,
            ephemeral_bytes_max: config.ephemeral_bytes_max,
            synced: Synced::read(&config.directory),
            segments: Vec::new(),
            keys,
            trims: Vec::new(),
            reserved,
            used: 0,
            closed: None,
            last_time: i64::MIN,
        };
        for loss in &manifest.losses {
            recovery.lost.push((loss.first.get(), Some(loss.last.get()), loss.place.clone()));
        }
        for listed in &missing {
            let place = config.directory.join(listed.file_name());
            recovery.lose(listed, listed.base, format!("{} is missing", place.display()));
        }
        for (at, file) in listing.segments.iter().enumerate() {
            let listed = manifest.find(file.base, file.generation);
            recovery.read_segment(file, listed, meta.epoch, at + 1 == listing.segments.len())?;
        }
        Ok(recovery)
    }

    /// Notes that everything from an offset on to the end of a segment is lost. Where that was being written,
    /// nobody knows how far it went: the next offsets are far beyond.
    fn lose(&mut self, listed: &Listed, first: u64, place: String) {
        let noted = self.synced.filter(|synced| synced.salt == listed.salt).map(|synced| synced.used);
        let through = listed.seal.map(|seal| seal.through);
        let last = through.max(noted);
        if through.is_none() {
            self.used = self.used.max(last.unwrap_or(first)) + LEAP;
        }
        self.used = self.used.max(last.unwrap_or(first));
        if last.is_none_or(|last| last >= first) {
            self.lost.push((first, last, place));
        }
    }

    fn read_segment(
        &mut self,
        file: &SegmentFile,
        listed: Option<&Listed>,
        epoch: Epoch,
        is_active: bool,
    ) -> Result<(), OpenError> {
        let path = &file.path;
        self.used = self.used.max(file.base.saturating_sub(1));
        let file_bytes = fs::metadata(path).map_err(at(path))?.len();
        let header = match read::header(path).map_err(at(path))? {
            Some(header) => header,
            None if is_active && listed.is_none() && file_bytes < SEGMENT_HEADER_BYTES as u64 => {
                tracing::warn!(segment = %path.display(), "it was cut off before its first event; it is removed");
                return fs::remove_file(path).map_err(at(path));
            }
            None => return self.damaged(path, listed, "its header is not readable by this version"),
        };
        if header.epoch != epoch.get() || header.base != file.base {
            return self.damaged(path, listed, "it belongs to another log");
        }
        if listed.is_some_and(|listed| listed.salt != header.salt) {
            return self.damaged(path, listed, "it is not the file that was written there");
        }
        let seal = listed.and_then(|listed| listed.seal);
        let log_bytes = seal.filter(|_| !is_active).map_or(file_bytes, |seal| seal.bytes.min(file_bytes));
        let segment = Segment::new(header, path.clone(), log_bytes);
        let is_short = seal.is_some_and(|seal| file_bytes < seal.bytes);
        let found = match read::summary(&segment, log_bytes) {
            Ok(Some(summary)) if !is_active && !is_short => {
                if file_bytes > log_bytes {
                    cut(path, log_bytes).map_err(at(path))?;
                }
                self.read_indexed(segment, summary, seal)
            }
            Ok(_) | Err(_) => self.read_whole(segment, listed, is_active)?,
        };
        self.segments.push(found);
        Ok(())
    }

    /// A segment of which nothing can be read.
    fn damaged(
        &mut self,
        path: &Path,
        listed: Option<&Listed>,
        detail: &'static str,
    ) -> Result<(), OpenError> {
        let error = FileError::Damaged { path: path.to_owned(), at: 0, detail };
        let Some(listed) = listed.filter(|_| self.accept_loss) else { return Err(error.into()) };
        self.lose(listed, listed.base, error.to_string());
        // Out of the way, and still there for whoever can make something of it.
        fs::rename(path, path.with_extension("damaged")).map_err(at(path))
    }

    fn read_indexed(&mut self, segment: Segment, summary: Summary, seal: Option<Seal>) -> Found {
        let file_bytes = segment.log_bytes.load(Ordering::Relaxed);
        segment.blocks_at.store(summary.blocks_at, Ordering::Relaxed);
        self.learn(&segment, &summary.notes);
        let unnoted = Seal { bytes: file_bytes, through: summary.notes.used, crc: None };
        let segment = Arc::new(segment.sealed(seal.unwrap_or(unnoted)));
        let mut start = 0;
        let mut runs = Vec::with_capacity(summary.channels.len());
        for channel in summary.channels {
            runs.push((channel.channel.clone(), Run::indexed(&segment, start, &channel)));
            start += channel.count;
        }
        Found { segment, runs, unindexed: None, file_bytes, crc: 0, damaged: false }
    }

    fn read_whole(
        &mut self,
        segment: Segment,
        listed: Option<&Listed>,
        is_active: bool,
    ) -> Result<Found, OpenError> {
        let bytes = fs::read(&segment.path).map_err(at(&segment.path))?;
        let expected = self.bytes_expected(&segment, listed);
        let scanned = self.scan(&segment, &bytes, expected, is_active);
        let damaged = scanned.is_err();
        let mut contents = match scanned {
            Ok(contents) => contents,
            Err(error) if self.accepts(&segment.path) => {
                self.salvage(&segment, &bytes, listed, expected, &error)
            }
            Err(error) => return Err(error.into()),
        };
        if contents.torn_bytes > 0 {
            let (path, at_byte, bytes) = (segment.path.display(), contents.length, contents.torn_bytes);
            tracing::warn!(segment = %path, at_byte, bytes, "a write that was never finished is cut off");
        }
        let mut file_bytes = bytes.len() as u64;
        if contents.torn_bytes > 0 || (!is_active && file_bytes > contents.length) {
            // Of a sealed one: what was allocated ahead had not been given back, and the index would never
            // fit the file.
            cut(&segment.path, contents.length).map_err(at(&segment.path))?;
            file_bytes = contents.length;
        }
        segment.log_bytes.store(contents.length, Ordering::Relaxed);
        self.learn(&segment, &contents.notes);
        self.closed = if is_active { contents.closed } else { None };
        let crc = crc32c::crc32c(&bytes[..usize::try_from(contents.length).unwrap_or(bytes.len())]);
        let seal = listed.and_then(|listed| listed.seal);
        segment.damaged.store(damaged, Ordering::Relaxed);
        let segment = Arc::new(if is_active && !damaged {
            segment
        } else {
            let through = seal.map_or(contents.notes.used, |seal| seal.through);
            segment.sealed(Seal { bytes: contents.length, through, crc: Some(crc) })
        });
        let runs = std::mem::take(&mut contents.entries).into_iter();
        let runs = runs.map(|(channel, entries)| (channel, Run::in_memory(&segment, entries))).collect();
        Ok(Found { segment, runs, unindexed: Some(contents.notes), file_bytes, crc, damaged })
    }

    /// Whether what cannot be read of a segment is accepted, now or at an earlier start.
    fn accepts(&self, path: &Path) -> bool {
        let path = path.display().to_string();
        self.accept_loss || self.lost.iter().any(|(_, _, place)| place.contains(&path))
    }

    /// How long a segment's log was at least when it was written.
    fn bytes_expected(&self, segment: &Segment, listed: Option<&Listed>) -> u64 {
        let seal = listed.and_then(|listed| listed.seal).map_or(0, |seal| seal.bytes);
        let synced = self.synced.filter(|synced| synced.salt == segment.header.salt);
        seal.max(synced.map_or(0, |synced| synced.bytes))
    }

    fn scan(
        &self,
        segment: &Segment,
        bytes: &[u8],
        expected: u64,
        is_active: bool,
    ) -> Result<Contents, FileError> {
        let contents = scan::scan(&segment.path, bytes, &segment.header, is_active)?;
        if contents.length >= expected {
            return Ok(contents);
        }
        let detail = "what was written there was synced and is missing";
        Err(FileError::Damaged { path: segment.path.clone(), at: contents.length, detail })
    }

    /// Reads of a damaged segment what can be read; what cannot is lost.
    fn salvage(
        &mut self,
        segment: &Segment,
        bytes: &[u8],
        listed: Option<&Listed>,
        expected: u64,
        error: &FileError,
    ) -> Contents {
        let mut contents = scan::salvage(bytes, &segment.header, expected);
        let of_file = Listed::of(segment);
        for lost in std::mem::take(&mut contents.lost) {
            let place =
                FileError::Damaged { path: segment.path.clone(), at: lost.at, detail: error.detail() };
            match lost.last {
                Some(last) => self.lost.push((lost.first, Some(last), place.to_string())),
                None => self.lose(listed.unwrap_or(&of_file), lost.first, place.to_string()),
            }
        }
        contents.torn_bytes = (bytes.len() as u64).saturating_sub(contents.length);
        contents
    }

    fn learn(&mut self, segment: &Segment, notes: &Notes) {
        segment.last_time.store(notes.last_time, Ordering::Relaxed);
        self.last_time = self.last_time.max(notes.last_time);
        self.reserved = self.reserved.max(notes.reserved);
        self.used = self.used.max(notes.used);
        self.trims.extend(notes.trims.iter().cloned());
        self.keys.extend(notes.keys.iter().cloned());
    }

    /// Up to where offsets may have been used.
    fn through(&self) -> u64 {
        self.closed.unwrap_or(self.reserved).max(self.used)
    }

    /// After a start everything reserved before is behind the tail.
    fn reserved_after_start(&self) -> u64 {
        self.through()
    }

    /// The segment to go on with.
    fn active(
        &mut self,
        config: &EmbeddedConfig,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<ActiveSegment, OpenError> {
        if let Some(found) = self.segments.last_mut().filter(|found| !found.damaged)
            && let Some(notes) = found.unindexed.take()
        {
            let segment = Arc::clone(&found.segment);
            let path = segment.path.clone();
            return ActiveSegment::open(segment, notes, found.file_bytes, found.crc, config)
                .map_err(at(&path));
        }
        let header = file::new_header(epoch.get(), self.through() + 1, now);
        let active =
            header.and_then(|header| ActiveSegment::create(header, config)).map_err(at(&config.directory))?;
        let segment = Arc::clone(&active.segment);
        self.segments.push(Found {
            segment,
            runs: Vec::new(),
            unindexed: None,
            file_bytes: 0,
            crc: 0,
            damaged: false,
        });
        Ok(active)
    }

    /// The index, and segments whose index has to be written.
    fn index(
        &mut self,
        rules: &RetentionRules,
        had_checkpoint: bool,
        active: &ActiveSegment,
        now: Timestamp,
    ) -> Result<(Index, Files, CheckpointState, Vec<Sealed>), OpenError> {
        let through = Offset::new(self.through());
        let files = Files::new();
        let mut index = Index::new(rules.clone(), self.checkpoint.floor, through, self.ephemeral_bytes_max);
        for (first, last, place) in self.lost.drain(..) {
            let (first, last) = (Offset::new(first), last.map_or(through, Offset::new));
            if self.accept_loss {
                tracing::warn!(%first, %last, place, "these events are lost: readers are told of a gap");
            }
            index.losses.add(Loss { first, last, channel: None, place });
        }
        let mut state = CheckpointState { rules: hash(rules), ..CheckpointState::default() };
        std::mem::swap(&mut state.keys, &mut self.checkpoint.keys);
        let known = self.checkpoint.channels.iter().filter(|known| !is_ephemeral(rules, &known.channel));
        known.for_each(|known| index.restore_trimmed(&known.channel, known.through));
        let mut jobs = Vec::new();
        for found in self.segments.drain(..) {
            let is_active = found.segment.id == active.segment.id;
            let mut channels = Vec::new();
            for (name, run) in found.runs {
                if is_ephemeral(rules, &name) {
                    state.once_durable.push((name, through));
                    continue;
                }
                channels.push(name.clone());
                index.restore(&name, run);
            }
            if is_active {
                index.set_active(&channels);
            } else if let Some(notes) = found.unindexed {
                jobs.push(Sealed { segment: Arc::clone(&found.segment), notes, channels });
            }
            index.segments.insert(found.segment.header.base, found.segment);
        }
        index.trim_to_floor(&files)?;
        self.restore_trims(rules, through, &mut index, &mut state, &files)?;
        if had_checkpoint && self.checkpoint.rules != state.rules {
            // A channel that is durable now may have been ephemeral before: what it had then is lost.
            index.floor = through;
        }
        let (_, more) = index.enforce_some(0, usize::MAX / 2, now, &files);
        debug_assert!(!more, "all channels were looked at");
        Ok((index, files, state, jobs))
    }

    fn restore_trims(
        &self,
        rules: &RetentionRules,
        through: Offset,
        index: &mut Index,
        state: &mut CheckpointState,
        files: &Files,
    ) -> Result<(), OpenError> {
        for trimmed in &self.checkpoint.channels {
            if is_ephemeral(rules, &trimmed.channel) {
                state.once_durable.push((trimmed.channel.clone(), through));
            } else {
                let gone = if trimmed.was_ephemeral { through } else { trimmed.through };
                index.set_trimmed(&trimmed.channel, gone, files)?;
            }
        }
        state.once_durable.sort_unstable();
        state.once_durable.dedup();
        for (channel, through) in &self.trims {
            if !is_ephemeral(rules, channel) {
                index.set_trimmed(channel, Offset::new(*through), files)?;
            }
        }
        Ok(())
    }
}

fn is_ephemeral(rules: &RetentionRules, channel: &Channel) -> bool {
    rules.of(channel).durability == Durability::Ephemeral
}

/// Cuts a file, for good.
fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

/// The idempotency window as it was.
fn window(state: &CheckpointState, mut keys: Vec<KeyRecord>, now: Timestamp) -> IdempotencyWindow {
    let mut window = IdempotencyWindow::standard();
    let age_max_ms = window.age_max_ms();
    keys.extend(state.keys.iter().cloned());
    keys.retain(|key| now.millis_since(Timestamp::from_millis(key.time)) <= age_max_ms);
    keys.sort_by_key(|key| (key.time, key.first));
    for record in keys {
        if let Ok(key) = IdempotencyKey::stored(&record.key) {
            let (first, time) = (Offset::new(record.first), Timestamp::from_millis(record.time));
            window.remember(key, record.fingerprint, first, record.count, time);
        }
    }
    window
}

/// Notes the rules in force, if they are others than before.
fn write_first_checkpoint(shared: &Shared, rules_before: Option<u64>) -> Result<(), OpenError> {
    let state = shared.checkpoint.lock();
    if rules_before == Some(state.rules) {
        return Ok(());
    }
    let path = shared.path(CHECKPOINT_FILE);
    match checkpoints::write(shared, &state) {
        // A full disk must not keep a log from being read.
        Err(error) if disk::is_full(&error) => {
            tracing::warn!(path = %path.display(), %error, "the rules could not be noted");
            Ok(())
        }
        result => result.map_err(at(&path)),
    }
}

/// Writes the manifest, if it does not say already how things stand.
fn write_first_manifest(
    shared: &Shared,
    before: Option<&Manifest>,
    active: &ActiveSegment,
) -> Result<(), OpenError> {
    let salt = active.segment.header.salt;
    let is_known = before.is_some_and(|before| before.segments.iter().any(|listed| listed.salt == salt));
    match manifest::write(shared) {
        // A full disk must not keep a log from being read.
        Err(error) if disk::is_full(&error) && is_known => {
            tracing::warn!(directory = %shared.place(), %error, "the manifest could not be written");
            Ok(())
        }
        result => result.map_err(at(&shared.path(MANIFEST_FILE))),
    }
}

/// A hash of rules by which it is noticed that they changed.
fn hash(rules: &RetentionRules) -> u64 {
    foldhash::fast::FixedState::with_seed(0x616e_7977).hash_one(format!("{rules:?}"))
}
