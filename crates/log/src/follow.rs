//! Subscriptions on a log, and readers inside the process. A reader costs a cursor: what it does not read
//! waits in the log.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    Channel, Cursor, Event, Gap, GapReason, Log, Offset, Peek, Position, ReadError, ReadLimit, Subscription,
};

impl Log {
    /// Adds channels to a subscription, starting at a position.
    pub fn subscribe(
        &self,
        subscription: &mut Subscription,
        channels: &[Channel],
        position: Position,
    ) -> Started {
        // Before the channels are opened: what is committed between the two is then after the tail, not lost.
        let tail = self.tail_offset();
        let reason = match position {
            Position::Tail | Position::Oldest => None,
            Position::After(cursor) if cursor.epoch != self.epoch() => Some(GapReason::Epoch),
            Position::After(cursor) if cursor.offset > tail => Some(GapReason::Ahead),
            Position::After(_) => None,
        };
        let mut lost = Vec::new();
        for channel in channels {
            let handle = self.channel(channel);
            let after = match position {
                Position::Tail => tail,
                Position::After(cursor) if reason.is_none() => cursor.offset,
                Position::After(_) | Position::Oldest => self.oldest(channel),
            };
            lost.push((channel.clone(), after));
            subscription.add(handle, after);
        }
        let after = lost.iter().map(|(_, after)| *after).min().unwrap_or(tail);
        let gap = match (reason, position) {
            (Some(reason), Position::After(from)) => Some(Gap { from, to: self.cursor(after), reason, lost }),
            _ => None,
        };
        Started { after, gap }
    }

    /// Follows channels from a position, for readers inside the process.
    #[must_use]
    pub fn follow(self: &Arc<Self>, channels: &[Channel], position: Position) -> Follow {
        let moved = self.watch();
        let mut subscription = Subscription::new();
        let gap = self.subscribe(&mut subscription, channels, position).gap;
        Follow { log: Arc::clone(self), subscription, moved, gap }
    }
}

/// Where a subscription starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Delivery on the channels starts after this offset.
    pub after: Offset,
    /// The gap that the position itself makes: another epoch, or past the tail. Gaps of retention come with
    /// the first read.
    pub gap: Option<Gap>,
}

/// What a follower gets next.
#[derive(Debug, Clone)]
pub enum Followed {
    /// Events, in order.
    Events(Vec<Arc<Event>>),
    /// Something is gone.
    Gap(Gap),
}

/// A reader inside the process; see [`Log::follow`]. It costs a cursor: what it does not read waits in the
/// log.
pub struct Follow {
    log: Arc<Log>,
    subscription: Subscription,
    moved: watch::Receiver<Offset>,
    gap: Option<Gap>,
}

impl Follow {
    /// Follows further channels too, from a position of their own. Events come in the log's order all the
    /// same.
    #[must_use]
    pub fn and(mut self, channels: &[Channel], position: Position) -> Self {
        let gap = self.log.clone().subscribe(&mut self.subscription, channels, position).gap;
        self.gap = self.gap.or(gap);
        self
    }

    /// Where this reader stands.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.log.cursor(self.subscription.cursor(self.log.tail_offset()))
    }

    /// What there is at the moment without waiting for more: `None` when the reader is live.
    ///
    /// # Errors
    /// [`ReadError`] of the engine; asking again reads the same place again.
    pub async fn ready(&mut self) -> Result<Option<Followed>, ReadError> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Ok(Some(Followed::Gap(gap)));
            }
            let mut events = Vec::new();
            let (through, live) = match self.subscription.peek(&self.log, ReadLimit::default(), &mut events) {
                Peek::Ready { through, live } => (through, live),
                Peek::Behind(request) => {
                    let (batch, gap) = self.log.read_behind(request).await?;
                    if let Some(gap) = gap {
                        self.subscription.skip(&gap);
                        self.gap = Some(gap);
                        continue;
                    }
                    events = batch.events;
                    (batch.through, false)
                }
            };
            self.subscription.advance(through);
            match (events.is_empty(), live) {
                (false, _) => return Ok(Some(Followed::Events(events))),
                (true, true) => return Ok(None),
                (true, false) => {}
            }
        }
    }

    /// The next events or gap, as soon as there are any.
    ///
    /// # Errors
    /// [`ReadError`] of the engine; asking again reads the same place again.
    pub async fn next(&mut self) -> Result<Followed, ReadError> {
        loop {
            self.moved.mark_unchanged();
            if let Some(found) = self.ready().await? {
                return Ok(found);
            }
            if self.moved.changed().await.is_err() {
                return Err(ReadError::Closed);
            }
        }
    }
}
