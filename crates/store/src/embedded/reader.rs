//! Reads events back. Under the index's lock only a plan is made; entries and records are read without it, in
//! offset order, neighbours in the log at once.
//!
//! Invariant: a segment that is removed or rewritten while it is read makes the read begin anew, never a
//! hole; what cannot be read is a loss, of which the read tells.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{
    Channel, Durability, Event, EventName, Offset, Payload, Publication, ReadBatch, ReadError, ReadRequest,
    Timestamp,
};
use bytes::Bytes;

use crate::embedded::{
    compaction::repair,
    index::{Index, channel::Run},
    losses::Ahead,
    segment::{
        error::FileError,
        file::Segment,
        files::Files,
        layout::{self, RECORD_HEADER_BYTES, Record},
        segment_index::Entry,
    },
    shared::Shared,
};

/// How often a read begins anew because segments change under it; each time takes a rewritten segment.
const ATTEMPTS_MAX: usize = 10;
/// Records with less than this between them are read at once.
const HOLE_BYTES_MAX: u64 = 8 << 10;
/// How much is read at once.
const PIECE_BYTES_MAX: u64 = 256 << 10;
/// No event name is longer.
const NAME_BYTES_MAX: usize = 255;

/// What a read will do.
pub(crate) struct Plan {
    request: ReadRequest,
    /// Up to where the log was committed when the plan was made, or what was asked for if that is less.
    through: Offset,
    trimmed: Vec<(Channel, Offset)>,
    damaged: Vec<(Channel, Offset)>,
    ephemeral: ReadBatch,
    sources: Vec<Source>,
}

/// A channel's runs that may hold something, oldest first.
struct Source {
    channel: Channel,
    parts: std::vec::IntoIter<Part>,
    /// Entries that are not asked for yet, in reverse.
    ready: Vec<Located>,
}

/// What is needed of a run.
struct Part {
    run: Run,
    /// Where its entries begin; those of a run in memory were copied.
    from: u32,
    /// Where to begin is still to be found: after this offset.
    seek: Option<Offset>,
}

/// An event whose record is known.
#[derive(Clone)]
struct Located {
    segment: Arc<Segment>,
    offset: Offset,
    time: Timestamp,
    position: u32,
    bytes: u32,
    channel: usize,
}

impl Plan {
    /// Plans a read. Cost: O(channels · (log runs + what is asked for)), no file.
    pub(crate) fn new(index: &Index, request: ReadRequest, is_durable: impl Fn(&Channel) -> bool) -> Self {
        let (sound, damaged) = sound_through(index, &request, &is_durable);
        let through = request.through.min(index.through).min(sound).max(request.after);
        let mut trimmed = Vec::new();
        let mut sources = Vec::new();
        let mut ephemeral = Vec::new();
        for channel in &request.channels {
            let state = index.state(channel);
            if state.trimmed_through > request.after {
                trimmed.push((channel.clone(), state.trimmed_through));
            }
            match index.channel(channel) {
                // Who is told of a gap reads again after it.
                Some(_) if !damaged.is_empty() => {}
                Some(found) => sources.extend(Source::new(found, &request, through)),
                None if !is_durable(channel) => ephemeral.push(channel.clone()),
                None => {}
            }
        }
        let ephemeral = ReadRequest { channels: ephemeral, through, ..request.clone() };
        Self { through, trimmed, damaged, sources, ephemeral: index.ephemeral.read(&ephemeral), request }
    }

    /// Whether a file has to be read.
    pub(crate) fn needs_files(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Carries the plan out. Blocks.
    fn run(mut self, files: &Files) -> Result<ReadBatch, Fault> {
        let (located, complete) = self.locate(files)?;
        let channels: Vec<_> = self.sources.into_iter().map(|source| source.channel).collect();
        let mut events = read_records(&located, &channels, files)?;
        let complete = complete.min(self.ephemeral.through);
        events.append(&mut self.ephemeral.events);
        events.retain(|event| event.offset <= complete);
        events.sort_by_key(|event| event.offset);
        let through = cut(&mut events, &self.request, complete);
        Ok(ReadBatch { events, through, trimmed: self.trimmed, damaged: Vec::new() })
    }

    /// The answer of a plan that needs no file.
    pub(crate) fn without_files(self) -> ReadBatch {
        ReadBatch { trimmed: self.trimmed, damaged: self.damaged, ..self.ephemeral }
    }

    /// The records to read, in offset order, and up to where they are everything.
    fn locate(&mut self, files: &Files) -> Result<(Vec<Located>, Offset), FileError> {
        let events_max = self.request.events_max.max(1);
        let mut located: Vec<Located> = Vec::new();
        let mut payload_bytes_min = 0;
        let mut heap = BinaryHeap::new();
        for at in 0..self.sources.len() {
            let next = self.sources[at].next_offset(at, files, self.through)?;
            heap.extend(next.map(|offset| Reverse((offset, at))));
        }
        while let Some(Reverse((_, at))) = heap.pop() {
            if located.len() >= events_max
                || (!located.is_empty() && payload_bytes_min > self.request.bytes_max)
            {
                let complete = located.last().map_or(self.request.after, |located| located.offset);
                return Ok((located, complete));
            }
            if let Some(next) = self.sources[at].ready.pop() {
                let beside = RECORD_HEADER_BYTES + self.sources[at].channel.as_str().len() + NAME_BYTES_MAX;
                payload_bytes_min += (next.bytes as usize).saturating_sub(beside);
                located.push(next);
            }
            let next = self.sources[at].next_offset(at, files, self.through)?;
            heap.extend(next.map(|offset| Reverse((offset, at))));
        }
        Ok((located, self.through))
    }

    fn segments(&self) -> Vec<Arc<Segment>> {
        let parts = self.sources.iter().flat_map(|source| source.parts.as_slice());
        parts.map(|part| Arc::clone(&part.run.segment)).collect()
    }
}

/// Up to where nothing that is asked for is lost; or, where what comes next is lost, which channels lost it
/// and up to where.
fn sound_through(
    index: &Index,
    request: &ReadRequest,
    is_durable: impl Fn(&Channel) -> bool,
) -> (Offset, Vec<(Channel, Offset)>) {
    let mut sound = Offset::MAX;
    let mut damaged = Vec::new();
    if index.losses.is_empty() {
        return (sound, damaged);
    }
    for channel in request.channels.iter().filter(|channel| is_durable(channel)) {
        match index.lost_ahead(channel, request.after) {
            Ahead::Nothing => {}
            Ahead::Sound(through) => sound = sound.min(through),
            Ahead::Lost(through) => damaged.push((channel.clone(), through)),
        }
    }
    (sound, damaged)
}

impl Source {
    fn new(
        channel: &crate::embedded::index::channel::ChannelIndex,
        request: &ReadRequest,
        through: Offset,
    ) -> Option<Self> {
        let runs = &channel.runs;
        let first = runs.partition_point(|run| run.last_offset() <= request.after);
        let mut parts = Vec::new();
        let mut certain = 0;
        for run in runs.from(first).take_while(|run| run.first_offset() <= through) {
            if certain > request.events_max {
                break;
            }
            // How much of the first run comes after `after` is known only when its entries are read.
            if !parts.is_empty() {
                certain += usize::try_from(run.live_events()).unwrap_or(usize::MAX);
            }
            parts.push(Part::new(run, request));
        }
        let (channel, parts, ready) = (channel.name.clone(), parts.into_iter(), Vec::new());
        (parts.len() > 0).then_some(Self { channel, parts, ready })
    }

    /// The offset of the next entry; reads more entries if none is ready.
    fn next_offset(
        &mut self,
        at: usize,
        files: &Files,
        through: Offset,
    ) -> Result<Option<Offset>, FileError> {
        while self.ready.is_empty() {
            let Some(part) = self.parts.as_mut_slice().first_mut() else { return Ok(None) };
            if let Some(after) = part.seek.take() {
                let run = &part.run;
                part.from = run.partition(part.from, files, |entry| run.offset(entry) <= after)?;
            }
            let (mut ready, end) = part.entries(at, files)?;
            ready.reverse();
            self.ready = ready;
            if end == part.run.count {
                self.parts.next();
            } else {
                part.from = end;
            }
        }
        Ok(self.ready.last().map(|next| next.offset).filter(|offset| *offset <= through))
    }
}

/// How many entries are read from an index at once.
const ENTRIES_AT_ONCE: u32 = 128;

impl Part {
    fn new(run: &Run, request: &ReadRequest) -> Self {
        let Some(entries) = run.in_memory_entries() else {
            // Where `after` stands in it takes a read of the file: `from` is found when the entries are
            // read.
            return Self { run: run.clone(), from: run.skip, seek: Some(request.after) };
        };
        let after = |entry: &Entry| run.offset(entry) <= request.after;
        let from = (entries.partition_point(after)).max(run.skip as usize);
        // And one more behind: that there is more has to be seen.
        let to = entries.len().min(from.saturating_add(request.events_max).saturating_add(2));
        // One more in front: a record's length is the distance to its predecessor.
        let begin = from.saturating_sub(1);
        let copy = run.piece(&entries[begin..to]);
        Self { run: copy, from: u32::from(begin < from), seek: None }
    }

    /// The next entries and where those after them begin.
    fn entries(&self, channel: usize, files: &Files) -> Result<(Vec<Located>, u32), FileError> {
        let end = self.run.count.min(self.from + ENTRIES_AT_ONCE);
        let mut before = match self.from {
            0 => 0,
            from => self.run.entry(from - 1, files)?.end_bytes,
        };
        let mut located = Vec::with_capacity((end - self.from) as usize);
        for at in self.from..end {
            let entry = self.run.entry(at, files)?;
            located.push(Located {
                segment: Arc::clone(&self.run.segment),
                offset: self.run.offset(&entry),
                time: self.run.time(&entry),
                position: entry.position,
                bytes: entry.end_bytes.saturating_sub(before),
                channel,
            });
            before = entry.end_bytes;
        }
        Ok((located, end))
    }
}

/// Why a plan could not be carried out.
enum Fault {
    File(FileError),
    /// A segment holds something else than it should, or is gone: these events of one channel are lost.
    Lost {
        error: FileError,
        segment: Arc<Segment>,
        channel: Channel,
        first: Offset,
        last: Offset,
    },
}

impl From<FileError> for Fault {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// Reads records, neighbours at once.
fn read_records(located: &[Located], channels: &[Channel], files: &Files) -> Result<Vec<Arc<Event>>, Fault> {
    let mut events = Vec::with_capacity(located.len());
    let mut name: Option<EventName> = None;
    let mut rest = located;
    let mut buffer = Vec::new();
    while let Some(first) = rest.first() {
        let (piece, after) = rest.split_at(together(rest));
        let last = &piece[piece.len() - 1];
        let start = u64::from(first.position);
        let bytes = u64::from(last.position) + u64::from(last.bytes) - start;
        buffer.resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
        if let Err(error) = files.read_log(&first.segment, start, &mut buffer) {
            // One after the other, so that what can be read is not lost with what cannot.
            return match piece.len() {
                1 => Err(lost(rest, channels, files, error)),
                _ => one_by_one(located, channels, files),
            };
        }
        for (at, located) in piece.iter().enumerate() {
            let start = (located.position - first.position) as usize;
            let record = buffer.get(start..start + located.bytes as usize).unwrap_or_default();
            match located.event(record, &channels[located.channel], &mut name) {
                Ok(event) => events.push(Arc::new(event)),
                Err(error) => return Err(lost(&rest[at..], channels, files, error)),
            }
        }
        rest = after;
    }
    Ok(events)
}

fn one_by_one(located: &[Located], channels: &[Channel], files: &Files) -> Result<Vec<Arc<Event>>, Fault> {
    let mut events = Vec::with_capacity(located.len());
    for at in 0..located.len() {
        match located[at].read(channels, files) {
            Ok(event) => events.push(Arc::new(event)),
            Err(error) => return Err(lost(&located[at..], channels, files, error)),
        }
    }
    Ok(events)
}

/// What the first of these records, which cannot be read, means: it is lost, and with it those after it on
/// its channel that cannot be read either.
fn lost(located: &[Located], channels: &[Channel], files: &Files, error: FileError) -> Fault {
    let first = &located[0];
    let of_log = error.path() == first.segment.path;
    if !(of_log && (error.is_gone() || matches!(error, FileError::Damaged { .. }))) {
        return Fault::File(error);
    }
    let beside = located[1..].iter().filter(|one| one.channel == first.channel);
    let unreadable =
        beside.take_while(|one| one.segment.id == first.segment.id && one.read(channels, files).is_err());
    let last = unreadable.last().unwrap_or(first).offset;
    let (segment, channel) = (Arc::clone(&first.segment), channels[first.channel].clone());
    Fault::Lost { error, segment, channel, first: first.offset, last }
}

/// How many records at the front are read at once.
fn together(located: &[Located]) -> usize {
    let first = &located[0];
    let end = |located: &Located| u64::from(located.position) + u64::from(located.bytes);
    let apart = located.windows(2).position(|pair| {
        let (before, next) = (&pair[0], &pair[1]);
        next.segment.id != first.segment.id
            || u64::from(next.position) < end(before)
            || u64::from(next.position) - end(before) > HOLE_BYTES_MAX
            || end(next) - u64::from(first.position) > PIECE_BYTES_MAX
    });
    apart.map_or(located.len(), |before| before + 1)
}

impl Located {
    fn read(&self, channels: &[Channel], files: &Files) -> Result<Event, FileError> {
        let mut buffer = vec![0; self.bytes as usize];
        files.read_log(&self.segment, u64::from(self.position), &mut buffer)?;
        self.event(&buffer, &channels[self.channel], &mut None)
    }

    fn event(
        &self,
        bytes: &[u8],
        channel: &Channel,
        held: &mut Option<EventName>,
    ) -> Result<Event, FileError> {
        let record = layout::read_record(bytes, self.offset.get(), self.segment.header.seed());
        let damaged = |path, detail| FileError::Damaged { path, at: u64::from(self.position), detail };
        let Some(record) = record else {
            return Err(damaged(self.segment.path.clone(), "an event's checksum is wrong"));
        };
        if record.channel != channel.as_str() {
            return Err(damaged(self.segment.index_path(), "it names the wrong channel for an event"));
        }
        let name = match held {
            Some(name) if name.as_str() == record.name => name.clone(),
            _ => EventName::new(record.name)
                .map_err(|_| damaged(self.segment.path.clone(), "an event has no valid name"))?,
        };
        *held = Some(name.clone());
        let publication = Publication { channel: channel.clone(), name, payload: payload(&record) };
        Ok(Event::new(self.offset, self.time, publication))
    }
}

fn payload(record: &Record<'_>) -> Payload {
    let bytes = Bytes::copy_from_slice(record.payload);
    if record.binary { Payload::Binary(bytes) } else { Payload::Json(bytes) }
}

/// Cuts sorted events, which are everything up to `complete`, to the request's limits; returns up to where
/// they are everything then.
fn cut(events: &mut Vec<Arc<Event>>, request: &ReadRequest, complete: Offset) -> Offset {
    let mut bytes = 0;
    let fitting = events.iter().take(request.events_max.max(1)).enumerate().take_while(|(at, event)| {
        bytes += event.payload.as_bytes().len();
        *at == 0 || bytes <= request.bytes_max
    });
    let kept = fitting.count();
    if kept == events.len() {
        return complete;
    }
    events.truncate(kept);
    events.last().map_or(complete, |event| event.offset)
}

/// Reads events; begins anew when segments change meanwhile. Blocks.
pub(crate) fn read(shared: &Shared, request: &ReadRequest, first: Plan) -> Result<ReadBatch, ReadError> {
    let mut plan = Some(first);
    let failed = |error: FileError| ReadError::Failed { place: shared.place(), detail: error.to_string() };
    for _ in 0..ATTEMPTS_MAX {
        let plan = plan.take().unwrap_or_else(|| self::plan(shared, request.clone()));
        let segments = plan.segments();
        if !plan.needs_files() {
            return Ok(plan.without_files());
        }
        match plan.run(&shared.files) {
            Ok(batch) if are_current(&segments) => return Ok(batch),
            Err(Fault::File(error)) if are_current(&segments) && error.is_damaged_index() => {
                repair::index_again(shared, &error).map_err(failed)?;
            }
            Err(Fault::File(error)) if are_current(&segments) && !error.is_gone() => {
                return Err(failed(error));
            }
            Err(Fault::Lost { error, segment, channel, first, last }) if are_current(&segments) => {
                repair::record_loss(shared, &segment, &error, Some(channel), first, last);
            }
            Ok(_) | Err(_) => {}
        }
    }
    let detail = "its segments changed again and again while they were read".to_owned();
    Err(ReadError::Failed { place: shared.place(), detail })
}

pub(crate) fn plan(shared: &Shared, request: ReadRequest) -> Plan {
    let is_durable = |channel: &Channel| shared.rules.of(channel).durability == Durability::Durable;
    Plan::new(&shared.index.read(), request, is_durable)
}

/// Whether what was read from segments is what they held: none was removed or replaced meanwhile.
fn are_current(segments: &[Arc<Segment>]) -> bool {
    !segments.iter().any(|segment| segment.retired.load(Ordering::Acquire))
}
