//! Opens a directory: what was written becomes an index again. Of sealed segments only the start of the index
//! file is read; the active segment is read whole, and a torn last write is cut off.
//!
//! Invariant: where something is missing that was once synced, opening fails and names the place. A log with
//! a hole would be served as if it were whole.

mod directory;
mod error;

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    hash::BuildHasher,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{
    Channel, Clock, Durability, Epoch, IdempotencyKey, IdempotencyWindow, Offset, RetentionRules, Timestamp,
};

pub use self::error::OpenError;
use self::{
    directory::{epoch, list, lock, make_directory},
    error::at,
};
use crate::embedded::{
    checkpoint::Checkpoint,
    compaction::{
        checkpoints,
        jobs::{Jobs, Sealed},
    },
    config::EmbeddedConfig,
    disk,
    index::{Index, channel::Run},
    journal::{active::ActiveSegment, committer::Committer, group::Group, queue::Queue},
    segment::{
        file::{self, Segment},
        files::Files,
        layout::SEGMENT_HEADER_BYTES,
        read, scan,
        segment_index::{KeyRecord, Notes, Summary},
    },
    shared::{CHECKPOINT_FILE, CheckpointState, Shared},
};

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
    let directory = config.directory.clone();
    let files = list(&directory)?;
    let epoch = epoch(&directory, files.is_empty())?;
    let checkpoint_path = directory.join(CHECKPOINT_FILE);
    let before = Checkpoint::read(&checkpoint_path, epoch)?;
    let mut recovery = Recovery::read(&files, epoch, before.clone().unwrap_or_default())?;
    let now = clock.now().max(Timestamp::from_millis(recovery.last_time));
    let active = recovery.active(&config, epoch, now)?;
    let (index, files, state, jobs) = recovery.index(&rules, before.is_some(), &active, now)?;
    let (next, reserved) = (index.through.get() + 1, recovery.reserved_after_start());
    let window = window(&state, recovery.keys, now);
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
        trouble: Default::default(),
        reserved: reserved.into(),
        checkpoint: state.into(),
    });
    for job in jobs {
        shared.jobs.seal(job);
    }
    write_first_checkpoint(&shared, before.map(|before| before.rules))?;
    let committer = Committer {
        shared: Arc::clone(&shared),
        active,
        window,
        next,
        last_time: now,
        poisoned: None,
        routes: HashMap::default(),
        group: Group::default(),
    };
    Ok((shared, committer))
}

/// What the files say.
struct Recovery {
    checkpoint: Checkpoint,
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
}

impl Recovery {
    fn read(files: &[(PathBuf, u64)], epoch: Epoch, checkpoint: Checkpoint) -> Result<Self, OpenError> {
        let (reserved, keys) = (checkpoint.reserved, checkpoint.keys.clone());
        let mut recovery = Self {
            checkpoint,
            segments: Vec::new(),
            keys,
            trims: Vec::new(),
            reserved,
            used: 0,
            closed: None,
            last_time: i64::MIN,
        };
        for (at, (path, base)) in files.iter().enumerate() {
            recovery.read_segment(path, *base, epoch, at + 1 == files.len())?;
        }
        Ok(recovery)
    }

    fn read_segment(
        &mut self,
        path: &Path,
        base: u64,
        epoch: Epoch,
        is_active: bool,
    ) -> Result<(), OpenError> {
        self.used = self.used.max(base.saturating_sub(1));
        let damaged = |detail| OpenError::Damaged { path: path.to_owned(), at: 0, detail };
        let file_bytes = fs::metadata(path).map_err(at(path))?.len();
        let header = match read::header(path).map_err(at(path))? {
            Some(header) => header,
            None if is_active && file_bytes < SEGMENT_HEADER_BYTES as u64 => {
                tracing::warn!(segment = %path.display(), "it was cut off before its first event; it is removed");
                return fs::remove_file(path).map_err(at(path));
            }
            None => return Err(damaged("its header is not readable by this version")),
        };
        if header.epoch != epoch.get() || header.base != base {
            return Err(damaged("it belongs to another log"));
        }
        let segment = Segment::new(header, path.to_owned(), file_bytes);
        let found = match read::summary(&segment, file_bytes) {
            Ok(Some(summary)) if !is_active => self.read_indexed(segment, summary),
            Ok(_) | Err(_) => self.read_whole(segment, is_active)?,
        };
        self.segments.push(found);
        Ok(())
    }

    fn read_indexed(&mut self, segment: Segment, summary: Summary) -> Found {
        let file_bytes = segment.log_bytes.load(Ordering::Relaxed);
        segment.blocks_at.store(summary.blocks_at, Ordering::Relaxed);
        self.learn(&segment, &summary.notes);
        let segment = Arc::new(segment);
        let mut start = 0;
        let mut runs = Vec::with_capacity(summary.channels.len());
        for channel in summary.channels {
            runs.push((channel.channel.clone(), Run::indexed(&segment, start, &channel)));
            start += channel.count;
        }
        Found { segment, runs, unindexed: None, file_bytes }
    }

    fn read_whole(&mut self, segment: Segment, is_active: bool) -> Result<Found, OpenError> {
        let bytes = fs::read(&segment.path).map_err(at(&segment.path))?;
        let contents = scan::scan(&segment.path, &bytes, &segment.header, is_active)?;
        let mut file_bytes = bytes.len() as u64;
        if contents.torn_bytes > 0 {
            let (path, at_byte, bytes) = (segment.path.display(), contents.length, contents.torn_bytes);
            tracing::warn!(segment = %path, at_byte, bytes, "a write that was never finished is cut off");
            cut(&segment.path, contents.length).map_err(at(&segment.path))?;
            file_bytes = contents.length;
        } else if !is_active && file_bytes > contents.length {
            // Sealed, but what was allocated ahead had not been given back: the index would never fit the
            // file.
            cut(&segment.path, contents.length).map_err(at(&segment.path))?;
        }
        segment.log_bytes.store(contents.length, Ordering::Relaxed);
        self.learn(&segment, &contents.notes);
        self.closed = if is_active { contents.closed } else { None };
        let segment = Arc::new(segment);
        let runs = contents.entries.into_iter().map(|(channel, entries)| {
            let run = Run::in_memory(&segment, entries);
            (channel, run)
        });
        let runs = runs.collect();
        Ok(Found { segment, runs, unindexed: Some(contents.notes), file_bytes })
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
        if let Some(found) = self.segments.last_mut()
            && let Some(notes) = found.unindexed.take()
        {
            let segment = Arc::clone(&found.segment);
            let path = segment.path.clone();
            return ActiveSegment::open(segment, notes, found.file_bytes, config).map_err(at(&path));
        }
        let header = file::new_header(epoch.get(), self.through() + 1, now);
        let active =
            header.and_then(|header| ActiveSegment::create(header, config)).map_err(at(&config.directory))?;
        let segment = Arc::clone(&active.segment);
        self.segments.push(Found { segment, runs: Vec::new(), unindexed: None, file_bytes: 0 });
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
        let mut index = Index::new(rules.clone(), self.checkpoint.floor, through);
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
                index.active_channels = channels;
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
        if let Ok(key) = IdempotencyKey::new(&record.key) {
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

/// A hash of rules by which it is noticed that they changed.
fn hash(rules: &RetentionRules) -> u64 {
    foldhash::fast::FixedState::with_seed(0x616e_7977).hash_one(format!("{rules:?}"))
}
