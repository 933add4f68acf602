//! Whatever is done to it, the embedded engine answers as the one in memory does, through stops and crashes.

mod copying;

use std::sync::Arc;

use anywire_log::{
    AppendError, Batch, Channel, Engine, Event, IdempotencyKey, ManualClock, MemoryEngine, Offset,
    ReadRequest, Timestamp,
    contract::{self, Witness},
};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};
use proptest::prelude::*;

const DURABLE: [&str; 7] = ["a", "b", "few_x", "few_y", "small_x", "latest_x", "short_x"];
const EPHEMERAL: &str = "memory_x";

#[derive(Debug, Clone)]
enum Step {
    Append {
        channels: Vec<usize>,
        payload_bytes: usize,
        key: Option<u8>,
        expect: Option<Seen>,
    },
    /// Batches that are handed in before the first is answered.
    Together {
        batches: Vec<(Vec<usize>, Option<Seen>)>,
    },
    Trim {
        channel: usize,
        back: u64,
    },
    Read {
        channels: Vec<usize>,
        back: u64,
        span: u64,
        events_max: usize,
        bytes_max: usize,
    },
    Pass {
        millis: u64,
    },
    Stop,
    Crash,
}

/// What a batch expects: that nothing came on a channel since the writer looked, so many events ago.
#[derive(Debug, Clone, Copy)]
struct Seen {
    channel: usize,
    back: u64,
}

fn seen() -> impl Strategy<Value = Seen> {
    (0..=DURABLE.len(), prop_oneof![Just(0), 0..12_u64]).prop_map(|(channel, back)| Seen { channel, back })
}

fn step() -> impl Strategy<Value = Step> {
    let channels = || proptest::collection::vec(0..=DURABLE.len(), 1..6);
    prop_oneof![
        20 => (
            channels(),
            2..300_usize,
            proptest::option::weighted(0.2, 0..20_u8),
            proptest::option::weighted(0.4, seen()),
        )
            .prop_map(|(channels, payload_bytes, key, expect)| Step::Append { channels, payload_bytes, key, expect }),
        3 => proptest::collection::vec((channels(), proptest::option::of(seen())), 2..8)
            .prop_map(|batches| Step::Together { batches }),
        1 => (0..=DURABLE.len(), 0..60_u64).prop_map(|(channel, back)| Step::Trim { channel, back }),
        3 => (channels(), 0..100_u64, 0..60_u64, 1..20_usize, 1..2000_usize).prop_map(
            |(channels, back, span, events_max, bytes_max)| Step::Read { channels, back, span, events_max, bytes_max }
        ),
        2 => (0..700_u64).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Stop),
        1 => Just(Step::Crash),
    ]
}

fn channel(number: usize) -> Channel {
    Channel::new(DURABLE.get(number).unwrap_or(&EPHEMERAL)).expect("a name")
}

/// The engine under test beside its model, and what an offset of the model is in the engine.
struct Pair {
    directories: Vec<tempfile::TempDir>,
    engine: Option<EmbeddedEngine>,
    model: MemoryEngine,
    clock: Arc<ManualClock>,
    /// The engine's offset of each of the model's.
    offsets: Vec<Offset>,
    /// Ephemeral events up to here (in the model) were lost by a restart.
    restarted_at: usize,
    /// The engine's tail when it was opened.
    opened_at: Offset,
    count: usize,
}

impl Pair {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
        let mut pair = Self {
            directories: vec![tempfile::tempdir().expect("a directory")],
            engine: None,
            model: MemoryEngine::new(contract::rules(), Arc::clone(&clock) as _).expect("an engine"),
            clock,
            offsets: vec![Offset::ZERO],
            restarted_at: 0,
            opened_at: Offset::ZERO,
            count: 0,
        };
        pair.model.follow(Arc::new(Witness::default()));
        pair.open();
        pair
    }

    fn open(&mut self) {
        let mut config = EmbeddedConfig::new(self.directories.last().expect("one").path());
        config.segment_bytes_max = 4096;
        let engine =
            EmbeddedEngine::open(config, contract::rules(), Arc::clone(&self.clock) as _).expect("it opens");
        let through = engine.follow(Arc::new(Witness::default()));
        assert!(through >= *self.offsets.last().expect("zero at least"), "the tail went back");
        self.opened_at = through;
        self.engine = Some(engine);
    }

    fn engine(&self) -> &EmbeddedEngine {
        self.engine.as_ref().expect("it is open")
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append { channels, payload_bytes, key, expect } => {
                let (expected, found) = self.batches(&channels, payload_bytes, key, expect);
                self.append(expected, found).await;
            }
            Step::Together { batches } => self.append_together(&batches).await,
            Step::Trim { channel: number, back } => {
                let through = Offset::new((self.offsets.len() as u64 - 1).saturating_sub(back));
                self.model.trim(channel(number), through).await.expect("the model trims");
                self.engine().trim(channel(number), self.real(through)).await.expect("it trims");
            }
            Step::Read { channels, back, span, events_max, bytes_max } => {
                let after = Offset::new((self.offsets.len() as u64 - 1).saturating_sub(back));
                self.read(&channels, after, after.plus(span), events_max, bytes_max).await;
            }
            Step::Pass { millis } => {
                self.clock.advance_millis(millis);
                self.enforce();
            }
            Step::Stop => {
                self.engine().close().await;
                self.engine = None;
                self.restart();
            }
            Step::Crash => {
                let copy = tempfile::tempdir().expect("a directory");
                copying::copy_at_rest(self.directories.last().expect("one").path(), copy.path());
                self.engine = None;
                self.directories.push(copy);
                self.restart();
            }
        }
        self.compare().await;
    }

    fn restart(&mut self) {
        self.restarted_at = self.offsets.len() - 1;
        self.open();
        self.enforce();
    }

    fn enforce(&self) {
        let now = anywire_log::Clock::now(&*self.clock);
        self.model.enforce_retention(now);
        self.engine().enforce_retention(now);
    }

    fn real(&self, model: Offset) -> Offset {
        let at = usize::try_from(model.get()).expect("small").min(self.offsets.len() - 1);
        self.offsets[at]
    }

    /// One batch for the model and the same for the engine.
    fn batches(
        &mut self,
        channels: &[usize],
        payload_bytes: usize,
        key: Option<u8>,
        expect: Option<Seen>,
    ) -> (Batch, Batch) {
        let mut publications = Vec::new();
        for number in channels {
            // A repeated key has to find the same content.
            let serial = key.map_or(self.count, |key| 1_000_000 + usize::from(key));
            self.count += 1;
            let data = format!("{serial:0width$}", width = payload_bytes);
            publications.push(contract::publication(channel(*number).as_str(), &data));
        }
        let durable = channels.iter().any(|number| *number < DURABLE.len());
        let mut batch = Batch::new(publications);
        if let (Some(key), true) = (key, durable) {
            batch = batch.with_key(IdempotencyKey::new(&format!("key-{key}")).expect("a key"));
        }
        let Some(Seen { channel: number, back }) = expect else { return (batch.clone(), batch) };
        let seen = Offset::new((self.offsets.len() as u64 - 1).saturating_sub(back));
        let real = self.real_seen(number, seen);
        (batch.clone().expecting(channel(number), seen), batch.expecting(channel(number), real))
    }

    /// What a reader of the engine has seen that has seen this much of the model: after a restart, that what
    /// was ephemeral is lost.
    fn real_seen(&self, number: usize, seen: Offset) -> Offset {
        let last = self.model.channel_state(&channel(number)).expect("the model knows").last;
        let loss_is_news = number == DURABLE.len() && last <= Offset::new(self.restarted_at as u64);
        let real = self.real(seen);
        if loss_is_news && seen >= last { real.max(self.opened_at) } else { real }
    }

    /// The engine's newest offset of a channel of which the model says that it is `last`.
    fn real_last(&self, channel: &Channel, last: Offset) -> Offset {
        let lost = channel.as_str() == EPHEMERAL && last <= Offset::new(self.restarted_at as u64);
        if lost { self.real(last).max(self.opened_at) } else { self.real(last) }
    }

    async fn append(&mut self, expected: Batch, found: Batch) {
        let expected = self.model.append(expected).await;
        let found = self.engine().append(found).await;
        match (expected, found) {
            (Ok(expected), Ok(found)) => {
                assert_eq!((expected.count, expected.duplicate), (found.count, found.duplicate));
                if expected.duplicate {
                    assert_eq!(self.real(expected.first), found.first, "another first offset");
                } else {
                    self.offsets.extend(found.offsets());
                }
            }
            (Err(AppendError::Conflict { .. }), Err(AppendError::Conflict { .. })) => {}
            (
                Err(AppendError::Unexpected { channel: expected, last, .. }),
                Err(AppendError::Unexpected { channel: found, last: found_last, .. }),
            ) => assert_eq!((&found, found_last), (&expected, self.real_last(&expected, last))),
            (expected, found) => panic!("expected {expected:?}, found {found:?}"),
        }
    }

    /// Whatever the engine does with batches that it has at once, it is as if it had taken them one by one.
    async fn append_together(&mut self, batches: &[(Vec<usize>, Option<Seen>)]) {
        let made: Vec<_> =
            batches.iter().map(|(channels, expect)| self.batches(channels, 20, None, *expect)).collect();
        let found: Vec<_> = made.iter().map(|(_, batch)| self.engine().append(batch.clone())).collect();
        for ((expected, _), found) in made.into_iter().zip(found) {
            let expected = self.model.append(expected).await;
            match (expected, found.await) {
                (Ok(_), Ok(found)) => self.offsets.extend(found.offsets()),
                (
                    Err(AppendError::Unexpected { channel: expected, last, .. }),
                    Err(AppendError::Unexpected { channel: found, last: found_last, .. }),
                ) => {
                    assert_eq!(found, expected);
                    // More may have come by the time at which it was refused.
                    assert!(found_last >= self.real_last(&expected, last));
                }
                (expected, found) => panic!("expected {expected:?}, found {found:?}"),
            }
        }
    }

    /// What the model holds on channels, less what a restart loses.
    fn kept(&self, events: Vec<Arc<Event>>) -> Vec<(Offset, Arc<Event>)> {
        let lost = Offset::new(self.restarted_at as u64);
        let kept =
            events.into_iter().filter(|event| event.channel.as_str() != EPHEMERAL || event.offset > lost);
        kept.map(|event| (self.real(event.offset), event)).collect()
    }

    async fn read(
        &self,
        channels: &[usize],
        after: Offset,
        through: Offset,
        events_max: usize,
        bytes_max: usize,
    ) {
        let mut channels: Vec<_> = channels.iter().map(|number| channel(*number)).collect();
        channels.sort_unstable();
        channels.dedup();
        let through = through.min(Offset::new(self.offsets.len() as u64 - 1));
        let (everything, huge) = (usize::MAX / 2, usize::MAX / 2);
        let request = |after, through, events_max, bytes_max| ReadRequest {
            channels: channels.clone(),
            after,
            through,
            events_max,
            bytes_max,
        };
        let whole =
            self.model.read(request(after, through, everything, huge)).await.expect("the model reads");
        let whole = self.kept(whole.events);
        let request = request(self.real(after), self.real(through), events_max, bytes_max);
        let batch = self.engine().read(request).await.expect("it reads");
        assert!(batch.events.len() <= events_max);
        for (found, (offset, expected)) in batch.events.iter().zip(&whole) {
            assert_same(found, *offset, expected);
        }
        let bytes: usize = batch.events.iter().map(|event| event.payload.as_bytes().len()).sum();
        assert!(batch.events.len() <= 1 || bytes <= bytes_max, "more bytes than asked for");
        let complete = whole.iter().filter(|(offset, _)| *offset <= batch.through).count();
        assert_eq!(batch.events.len(), complete, "everything up to `through` is there");
        assert!(whole.is_empty() || !batch.events.is_empty(), "at least one event");
    }

    /// Compares everything that can be seen.
    async fn compare(&self) {
        for name in DURABLE.iter().chain([&EPHEMERAL]) {
            let expected = contract::read_all(&self.model, &[name], 0).await;
            let found = contract::read_all(self.engine(), &[name], 0).await;
            let kept = self.kept(expected.events);
            assert_eq!(found.events.len(), kept.len(), "how much is kept of {name}");
            for (found, (offset, expected)) in found.events.iter().zip(&kept) {
                assert_same(found, *offset, expected);
            }
            if *name == EPHEMERAL {
                continue;
            }
            let trimmed = |(channel, offset): &(Channel, Offset)| (channel.clone(), self.real(*offset));
            assert_eq!(found.trimmed, expected.trimmed.iter().map(trimmed).collect::<Vec<_>>(), "{name}");
            let channel = Channel::new(name).expect("a name");
            let expected = self.model.channel_state(&channel).expect("the model knows");
            let found = self.engine().channel_state(&channel).expect("it knows");
            assert_eq!(found.events, expected.events, "{name}");
            assert_eq!(found.last, self.real(expected.last), "the last of {name}");
            assert_eq!(found.trimmed_through, self.real(expected.trimmed_through), "what {name} lost");
        }
        let names = |engine: &dyn Engine| {
            let listed = engine.channels("", 100).into_iter().map(|(name, _)| name);
            listed.filter(|name| name.as_str() != EPHEMERAL).collect::<Vec<_>>()
        };
        assert_eq!(names(self.engine()), names(&self.model));
    }
}

fn assert_same(found: &Event, offset: Offset, expected: &Event) {
    assert_eq!(found.offset, offset);
    assert_eq!((&found.channel, &found.name), (&expected.channel, &expected.name));
    assert_eq!(found.time, expected.time);
    assert_eq!(found.payload, expected.payload);
}

fn run(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut pair = Pair::new();
        for step in steps {
            pair.take(step).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_answers_as_its_model_does(steps in proptest::collection::vec(step(), 1..120)) {
        run(steps);
    }
}
