//! What the suite stands on: factories of engines, a follower that remembers, publications and rules.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Batch, Channel, ChannelPattern, Durability, Engine, Event, EventName, Follower, Keep, ManualClock,
    Offset, Payload, Publication, ReadBatch, ReadRequest, Retention, RetentionRule, RetentionRules,
    Timestamp,
};

/// Makes an engine over an empty place.
pub trait Factory {
    /// A new engine under these rules and this clock.
    fn make(&self, rules: RetentionRules, clock: Arc<ManualClock>) -> impl Future<Output = Arc<dyn Engine>>;
}

/// Makes engines over a place that survives them.
pub trait Restart: Factory {
    /// Ends an engine as a crash or a stop would and opens its place again.
    fn reopen(
        &self,
        engine: Arc<dyn Engine>,
        rules: RetentionRules,
        clock: Arc<ManualClock>,
    ) -> impl Future<Output = Arc<dyn Engine>>;
}

/// A follower that remembers what it was told.
#[derive(Default)]
pub struct Witness {
    seen: Mutex<Vec<Arc<Event>>>,
    pub(super) trimmed: Mutex<Vec<(Channel, Offset)>>,
}

impl Follower for Witness {
    fn committed(&self, events: &[Arc<Event>], through: Offset) {
        let mut seen = self.seen.lock();
        for event in events {
            assert!(seen.last().is_none_or(|last| last.offset < event.offset), "told out of order");
            assert!(event.offset <= through, "told of an event past `through`");
            seen.push(Arc::clone(event));
        }
    }

    fn trimmed(&self, channel: &Channel, through: Offset) {
        self.trimmed.lock().push((channel.clone(), through));
    }
}

impl Witness {
    /// The offsets it was told of.
    #[must_use]
    pub fn offsets(&self) -> Vec<u64> {
        self.seen.lock().iter().map(|event| event.offset.get()).collect()
    }
}

/// A publication of `data` on `channel`.
#[must_use]
pub fn publication(channel: &str, data: &str) -> Publication {
    Publication {
        channel: name(channel),
        name: EventName::new("test").expect("a valid name"),
        payload: Payload::Json(Bytes::copy_from_slice(data.as_bytes())),
    }
}

pub(super) fn name(channel: &str) -> Channel {
    Channel::new(channel).expect("a valid name")
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)))
}

/// Rules with which the suite runs: `few_*` keeps 3 events, `short_*` one second, `small_*` 400 bytes,
/// `memory_*` is ephemeral, `latest_*` keeps the newest.
#[must_use]
pub fn rules() -> RetentionRules {
    let rule = |pattern: &str, retention| RetentionRule { pattern: ChannelPattern::new(pattern), retention };
    let base = Retention::default;
    RetentionRules::new(
        vec![
            rule("few_*", Retention { events_max: 3, ..base() }),
            rule("short_*", Retention { age_max_ms: 1000, ..base() }),
            rule("small_*", Retention { bytes_max: 400, ..base() }),
            rule("memory_*", Retention { durability: Durability::Ephemeral, ..base() }),
            rule("latest_*", Retention { keep: Keep::Latest, ..base() }),
        ],
        base(),
    )
}

/// Everything on the channels after `after`, through as many reads as it takes, and what was trimmed.
///
/// # Panics
/// When the engine breaks its word.
pub async fn read_all(engine: &dyn Engine, channels: &[&str], after: u64) -> ReadBatch {
    let mut whole = ReadBatch { through: Offset::new(after), ..ReadBatch::default() };
    loop {
        let request = ReadRequest {
            channels: channels.iter().map(|text| name(text)).collect(),
            after: whole.through,
            through: Offset::MAX,
            events_max: 7,
            bytes_max: 1 << 20,
        };
        let batch = engine.read(request).await.expect("a read succeeds");
        assert!(batch.events.len() <= 7, "more events than asked for");
        if whole.events.is_empty() {
            whole.trimmed = batch.trimmed;
        }
        let done = batch.events.is_empty();
        for event in batch.events {
            assert!(event.offset > whole.through || whole.events.is_empty(), "out of order or repeated");
            assert!(event.offset.get() > after, "an event at or below `after`");
            whole.events.push(event);
        }
        whole.through = batch.through;
        if done || batch.through == Offset::MAX {
            return whole;
        }
    }
}

pub(super) fn texts(batch: &ReadBatch) -> Vec<String> {
    let text = |event: &Arc<Event>| String::from_utf8_lossy(event.payload.as_bytes()).into_owned();
    batch.events.iter().map(text).collect()
}

pub(super) async fn append(engine: &dyn Engine, channel: &str, data: &str) -> u64 {
    let batch = Batch::one(publication(channel, data));
    engine.append(batch).await.expect("an append succeeds").first.get()
}
