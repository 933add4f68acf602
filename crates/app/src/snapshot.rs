//! Snapshots: what the events of a channel came to, so that the channel can be shortened and a start is fast.
//!
//! ```text
//! channel   … ▒▒▒▒▒▒▒▒▒▒ through ███ ███ [part 1] ███ [part 2] [part 3] ███ ███
//!             trimmed           └ read after the snapshot is restored ┘
//! ```
//! Invariant: what was committed between taking and writing a snapshot is read again after it, and nothing
//! that it contains is: a snapshot says up to where it reaches, and only that is trimmed, after its last part
//! is committed. So of all complete snapshots the one that reaches furthest is right, whoever wrote it and in
//! whatever order.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use anywire_log::{
    AppendError, Batch, Channel, ChannelError, Event, EventName, Followed, Log, Offset, Payload, Position,
    Publication, ReadError, TrimError,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::projection::{Projected, Projection, Shortened, Sources, Start};

/// A part of a snapshot that has more.
const PART: &str = "state_part";
/// Its last part.
const LAST: &str = "state";
/// How many unfinished snapshots are kept in mind while a channel is read.
const UNFINISHED_MAX: usize = 8;

/// A projection whose past can be replaced by few events.
pub trait Snapshot: Projection {
    /// The state at one moment, taken under the lock that commits wait for: references, not texts.
    type Image: Send;

    /// Whether events that a snapshot contains are applied all the same, from channels that are not
    /// shortened, for what the snapshot does not hold. The projection tells them by the offset it was
    /// restored at.
    const REREAD: bool = false;

    /// The channel that snapshots are written to and that is shortened. It is one of the sources, and only
    /// this projection reads it.
    fn channel() -> Channel;

    /// Takes the state.
    fn image(&self) -> Self::Image;

    /// The image in parts, each a JSON of at most about a MiB; at least one.
    ///
    /// # Errors
    /// What cannot be written.
    fn parts(image: Self::Image) -> Result<Vec<String>, serde_json::Error>;

    /// Begins with what was written, in its order; everything committed up to `through` is contained.
    ///
    /// # Errors
    /// What cannot be read.
    fn restore(&mut self, parts: &[&RawValue], through: Offset) -> Result<(), serde_json::Error>;
}

/// Why a snapshot was not written, or nothing was removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The state cannot be written as JSON.
    #[error("the state cannot be written: {0}")]
    State(String),
    /// A name is none.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What it contains could not be removed; it is kept, and read twice at the next start.
    #[error(transparent)]
    Trim(#[from] TrimError),
}

impl<P: Snapshot> Projected<P> {
    /// Rebuilds the state from its newest snapshot and what was committed since, and keeps it up to date from
    /// then on.
    ///
    /// Cost: two reads of what is kept on the snapshot's channel, one of the other sources.
    ///
    /// # Errors
    /// [`ReadError`] of the engine, or [`ReadError::Failed`] for a snapshot that cannot be read: what it
    /// contains is nowhere else.
    pub async fn open_from_snapshot(
        log: &Arc<Log>,
        sources: Sources,
        empty: impl Fn() -> P + Send,
    ) -> Result<Self, ReadError> {
        let own = Arc::clone(log);
        let begin_at = move |channels: Vec<Channel>| begin(Arc::clone(&own), channels, empty());
        let shortened = Shortened { channel: P::channel(), part_of };
        Self::open_shortened(log, sources, Some(shortened), begin_at).await
    }

    /// How many events were committed on the snapshot's channel since the last snapshot.
    #[must_use]
    pub fn since_snapshot(&self) -> u64 {
        self.at_one_moment(|_, _, records| records)
    }

    /// Writes a snapshot, then removes from its channel what the snapshot contains. Others may commit
    /// meanwhile and write snapshots of their own: of those that are complete the one that contains most
    /// counts.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was written by then is harmless.
    pub async fn snapshot(&self) -> Result<(), SnapshotError> {
        let (image, through) = self.image_at();
        write::<P>(self.log(), image, through).await
    }

    /// The state at one moment, and the offset up to which it contains everything.
    fn image_at(&self) -> (P::Image, Offset) {
        self.at_one_moment(|state, through, _| (state.image(), through))
    }
}

/// One part as it stands in the log.
#[derive(Serialize, Deserialize)]
struct Part<'a> {
    /// Which snapshot it belongs to.
    snapshot: u64,
    /// Everything up to here is contained.
    through: u64,
    /// Which part it is, from 1.
    part: usize,
    /// How many there are.
    parts: usize,
    #[serde(borrow)]
    state: &'a RawValue,
}

/// Whether an event is part of a snapshot, and if so whether the last.
fn part_of(event: &Event) -> Option<bool> {
    match event.name.as_str() {
        PART => Some(false),
        LAST => Some(true),
        _ => None,
    }
}

/// Writes an image that contains everything up to `through`, then trims that.
async fn write<P: Snapshot>(log: &Arc<Log>, image: P::Image, through: Offset) -> Result<(), SnapshotError> {
    let unwritable = |error: serde_json::Error| SnapshotError::State(error.to_string());
    let states = P::parts(image).map_err(unwritable)?;
    // JSON readers hold 53 bits exactly.
    let snapshot = std::hash::RandomState::new().build_hasher().finish() >> 11;
    let mut last = Offset::ZERO;
    for (at, state) in states.iter().enumerate() {
        let (part, parts) = (at + 1, states.len());
        let state: &RawValue = serde_json::from_str(state).map_err(unwritable)?;
        let part = Part { snapshot, through: through.get(), part, parts, state };
        let json = serde_json::to_vec(&part).map_err(unwritable)?;
        let name = EventName::new(if part.part == parts { LAST } else { PART });
        let name = name.map_err(|error| SnapshotError::State(error.to_string()))?;
        let publication = Publication { channel: P::channel(), name, payload: Payload::Json(json.into()) };
        last = log.append(Batch::one(publication)).await?.last();
    }
    log.reached(last).await;
    Ok(log.trim(P::channel(), through).await?)
}

/// The state of the furthest complete snapshot, and from where each channel is read on.
async fn begin<P: Snapshot>(
    log: Arc<Log>,
    channels: Vec<Channel>,
    mut state: P,
) -> Result<Start<P>, ReadError> {
    if channels.is_empty() {
        return Ok(Start::oldest(state));
    }
    let mut found = Found::default();
    let mut follow = log.follow(&[P::channel()], Position::Oldest);
    while let Some(next) = follow.ready().await? {
        if let Followed::Events(events) = next {
            events.iter().for_each(|event| found.take(event));
        }
    }
    let Some((through, parts)) = found.furthest else { return Ok(Start::oldest(state)) };
    restore(&mut state, &parts, through).map_err(|error| ReadError::Failed {
        place: format!("the snapshot on {} that reaches to {through}", P::channel()),
        detail: error.to_string(),
    })?;
    let after = Position::After(log.cursor(through));
    let shortened = P::channel();
    let rest = channels.into_iter().filter(|channel| !P::REREAD || *channel == shortened).collect();
    Ok(Start { state, positions: vec![(rest, after)] })
}

fn restore<P: Snapshot>(
    state: &mut P,
    parts: &[Arc<Event>],
    through: Offset,
) -> Result<(), serde_json::Error> {
    let parts: Result<Vec<Part<'_>>, _> =
        parts.iter().map(|event| serde_json::from_slice(event.payload.as_bytes())).collect();
    let states: Vec<&RawValue> = parts?.iter().map(|part| part.state).collect();
    state.restore(&states, through)
}

/// Snapshots while their channel is read.
#[derive(Default)]
struct Found {
    furthest: Option<(Offset, Vec<Arc<Event>>)>,
    /// Those whose last part was not read yet.
    unfinished: BTreeMap<u64, Vec<Arc<Event>>>,
}

impl Found {
    fn take(&mut self, event: &Arc<Event>) {
        let Some(is_last) = part_of(event) else { return };
        let Ok(part) = serde_json::from_slice::<Part<'_>>(event.payload.as_bytes()) else { return };
        let mut parts = self.unfinished.remove(&part.snapshot).unwrap_or_default();
        parts.push(Arc::clone(event));
        // A snapshot whose first parts were trimmed was replaced by one that reaches further.
        if parts.len() != part.part {
            return;
        }
        let through = Offset::new(part.through);
        if !is_last {
            self.unfinished.insert(part.snapshot, parts);
            while self.unfinished.len() > UNFINISHED_MAX {
                self.unfinished.pop_first();
            }
        } else if self.furthest.as_ref().is_none_or(|(reached, _)| *reached <= through) {
            self.furthest = Some((through, parts));
        }
    }
}

#[cfg(test)]
mod tests {
    use anywire_log::{Gap, MemoryEngine, Retention, RetentionRules, SystemClock, TailConfig};
    use serde_json::value::to_raw_value;

    use super::*;

    /// The numbers that were added, and how many events were applied since it was restored.
    #[derive(Default)]
    struct Sum {
        numbers: Vec<u64>,
        applied: usize,
    }

    impl Projection for Sum {
        fn apply(&mut self, event: &Event) {
            self.applied += 1;
            let text = String::from_utf8_lossy(event.payload.as_bytes()).into_owned();
            self.numbers.push(text.parse().expect("a number"));
        }

        fn lost(&mut self, gap: &Gap) {
            panic!("{gap:?}: what is trimmed is in the snapshot");
        }
    }

    impl Snapshot for Sum {
        type Image = Vec<u64>;

        fn channel() -> Channel {
            Channel::new("numbers").expect("a name")
        }

        fn image(&self) -> Vec<u64> {
            self.numbers.clone()
        }

        fn parts(image: Vec<u64>) -> Result<Vec<String>, serde_json::Error> {
            let parts: Vec<&[u64]> = if image.is_empty() { vec![&[]] } else { image.chunks(2).collect() };
            parts.into_iter().map(|part| Ok(to_raw_value(part)?.get().to_owned())).collect()
        }

        fn restore(&mut self, parts: &[&RawValue], _through: Offset) -> Result<(), serde_json::Error> {
            for part in parts {
                self.numbers.extend(serde_json::from_str::<Vec<u64>>(part.get())?);
            }
            Ok(())
        }
    }

    fn log() -> Arc<Log> {
        let rules = RetentionRules::new(Vec::new(), Retention::default());
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("an epoch");
        Log::start(Arc::new(engine), rules, TailConfig { bytes_max: 1 << 20 })
    }

    async fn add(log: &Arc<Log>, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            let name = EventName::new("added").expect("a name");
            let payload = Payload::Json(number.to_string().into());
            let batch = Batch::one(Publication { channel: Sum::channel(), name, payload });
            log.append(batch).await.expect("appended");
        }
    }

    async fn open(log: &Arc<Log>) -> Projected<Sum> {
        let sources = Sources::channels([Sum::channel()]);
        Projected::open_from_snapshot(log, sources, Sum::default).await.expect("read")
    }

    #[track_caller]
    fn check(projected: &Projected<Sum>, count: u64, applied: usize) {
        let state = projected.read();
        assert_eq!((state.numbers.clone(), state.applied), ((0..count).collect(), applied));
    }

    #[tokio::test]
    async fn a_state_begins_with_its_snapshot_and_reads_only_what_came_after_it() {
        let log = log();
        let projected = open(&log).await;
        add(&log, 0..5).await;
        assert_eq!(projected.since_snapshot(), 5);
        projected.snapshot().await.expect("written");
        assert_eq!(projected.since_snapshot(), 0);
        add(&log, 5..7).await;
        check(&projected, 7, 7);
        let again = open(&log).await;
        check(&again, 7, 2);
        assert_eq!(again.since_snapshot(), 2);
    }

    #[tokio::test]
    async fn what_is_committed_between_taking_and_writing_a_snapshot_is_counted_once() {
        let log = log();
        let projected = open(&log).await;
        add(&log, 0..5).await;
        let (image, through) = projected.image_at();
        add(&log, 5..8).await;
        write::<Sum>(&log, image, through).await.expect("written");
        add(&log, 8..9).await;
        check(&projected, 9, 9);
        check(&open(&log).await, 9, 4);
    }

    #[tokio::test]
    async fn of_two_processes_that_write_snapshots_at_once_the_one_that_reaches_furthest_counts() {
        let log = log();
        let (one, two) = (open(&log).await, open(&log).await);
        add(&log, 0..3).await;
        let (early, early_through) = one.image_at();
        add(&log, 3..6).await;
        let (late, late_through) = two.image_at();
        write::<Sum>(&log, late, late_through).await.expect("written");
        add(&log, 6..7).await;
        write::<Sum>(&log, early, early_through).await.expect("written");
        add(&log, 7..8).await;
        check(&open(&log).await, 8, 2);
        two.snapshot().await.expect("written");
        check(&open(&log).await, 8, 0);
    }

    #[tokio::test]
    async fn a_snapshot_that_was_not_finished_says_nothing() {
        let log = log();
        let projected = open(&log).await;
        add(&log, 0..5).await;
        let state = RawValue::from_string("[9,9]".to_owned()).expect("JSON");
        let part = Part { snapshot: 1, through: 5, part: 1, parts: 2, state: &state };
        let json = serde_json::to_vec(&part).expect("JSON");
        let name = EventName::new(PART).expect("a name");
        let payload = Payload::Json(json.into());
        let batch = Batch::one(Publication { channel: Sum::channel(), name, payload });
        log.append(batch).await.expect("appended");
        check(&projected, 5, 5);
        check(&open(&log).await, 5, 5);
    }

    #[tokio::test]
    async fn a_snapshot_that_cannot_be_read_is_an_error_that_names_it() {
        let log = log();
        let state = RawValue::from_string("\"no numbers\"".to_owned()).expect("JSON");
        let part = Part { snapshot: 1, through: 5, part: 1, parts: 1, state: &state };
        let json = serde_json::to_vec(&part).expect("JSON");
        let name = EventName::new(LAST).expect("a name");
        let payload = Payload::Json(json.into());
        let batch = Batch::one(Publication { channel: Sum::channel(), name, payload });
        log.append(batch).await.expect("appended");
        let sources = Sources::channels([Sum::channel()]);
        let opened = Projected::open_from_snapshot(&log, sources, Sum::default).await;
        let error = opened.err().expect("unreadable").to_string();
        assert!(error.contains("numbers that reaches to 5"), "{error}");
    }
}
