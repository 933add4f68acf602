//! The committer: the one thread that writes the log. It takes everything that waits, gives it offsets,
//! writes and syncs it at once, puts it into the index, tells the follower, and answers; the next group
//! gathers meanwhile.
//!
//! Invariants:
//! - Offsets are given out only up to what a synced record reserves, or a record in the same write. Batches
//!   of ephemeral events alone therefore need no sync.
//! - After a failed sync nothing more is written until the restart: what the disk holds then is unknown.
//! - A group that failed is cut off before it is answered.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use anywire_log::{
    AppendError, Appended, Batch, Channel, Durability, Event, IdempotencyWindow, Lookup, Offset, Publication,
    Timestamp, TrimError,
};

use crate::embedded::{
    compaction::repair,
    disk,
    journal::{
        active::ActiveSegment,
        group::{Group, Member},
        queue::{Command, Pending},
    },
    manifest,
    segment::{
        layout::{self, Encoder, FrameHeader, FrameKind, Place, Record},
        segment_index::KeyRecord,
    },
    shared::Shared,
};

/// How many offsets one record reserves.
pub(crate) const RESERVED_AT_ONCE: u64 = 65_536;
/// How much goes into one write: a limit on how long its sync, and so everybody in it, takes.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// How much a probe writes: less would fit where no batch does.
const PROBE_BYTES: usize = 64 << 10;
/// How far the wall clock may be corrected back before the start of a segment.
const CORRECTION_MS: u64 = 60_000;
/// How many channels' durability is remembered.
const ROUTES_MAX: usize = 65_536;

/// Writes the log.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) active: ActiveSegment,
    pub(crate) window: IdempotencyWindow,
    /// The next offset.
    pub(crate) next: u64,
    pub(crate) last_time: Timestamp,
    /// Why nothing more is written.
    pub(crate) poisoned: Option<AppendError>,
    /// Which channels are durable, as the rules say.
    pub(crate) routes: HashMap<Channel, bool, foldhash::fast::RandomState>,
    pub(crate) group: Group,
}

/// What becomes of a batch.
enum Verdict {
    /// It is part of the group.
    Append,
    /// It depends on what becomes of the group: it is decided with the next one.
    Wait,
    /// It is not appended.
    Answer(Result<Appended, AppendError>),
}

/// Poisons the queue when the committer ends, however it ends.
struct Poison(Arc<Shared>);

impl Drop for Poison {
    fn drop(&mut self) {
        self.0.queue.poison();
    }
}

impl Committer {
    /// Commits until the queue is closed and empty, then notes that the log was closed.
    pub(crate) fn run(mut self) {
        // If this thread ever panics, publishers are told instead of waiting for it.
        let _poison = Poison(Arc::clone(&self.shared));
        let mut commands = Vec::new();
        let mut deferred = Vec::new();
        loop {
            let oldest = if deferred.is_empty() {
                self.shared.queue.take(&mut commands)
            } else {
                commands.append(&mut deferred);
                Some(Instant::now())
            };
            let Some(oldest) = oldest else { break };
            self.process(&mut commands, &mut deferred, oldest);
        }
        self.record_close();
    }

    fn process(&mut self, commands: &mut Vec<Command>, deferred: &mut Vec<Command>, oldest: Instant) {
        let mut waiting = Vec::new();
        let mut bytes = 0;
        for command in commands.drain(..) {
            match command {
                Command::Append(pending) => {
                    if bytes > 0 && bytes + pending.bytes > GROUP_BYTES_MAX {
                        self.commit(&mut waiting, deferred, std::mem::take(&mut bytes), oldest);
                    }
                    bytes += pending.bytes;
                    waiting.push(pending);
                }
                Command::Trim { channel, through, answer } => {
                    self.commit(&mut waiting, deferred, std::mem::take(&mut bytes), oldest);
                    // Who asked may have gone; the trim counts all the same.
                    let _gone = answer.send(self.trim(&channel, through));
                }
                Command::Probe => {
                    self.commit(&mut waiting, deferred, std::mem::take(&mut bytes), oldest);
                    self.probe();
                }
            }
        }
        self.commit(&mut waiting, deferred, bytes, oldest);
    }

    /// Commits one group.
    fn commit(
        &mut self,
        waiting: &mut Vec<Pending>,
        deferred: &mut Vec<Command>,
        bytes: u64,
        oldest: Instant,
    ) {
        if waiting.is_empty() {
            return;
        }
        let now = self.now();
        let mut group = std::mem::take(&mut self.group);
        let room = self.make_room(bytes);
        let first = self.next;
        self.reserve(waiting, &mut group, now);
        for pending in waiting.drain(..) {
            self.add(pending, &mut group, deferred, now);
        }
        if group.members.is_empty() {
            // Not even a reservation is written for batches that are refused.
            group.buffer.clear();
            group.reserved = None;
        }
        let result = room.and_then(|()| self.write(&mut group));
        self.record_trouble(&group, result.as_ref().err());
        if let Err(error) = &result {
            group.drop_durable(error, self.shared.reserved.load(Ordering::Relaxed));
            if group.members.is_empty() && self.poisoned.is_none() {
                self.next = first;
            }
        }
        // Before the answers: who waited for room tries again as soon as it has one.
        self.shared.queue.done(bytes);
        self.publish(&mut group, now);
        if let (Some(observer), false) = (&self.shared.config.observer, group.events.is_empty()) {
            let written = if result.is_ok() { group.buffer.len() } else { 0 };
            observer.committed(group.events.len(), written, oldest.elapsed());
        }
        group.clear();
        self.group = group;
    }

    /// The time of the next events. It goes back when the wall clock does, in a segment of its own.
    fn now(&mut self) -> Timestamp {
        let (wall, begin) = (self.shared.clock.now(), self.active.segment.header.base_time);
        let begin = Timestamp::from_millis(begin);
        // Corrections of a moment are no reason for another segment.
        let is_correction = begin.millis_since(wall) <= CORRECTION_MS;
        self.last_time = if is_correction { wall.max(begin) } else { wall };
        self.last_time
    }

    /// Begins a new segment if the newest has no room for so many bytes.
    fn make_room(&mut self, bytes: u64) -> Result<(), AppendError> {
        if self.poisoned.is_some()
            || !self.active.is_full_with(bytes, self.next, self.last_time, &self.shared)
        {
            return Ok(());
        }
        if self.active.segment.header.base == self.next {
            // It holds control records only; two segments cannot have one name.
            self.next += 1;
        }
        self.active.rotate(self.next, self.last_time, &self.shared).map_err(|error| self.error(&error))
    }

    /// Reserves offsets when the group needs more than are left, or when half of them are gone and a write
    /// happens anyway.
    fn reserve(&mut self, waiting: &[Pending], group: &mut Group, now: Timestamp) {
        let count: usize = waiting.iter().map(|pending| pending.batch.publications.len()).sum();
        let last = self.next + count as u64 - 1;
        let reserved = self.shared.reserved.load(Ordering::Relaxed);
        let soon = last + RESERVED_AT_ONCE / 2 > reserved;
        let writes = || waiting.iter().any(|pending| self.routes_durable(&pending.batch));
        if last > reserved || (soon && writes()) {
            let through = last + RESERVED_AT_ONCE;
            let encoder = self.active.encoder();
            encoder.control(&mut group.buffer, FrameKind::Reserve, through, now.as_millis(), "");
            group.reserved = Some(through);
        }
    }

    /// Whether a batch is known to hold a durable event; a guess that costs nothing.
    fn routes_durable(&self, batch: &Batch) -> bool {
        batch.publications.iter().any(|publication| self.routes.get(&publication.channel) == Some(&true))
    }

    fn is_durable(&mut self, channel: &Channel) -> bool {
        if let Some(durable) = self.routes.get(channel) {
            return *durable;
        }
        if self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
        }
        let durable = self.shared.rules.of(channel).durability == Durability::Durable;
        self.routes.insert(channel.clone(), durable);
        durable
    }

    /// Adds a batch to the group, unless it is answered otherwise or has to wait.
    fn add(&mut self, pending: Pending, group: &mut Group, deferred: &mut Vec<Command>, now: Timestamp) {
        match self.judge(&pending, group) {
            Verdict::Append => {}
            Verdict::Wait => {
                // Its bytes were counted with this group.
                deferred.push(Command::Append(Pending { bytes: 0, ..pending }));
                return;
            }
            Verdict::Answer(answer) => {
                let _gone = pending.answer.send(answer);
                return;
            }
        }
        let Pending { batch, fingerprint, answer, .. } = pending;
        if let Some(key) = &batch.idempotency_key {
            group.keys.insert(key.as_str().to_owned());
        }
        let key = batch.idempotency_key.map(|key| (key, fingerprint));
        let first = Offset::new(self.next);
        let count = u32::try_from(batch.publications.len()).unwrap_or(u32::MAX);
        let key_text = key.as_ref().map(|(key, fingerprint)| (key.as_str(), *fingerprint));
        let durable = self.encode(batch.publications, key_text, group, now);
        let appended = Appended { first, count, duplicate: false };
        group.members.push(Member { answer, appended, durable, key });
    }

    /// Decides on a batch. One that depends on a batch of the same group waits until that is committed or has
    /// failed, so nobody is answered by what never came to be.
    fn judge(&mut self, pending: &Pending, group: &mut Group) -> Verdict {
        let Batch { idempotency_key, expect, .. } = &pending.batch;
        if let Some(key) = idempotency_key {
            if group.keys.contains(key.as_str()) {
                return Verdict::Wait;
            }
            match self.window.lookup(key, pending.fingerprint, self.shared.clock.steady()) {
                Lookup::New => {}
                Lookup::Duplicate { first, count } => {
                    return Verdict::Answer(Ok(Appended { first, count, duplicate: true }));
                }
                Lookup::Conflict => {
                    return Verdict::Answer(Err(AppendError::Conflict { key: key.given().to_owned() }));
                }
            }
        }
        let Some(expect) = expect else { return Verdict::Append };
        if group.newest_on(&expect.channel).is_some_and(|newest| newest > expect.seen) {
            return Verdict::Wait;
        }
        let last = self.shared.index.read().state(&expect.channel).last;
        expect.check(last).map_or_else(|error| Verdict::Answer(Err(error)), |()| Verdict::Append)
    }

    /// Gives a batch its offsets and encodes what of it is durable; returns whether anything is.
    fn encode(
        &mut self,
        publications: Vec<Publication>,
        key: Option<(&str, u64)>,
        group: &mut Group,
        now: Timestamp,
    ) -> bool {
        let encoder = self.active.encoder();
        let first = self.next;
        let events = u32::try_from(publications.len()).unwrap_or(u32::MAX);
        let begin = group.buffer.len();
        let frame = encoder.begin(&mut group.buffer, key);
        let mut records = 0;
        let mut held: Option<(Channel, bool)> = None;
        for publication in publications {
            let durable = match &held {
                Some((channel, durable)) if *channel == publication.channel => *durable,
                _ => self.is_durable(&publication.channel),
            };
            if held.as_ref().is_none_or(|(channel, _)| *channel != publication.channel) {
                held = Some((publication.channel.clone(), durable));
            }
            let place = durable.then(|| {
                records += 1;
                encode_record(encoder, &mut group.buffer, first, self.next, &publication)
            });
            group.places.push(place);
            group.events.push(Arc::new(Event::new(Offset::new(self.next), now, publication)));
            self.next += 1;
        }
        if records == 0 {
            group.buffer.truncate(begin);
            return false;
        }
        let kind = FrameKind::Batch;
        let header = FrameHeader { kind, offset: first, time: now.as_millis(), events, records };
        encoder.finish(&mut group.buffer, &frame, &header);
        true
    }

    /// Writes and syncs the group, if anything of it needs that.
    fn write(&mut self, group: &mut Group) -> Result<(), AppendError> {
        if group.buffer.is_empty() {
            return Ok(());
        }
        self.write_bytes(&group.buffer)?;
        if let Some(reserved) = group.reserved {
            self.shared.reserved.store(reserved, Ordering::Relaxed);
            self.active.notes.reserved = reserved;
        }
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        if let Some(poisoned) = &self.poisoned {
            return Err(poisoned.clone());
        }
        let Err(error) = self.active.write(bytes) else {
            return self.active.sync(bytes.len(), self.next - 1).map_err(|error| self.poison(&error));
        };
        // What was written in part must not come back after a crash: nobody was told of it.
        if let Err(error) = self.active.cut() {
            return Err(self.poison(&error));
        }
        Err(self.error(&error))
    }

    /// After this nothing is known of what the disk holds: only a restart reads it anew.
    fn poison(&mut self, error: &std::io::Error) -> AppendError {
        let _best_effort = self.active.cut();
        let detail = format!("syncing failed ({error}); nothing is written until a restart, reading goes on");
        tracing::error!(directory = %self.shared.place(), %error, "syncing failed: no more writes until a restart");
        let poisoned = AppendError::Failed { place: self.shared.place(), detail };
        self.poisoned = Some(poisoned.clone());
        *self.shared.trouble.lock() = Some(poisoned.clone());
        poisoned
    }

    fn error(&self, error: &std::io::Error) -> AppendError {
        let (place, detail) = (self.shared.place(), error.to_string());
        if disk::is_full(error) {
            AppendError::Full { place, detail }
        } else {
            AppendError::Failed { place, detail }
        }
    }

    fn record_trouble(&self, group: &Group, error: Option<&AppendError>) {
        let mut trouble = self.shared.trouble.lock();
        if error.is_some() {
            *trouble = error.cloned();
        } else if !group.buffer.is_empty() && trouble.is_some() {
            *trouble = None;
        }
    }

    /// Puts what is committed into the index, tells the follower, answers.
    fn publish(&mut self, group: &mut Group, now: Timestamp) {
        if group.members.is_empty() {
            return;
        }
        let through = Offset::new(self.next - 1);
        let steady = self.shared.clock.steady();
        self.record(group, now, steady);
        let follower = self.shared.follower.lock();
        let mut index = self.shared.index.write();
        let mut trimmed = index.commit(&self.active.segment, &group.events, &group.places, steady);
        index.through = through;
        trimmed.extend(index.enforce_changed(steady, &self.shared.files));
        self.shared.count_channels(&index);
        drop(index);
        if let Some(follower) = &*follower {
            follower.committed(&group.events, through);
        }
        Shared::tell_trimmed(follower.as_ref(), &trimmed);
        drop(follower);
        for member in group.members.drain(..) {
            let _gone = member.answer.send(Ok(member.appended));
        }
    }

    /// Remembers keys, and what the segment's index will say of this group.
    fn record(&mut self, group: &mut Group, now: Timestamp, steady: Timestamp) {
        let notes = &mut self.active.notes;
        notes.used = self.next - 1;
        notes.last_time = notes.last_time.max(now.as_millis());
        self.active.segment.last_time.store(notes.last_time, Ordering::Relaxed);
        for member in &mut group.members {
            let Appended { first, count, .. } = member.appended;
            let Some((key, fingerprint)) = member.key.take() else { continue };
            let (stored, time) = (key.as_str().to_owned(), steady.as_millis());
            self.window.remember(key, fingerprint, first, count, steady);
            if member.durable {
                let record = KeyRecord { key: stored, fingerprint, first: first.get(), count, time };
                self.active.record_key(record, &self.window);
            }
        }
    }

    fn trim(&mut self, channel: &Channel, through: Offset) -> Result<(), TrimError> {
        let shared = Arc::clone(&self.shared);
        let failed = |detail: String| TrimError::Failed {
            channel: channel.to_string(),
            place: shared.place(),
            detail,
        };
        let through = through.min(Offset::new(self.next - 1));
        if self.is_durable(channel) {
            let target = repair::repairing(&shared, || {
                let index = shared.index.read();
                index
                    .channel(channel)
                    .map_or(Ok(Offset::ZERO), |found| found.trim_target(through, &shared.files))
            });
            let target = target.map_err(|error| failed(error.to_string()))?;
            if target > shared.index.read().state(channel).trimmed_through {
                self.write_trim(channel, target).map_err(|error| failed(error.to_string()))?;
            }
        }
        let follower = shared.follower.lock();
        let trimmed = shared.index.write().trim(channel, through, &shared.files);
        let trimmed = trimmed.map_err(|error| failed(error.to_string()))?;
        let trimmed: Vec<_> = trimmed.map(|through| (channel.clone(), through)).into_iter().collect();
        Shared::tell_trimmed(follower.as_ref(), &trimmed);
        Ok(())
    }

    fn write_trim(&mut self, channel: &Channel, target: Offset) -> Result<(), AppendError> {
        let now = self.now();
        self.make_room((layout::FRAME_HEADER_BYTES + channel.as_str().len()) as u64)?;
        let mut bytes = Vec::new();
        let encoder = self.active.encoder();
        encoder.control(&mut bytes, FrameKind::Trim, target.get(), now.as_millis(), channel.as_str());
        self.write_bytes(&bytes)?;
        self.active.notes.trims.push((channel.clone(), target.get()));
        Ok(())
    }

    /// After a failure: writes a record that means nothing new, so that the health page does not stay at the
    /// failure when nobody publishes.
    fn probe(&mut self) {
        if self.poisoned.is_some() || self.shared.trouble.lock().is_none() {
            return;
        }
        let mut bytes = Vec::new();
        let (now, reserved) = (self.now(), self.shared.reserved.load(Ordering::Relaxed));
        let filler = " ".repeat(PROBE_BYTES);
        self.active.encoder().control(&mut bytes, FrameKind::Reserve, reserved, now.as_millis(), &filler);
        let result = self.write_bytes(&bytes);
        *self.shared.trouble.lock() = result.err();
    }

    /// Without this note the next start has to skip everything that was reserved.
    fn record_close(&mut self) {
        let mut bytes = Vec::new();
        let now = self.now();
        self.active.encoder().control(&mut bytes, FrameKind::Closed, self.next - 1, now.as_millis(), "");
        if let Err(error) = self.write_bytes(&bytes) {
            tracing::warn!(%error, "the log could not be marked as closed");
        } else if let Err(error) = self.active.cut() {
            tracing::debug!(%error, "what was allocated ahead could not be given back");
        }
        let seal = self.active.seal(self.next - 1);
        self.active.segment.seal.get_or_init(|| seal);
        if let Err(error) = manifest::write(&self.shared) {
            tracing::warn!(%error, "how the log ends could not be noted");
        }
        *self.shared.follower.lock() = None;
    }
}

fn encode_record(
    encoder: Encoder,
    buffer: &mut Vec<u8>,
    first: u64,
    offset: u64,
    publication: &Publication,
) -> Place {
    let record = Record {
        offset,
        binary: Record::is_binary(&publication.payload),
        channel: publication.channel.as_str(),
        name: publication.name.as_str(),
        payload: publication.payload.as_bytes(),
    };
    encoder.record(buffer, first, &record)
}
