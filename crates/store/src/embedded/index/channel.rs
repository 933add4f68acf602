//! One channel: which events of it are kept, in which segments, and what is gone.
//!
//! It is a list of runs, one a segment that holds events of it. A run of a segment without an index file has
//! its entries in memory; one of a sealed segment has a few numbers in memory and its entries in the index
//! file. Retention takes events from the front, so a run also knows how many of its entries are gone.
//!
//! Invariants:
//! - `events` and `bytes` are exactly what the runs hold behind their `skip`.
//! - Everything up to `trimmed_through` is skipped, nothing after it is.

use std::sync::{Arc, atomic::Ordering};

use anywire_log::{Channel, ChannelState, Keep, Offset, Retention, Timestamp};

use crate::embedded::{
    index::runs::Runs,
    segment::{
        error::FileError,
        file::Segment,
        files::Files,
        layout::RECORD_HEADER_BYTES,
        segment_index::{ChannelSummary, Entry},
    },
};

/// What [`anywire_log::Event::weight_bytes`] counts for an event beside its content, less what a record has
/// beside it.
const WEIGHT_BESIDE_RECORD: u64 = 64 - RECORD_HEADER_BYTES as u64;

/// What events weigh for retention whose records take `record_bytes`.
pub(crate) fn weight_bytes(events: u64, record_bytes: u64) -> u64 {
    record_bytes + events * WEIGHT_BESIDE_RECORD
}

/// Where a run has its entries.
#[derive(Debug, Clone)]
pub(crate) enum Entries {
    /// In the run itself, as its first, or nowhere: the segment has no index yet. Most channels of a log that
    /// has very many have one entry in a segment.
    One,
    /// In memory, and more than one: the segment has no index yet.
    #[expect(clippy::box_collection, reason = "a list would make every run 16 bytes larger")]
    Memory(Box<Vec<Entry>>),
    /// In the segment's index, from this entry on.
    Index(u32),
}

/// A channel's part of one segment.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) segment: Arc<Segment>,
    pub(crate) entries: Entries,
    pub(crate) count: u32,
    /// How many entries at the front are gone.
    pub(crate) skip: u32,
    skip_bytes: u32,
    /// The time of the first that is not gone, as in its entry.
    oldest: u32,
    first: Entry,
    pub(crate) last: Entry,
}

impl Run {
    fn new(segment: &Arc<Segment>) -> Self {
        Self {
            segment: Arc::clone(segment),
            entries: Entries::One,
            count: 0,
            skip: 0,
            skip_bytes: 0,
            oldest: 0,
            first: Entry::default(),
            last: Entry::default(),
        }
    }

    /// A run of a segment whose index is not written yet.
    pub(crate) fn in_memory(segment: &Arc<Segment>, entries: Vec<Entry>) -> Self {
        let (first, last) = (entries.first().copied(), entries.last().copied());
        Self {
            count: crate::embedded::segment::segment_index::size(entries.len()),
            oldest: first.unwrap_or_default().time,
            first: first.unwrap_or_default(),
            last: last.unwrap_or_default(),
            entries: if entries.len() > 1 { Entries::Memory(Box::new(entries)) } else { Entries::One },
            ..Self::new(segment)
        }
    }

    /// A run whose entries stand in its segment's index.
    pub(crate) fn indexed(segment: &Arc<Segment>, start: u32, summary: &ChannelSummary) -> Self {
        let ChannelSummary { count, first, last, .. } = *summary;
        Self { entries: Entries::Index(start), count, oldest: first.time, first, last, ..Self::new(segment) }
    }

    pub(crate) fn offset(&self, entry: &Entry) -> Offset {
        Offset::new(self.segment.header.base + u64::from(entry.offset))
    }

    /// The offset of its first entry, kept or not.
    pub(crate) fn first_offset(&self) -> Offset {
        self.offset(&self.first)
    }

    /// Some of its entries, which are in memory, as a run of their own.
    pub(crate) fn piece(&self, entries: &[Entry]) -> Self {
        Self::in_memory(&self.segment, entries.to_vec())
    }

    pub(crate) fn last_offset(&self) -> Offset {
        self.offset(&self.last)
    }

    pub(crate) fn time(&self, entry: &Entry) -> Timestamp {
        self.time_of(entry.time)
    }

    fn time_of(&self, millis: u32) -> Timestamp {
        Timestamp::from_millis(self.segment.header.base_time + i64::from(millis))
    }

    fn push(&mut self, entry: Entry) {
        match &mut self.entries {
            Entries::One if self.count == 0 => (self.first, self.oldest) = (entry, entry.time),
            Entries::One => self.entries = Entries::Memory(Box::new(vec![self.first, entry])),
            Entries::Memory(entries) => entries.push(entry),
            Entries::Index(_) => return,
        }
        self.last = entry;
        self.count += 1;
    }

    /// Its entries, where they are in memory.
    pub(crate) fn in_memory_entries(&self) -> Option<&[Entry]> {
        match &self.entries {
            Entries::One => Some(&std::slice::from_ref(&self.first)[..self.count as usize]),
            Entries::Memory(entries) => Some(entries),
            Entries::Index(_) => None,
        }
    }

    pub(crate) fn live_events(&self) -> u64 {
        u64::from(self.count - self.skip)
    }

    fn live_bytes(&self) -> u64 {
        u64::from(self.last.end_bytes - self.skip_bytes)
    }

    pub(crate) fn entry(&self, at: u32, files: &Files) -> Result<Entry, FileError> {
        match &self.entries {
            _ if at == 0 => Ok(self.first),
            _ if at + 1 == self.count => Ok(self.last),
            // There is no other than the first.
            Entries::One => Ok(self.last),
            Entries::Memory(entries) => Ok(entries[at as usize]),
            Entries::Index(start) => files.entry(&self.segment, start + at),
        }
    }

    /// The first place from `from` on whose entry does not satisfy `before`, which holds for a first part of
    /// them.
    pub(crate) fn partition(
        &self,
        from: u32,
        files: &Files,
        before: impl Fn(&Entry) -> bool,
    ) -> Result<u32, FileError> {
        let (mut low, mut high) = (from, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&self.entry(middle, files)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// One channel.
#[derive(Debug)]
pub(crate) struct ChannelIndex {
    pub(crate) name: Channel,
    retention: Arc<Retention>,
    pub(crate) events: u64,
    /// What the kept events weigh.
    bytes: u64,
    pub(crate) last: Offset,
    pub(crate) trimmed_through: Offset,
    pub(crate) runs: Runs<Run>,
}

impl ChannelIndex {
    pub(crate) fn new(name: Channel, retention: Arc<Retention>, trimmed_through: Offset) -> Self {
        Self {
            name,
            retention,
            events: 0,
            bytes: 0,
            last: trimmed_through,
            trimmed_through,
            runs: Runs::default(),
        }
    }

    pub(crate) fn state(&self) -> ChannelState {
        ChannelState { last: self.last, trimmed_through: self.trimmed_through, events: self.events }
    }

    /// The offset of its event, where only the newest is kept.
    pub(crate) fn only_offset(&self) -> Option<Offset> {
        (self.retention.keep == Keep::Latest && self.events > 0).then_some(self.last)
    }

    /// Adds an event of the active segment; returns whether it is the channel's first there.
    pub(crate) fn push(
        &mut self,
        segment: &Arc<Segment>,
        offset: Offset,
        time: Timestamp,
        place: crate::embedded::segment::layout::Place,
    ) -> bool {
        let fresh = self.runs.back().is_none_or(|run| run.segment.id != segment.id);
        if fresh {
            self.runs.push_back(Run::new(segment));
        }
        let run = self.runs.back_mut().expect("it was just put there");
        run.push(Entry {
            offset: step(offset.get() - segment.header.base),
            position: place.position,
            end_bytes: run.last.end_bytes + place.bytes,
            time: step(time.millis_since(Timestamp::from_millis(segment.header.base_time))),
        });
        self.last = offset;
        self.gained(1, u64::from(place.bytes), segment);
        fresh
    }

    /// Adds the newest run, of an index file.
    pub(crate) fn push_run(&mut self, run: Run) {
        self.last = self.last.max(run.last_offset());
        self.gained(run.live_events(), run.live_bytes(), &Arc::clone(&run.segment));
        self.runs.push_back(run);
    }

    fn gained(&mut self, events: u64, record_bytes: u64, segment: &Segment) {
        self.events += events;
        self.bytes += weight_bytes(events, record_bytes);
        segment.gained(events, record_bytes);
    }

    fn lost(&mut self, events: u64, record_bytes: u64, segment: &Segment) {
        self.events -= events;
        self.bytes -= weight_bytes(events, record_bytes);
        segment.lost(events, record_bytes);
    }

    /// Takes what retention does not keep; returns whether that was anything.
    pub(crate) fn enforce(&mut self, now: Timestamp, files: &Files) -> Result<bool, FileError> {
        let before = self.trimmed_through;
        // Of a file that is gone no part can be found, and none is read any more: all of it goes at once.
        while self.is_exceeded(now) && self.begins_in_gone_file() {
            self.take_front_run();
        }
        let limit = self.retention.events_limit();
        self.take_oldest(self.events.saturating_sub(limit), files)?;
        while self.bytes > self.retention.bytes_max && self.events > 1 {
            self.take_heaviest(files)?;
        }
        if self.events > 0 && self.is_expired(self.newest_time(), now) {
            self.take_oldest(self.events, files)?;
        }
        while self.events > 0 && self.is_expired(self.oldest_time(), now) {
            self.take_expired(now, files)?;
        }
        Ok(self.trimmed_through != before)
    }

    /// Whether retention would take something now. Cost: O(1), no file.
    pub(crate) fn is_exceeded(&self, now: Timestamp) -> bool {
        self.retention.exceeded(self.events, self.bytes, self.oldest_time().min(self.newest_time()), now)
    }

    /// Whether its oldest events stood in a file that is not there any more.
    pub(crate) fn begins_in_gone_file(&self) -> bool {
        self.runs.front().is_some_and(|run| run.segment.gone.load(Ordering::Relaxed))
    }

    /// When its oldest event was written.
    fn oldest_time(&self) -> Timestamp {
        self.runs.front().map_or(Timestamp::default(), |run| run.time_of(run.oldest))
    }

    /// When its newest event was written. The clock may have been ahead when older ones were: they are no
    /// younger.
    fn newest_time(&self) -> Timestamp {
        self.runs.back().map_or(Timestamp::default(), |run| run.time(&run.last))
    }

    fn is_expired(&self, time: Timestamp, now: Timestamp) -> bool {
        now.millis_since(time) > self.retention.age_max_ms
    }

    /// Takes the `count` oldest events.
    fn take_oldest(&mut self, mut count: u64, files: &Files) -> Result<(), FileError> {
        while count > 0 {
            let Some(run) = self.runs.front() else { return Ok(()) };
            if run.live_events() <= count {
                count -= run.live_events();
                self.take_front_run();
            } else {
                let skip = run.skip + u32::try_from(count).expect("less than the run has");
                return self.skip_to(skip, files);
            }
        }
        Ok(())
    }

    /// Takes from the front run as little as brings the channel below its bytes, but never the last event.
    fn take_heaviest(&mut self, files: &Files) -> Result<(), FileError> {
        let Some(run) = self.runs.front() else { return Ok(()) };
        let excess = self.bytes - self.retention.bytes_max;
        if weight_bytes(run.live_events(), run.live_bytes()) <= excess && self.events > run.live_events() {
            self.take_front_run();
            return Ok(());
        }
        let (mut low, mut high) = (run.skip + 1, run.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes = run.entry(middle - 1, files)?.end_bytes - run.skip_bytes;
            if weight_bytes(u64::from(middle - run.skip), u64::from(bytes)) < excess {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low < run.count {
            self.skip_to(low, files)
        } else if self.events > run.live_events() {
            self.take_front_run();
            Ok(())
        } else {
            let all_but_one = run.count - 1;
            self.skip_to(all_but_one, files)
        }
    }

    fn take_expired(&mut self, now: Timestamp, files: &Files) -> Result<(), FileError> {
        let Some(run) = self.runs.front() else { return Ok(()) };
        let first_kept = run.partition(run.skip, files, |entry| self.is_expired(run.time(entry), now))?;
        if first_kept == run.count {
            self.take_front_run();
            Ok(())
        } else {
            self.skip_to(first_kept, files)
        }
    }

    /// Takes everything up to an offset; returns whether that was anything.
    pub(crate) fn trim(&mut self, through: Offset, files: &Files) -> Result<bool, FileError> {
        let before = self.trimmed_through;
        while let Some(run) = self.runs.front() {
            if run.last_offset() <= through {
                self.take_front_run();
                continue;
            }
            if run.first_offset() <= through {
                let skip = run.partition(run.skip, files, |entry| run.offset(entry) <= through)?;
                self.skip_to(skip, files)?;
            }
            break;
        }
        Ok(self.trimmed_through != before)
    }

    /// What [`ChannelIndex::trim`] would leave as `trimmed_through`.
    pub(crate) fn trim_target(&self, through: Offset, files: &Files) -> Result<Offset, FileError> {
        let mut target = self.trimmed_through;
        for run in self.runs.iter() {
            if run.last_offset() <= through {
                target = run.last_offset();
                continue;
            }
            let skip = run.partition(run.skip, files, |entry| run.offset(entry) <= through)?;
            if skip > run.skip {
                target = run.offset(&run.entry(skip - 1, files)?);
            }
            break;
        }
        Ok(target)
    }

    /// At start: everything up to an offset was gone before, whether or not its events are still in a file.
    pub(crate) fn set_trimmed(&mut self, through: Offset, files: &Files) -> Result<(), FileError> {
        self.trim(through, files)?;
        self.trimmed_through = self.trimmed_through.max(through);
        self.last = self.last.max(self.trimmed_through);
        Ok(())
    }

    fn take_front_run(&mut self) {
        if let Some(run) = self.runs.pop_front() {
            self.lost(run.live_events(), run.live_bytes(), &run.segment);
            self.trimmed_through = self.trimmed_through.max(run.last_offset());
        }
    }

    /// Moves the front run's `skip` forward to a place before its end.
    fn skip_to(&mut self, skip: u32, files: &Files) -> Result<(), FileError> {
        let Some(run) = self.runs.front_mut() else { return Ok(()) };
        if skip <= run.skip {
            return Ok(());
        }
        let (gone, oldest) = (run.entry(skip - 1, files)?, run.entry(skip, files)?);
        let (events, bytes) = (u64::from(skip - run.skip), u64::from(gone.end_bytes - run.skip_bytes));
        run.skip = skip;
        run.skip_bytes = gone.end_bytes;
        run.oldest = oldest.time;
        let (through, segment) = (run.offset(&gone), Arc::clone(&run.segment));
        self.trimmed_through = self.trimmed_through.max(through);
        self.lost(events, bytes, &segment);
        Ok(())
    }

    /// Puts a run in the place of those of the segments `old`, which it was made from. What was taken from
    /// them meanwhile is taken from it too.
    pub(crate) fn replace(&mut self, old: &[u64], mut new: Run, files: &Files) -> Result<(), FileError> {
        let replaced = |run: &Run| old.contains(&run.segment.id);
        let Some(at) = self.runs.iter().position(replaced) else { return Ok(()) };
        new.skip = new.partition(0, files, |entry| new.offset(entry) <= self.trimmed_through)?;
        new.oldest = if new.skip < new.count { new.entry(new.skip, files)?.time } else { new.last.time };
        new.skip_bytes = if new.skip == 0 { 0 } else { new.entry(new.skip - 1, files)?.end_bytes };
        while self.runs.get(at).is_some_and(replaced) {
            let run = self.runs.remove(at).expect("it is there");
            self.lost(run.live_events(), run.live_bytes(), &run.segment);
        }
        if new.skip < new.count {
            self.gained(new.live_events(), new.live_bytes(), &Arc::clone(&new.segment));
            self.runs.insert(at, new);
        }
        Ok(())
    }

    /// The entries of a sealed segment stand in its index now.
    pub(crate) fn entries_moved(&mut self, segment: u64, start: u32) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.segment.id == segment) {
            run.entries = Entries::Index(start);
        }
    }
}

fn step(distance: u64) -> u32 {
    u32::try_from(distance).expect("a segment is sealed long before it spans 2^32 offsets or milliseconds")
}
