//! Polls: what an answer holds, and which cursor it gives (PROTOCOL.md, section 6).
//!
//! Invariants:
//! - The cursor of an answer is canonical: it depends on the channels and what the answer covers, not on when
//!   it was asked for.
//! - It never passes an event that the answer does not hold.
//! - What caches may keep longest has the same answer for ever: only what follows a cursor has, where every
//!   event is kept.

use std::sync::Arc;

use anywire_log::{
    Channel, Cursor, Event, Gap, Keep, Log, Offset, Peek, Position, ReadError, ReadLimit, Subscription,
};
use anywire_protocol::{
    Code, Refusal,
    conditional::none_match,
    poll::{Answer, BYTES_MAX, Caching, EVENTS_MAX, answer},
};

use crate::{admission::entry::Admitted, reply::Reply};

/// One poll under way.
pub(crate) struct Poll {
    pub(crate) subscription: Subscription,
    limit: usize,
    /// The most that caches may do with the answer.
    caching: Caching,
    /// The newest event on the channels when the poll began: where it stands if nothing follows.
    newest: Offset,
    gap: Option<Gap>,
    delivered: usize,
    told_gap: bool,
}

impl Poll {
    /// Begins a poll.
    pub(crate) fn begin(log: &Log, channels: &[Channel], position: Position, limit: Option<usize>) -> Self {
        // Before the subscription: what is committed between the two is after this cursor, not lost.
        let newest = channels.iter().map(|channel| log.newest(channel)).max().unwrap_or_default();
        let mut subscription = Subscription::new();
        let gap = log.subscribe(&mut subscription, channels, position).gap;
        let (limit, caching) = (limit.unwrap_or(EVENTS_MAX), caching(position, &subscription));
        Self { subscription, limit, caching, newest, gap, delivered: 0, told_gap: false }
    }

    /// Goes on with a poll that had found nothing so far.
    pub(crate) fn resume(subscription: Subscription, limit: usize, caching: Caching, cursor: Cursor) -> Self {
        Self { subscription, limit, caching, newest: cursor.offset, gap: None, delivered: 0, told_gap: false }
    }

    /// How many events the answer held.
    pub(crate) fn delivered(&self) -> usize {
        self.delivered
    }

    /// Whether the answer held a gap.
    pub(crate) fn told_gap(&self) -> bool {
        self.told_gap
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn caching(&self) -> Caching {
        self.caching
    }

    /// The cursor while there is nothing new.
    pub(crate) fn idle_cursor(&self, log: &Log) -> Cursor {
        log.cursor(self.newest)
    }

    /// Reads what there is; `None` if there is nothing.
    pub(crate) async fn read(&mut self, log: &Log) -> Result<Option<Answer>, Refusal> {
        let read = self.read_events(log).await;
        read.map_err(|error| Refusal::new(Code::StorageFailed, error.to_string()))
    }

    async fn read_events(&mut self, log: &Log) -> Result<Option<Answer>, ReadError> {
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut bytes = 0;
        loop {
            let room = ReadLimit {
                events_max: self.limit - events.len(),
                bytes_max: BYTES_MAX.saturating_sub(bytes).max(1),
            };
            let start = events.len();
            match self.subscription.peek(log, room, &mut events) {
                Peek::Ready { through, live } => {
                    self.subscription.advance(through);
                    if live {
                        return Ok(self.finish(log, &events, false));
                    }
                }
                Peek::Behind(request) => {
                    let (batch, gap) = log.read_behind(request).await?;
                    if let Some(gap) = gap {
                        if self.gap.is_some() {
                            return Ok(self.finish(log, &events, true));
                        }
                        self.subscription.skip(&gap);
                        self.gap = Some(gap);
                        continue;
                    }
                    self.subscription.advance(batch.through);
                    events.extend(batch.events);
                }
            }
            bytes += events[start..].iter().map(|event| event.payload.as_bytes().len()).sum::<usize>();
            if events.len() >= self.limit || bytes >= BYTES_MAX {
                return Ok(self.finish(log, &events, true));
            }
        }
    }

    fn finish(&mut self, log: &Log, events: &[Arc<Event>], cut: bool) -> Option<Answer> {
        let gap = self.gap.take();
        if events.is_empty() && gap.is_none() {
            return None;
        }
        self.delivered = events.len();
        self.told_gap = gap.is_some();
        // Where everything is covered, so is what is gone on a channel without an event after it.
        let gone = gap.as_ref().map_or(Offset::ZERO, |gap| gap.to.offset);
        let offset = match events.last() {
            Some(last) if cut => last.offset,
            Some(last) => last.offset.max(gone),
            None if cut => self.subscription.cursor(gone),
            None => self.newest.max(gone),
        };
        // Whatever is published later comes after these.
        let full = events.len() >= self.limit;
        Some(answer(log.cursor(offset), events, gap.as_ref(), full).at_most(self.caching))
    }

    /// The answer where nothing has come: where to begin, or that there is nothing new. `known` is
    /// `If-None-Match`.
    pub(crate) fn reply_idle(&self, log: &Log, admitted: &Admitted, known: Option<&str>) -> Reply {
        let cursor = self.idle_cursor(log);
        let query = &admitted.query;
        if query.wait_s > 0 {
            return Reply::nothing_new(cursor);
        }
        match query.after {
            None => Reply::events(answer(cursor, &[], None, false), admitted.credentials),
            Some(_) if none_match(known, &format!("\"{cursor}\"")) => Reply::not_modified(cursor),
            Some(_) => Reply::nothing_new(cursor),
        }
    }
}

/// The most that caches may do with an answer from here.
fn caching(position: Position, subscription: &Subscription) -> Caching {
    let keeps_all = subscription.channels().all(|tail| tail.keep() == Keep::All);
    match position {
        // Whoever asks the same address later begins elsewhere.
        Position::Tail => Caching::Never,
        Position::After(_) if keeps_all => Caching::Immutable,
        // The oldest event that is kept, and the newest one, become others.
        Position::Oldest | Position::After(_) => Caching::Briefly,
    }
}
