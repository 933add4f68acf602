//! Writers that wait until the log takes what they have, over virtual time and an engine that fails on
//! demand.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use anywire_log::{
    AppendError, Appended, Batch, BoxFuture, Channel, ChannelState, Engine, Epoch, Follower, ManualClock,
    MemoryEngine, Offset, ReadBatch, ReadError, ReadRequest, RetentionRules, TailConfig, Timestamp,
    TrimError, contract,
};
use tokio::time::Instant;
use tracing::{Event, Level, Metadata, span};

/// Answers the first appends as it is told, the others as the memory engine does.
struct Failing {
    engine: MemoryEngine,
    answers: Mutex<VecDeque<AppendError>>,
    /// How long a try takes.
    latency: Duration,
    tries: Mutex<Vec<Instant>>,
}

impl Engine for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn epoch(&self) -> Epoch {
        self.engine.epoch()
    }

    fn follow(&self, follower: Arc<dyn Follower>) -> Offset {
        self.engine.follow(follower)
    }

    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.tries.lock().expect("no panic").push(Instant::now());
        let answer = self.answers.lock().expect("no panic").pop_front();
        let latency = self.latency;
        let appended = match answer {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.engine.append(batch),
        };
        Box::pin(async move {
            tokio::time::sleep(latency).await;
            appended.await
        })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'static, Result<ReadBatch, ReadError>> {
        self.engine.read(request)
    }

    fn trim(&self, channel: Channel, through: Offset) -> BoxFuture<'static, Result<(), TrimError>> {
        self.engine.trim(channel, through)
    }

    fn channel_state(&self, channel: &Channel) -> Option<ChannelState> {
        self.engine.channel_state(channel)
    }

    fn channels(&self, prefix: &str, limit: usize) -> Vec<(Channel, ChannelState)> {
        self.engine.channels(prefix, limit)
    }

    fn channel_count(&self) -> usize {
        self.engine.channel_count()
    }

    fn enforce_retention(&self, now: Timestamp) {
        self.engine.enforce_retention(now);
    }

    fn stored_bytes(&self) -> u64 {
        self.engine.stored_bytes()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.engine.close()
    }
}

/// A log whose engine answers the first appends with these errors.
fn failing(answers: impl IntoIterator<Item = AppendError>, latency: Duration) -> (Arc<Failing>, Arc<Log>) {
    let engine = MemoryEngine::new(RetentionRules::default(), Arc::new(ManualClock::default()));
    let engine = Failing {
        engine: engine.expect("randomness"),
        answers: Mutex::new(answers.into_iter().collect()),
        latency,
        tries: Mutex::default(),
    };
    let engine = Arc::new(engine);
    let log = Log::start(Arc::clone(&engine) as _, RetentionRules::default(), TailConfig::default());
    (engine, log)
}

type Log = anywire_log::Log;

fn busy() -> AppendError {
    AppendError::Busy { waiting_bytes: 1 }
}

fn full() -> AppendError {
    AppendError::Full { place: "here".to_owned(), detail: "no room".to_owned() }
}

fn failed(detail: &str) -> AppendError {
    AppendError::Failed { place: "here".to_owned(), detail: detail.to_owned() }
}

fn batch() -> Batch {
    Batch::one(contract::publication("a", "1"))
}

fn never() -> std::future::Pending<()> {
    std::future::pending()
}

thread_local! {
    /// What was logged on this thread, by level. One subscriber for all threads: one a thread may miss the
    /// first events of a place that another thread logs from at the same moment.
    static LOGGED: RefCell<Vec<Level>> = const { RefCell::new(Vec::new()) };
}

struct Logged;

impl tracing::Subscriber for Logged {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target().starts_with("anywire_log") {
            LOGGED.with_borrow_mut(|logged| logged.push(*event.metadata().level()));
        }
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

impl Logged {
    /// Listens to this thread from now on.
    fn listen() -> Self {
        // The first test of the binary sets it, for all.
        let _set_already = tracing::subscriber::set_global_default(Self);
        LOGGED.take();
        Self
    }

    fn count(&self, level: Level) -> usize {
        LOGGED.with_borrow(|logged| logged.iter().filter(|logged| **logged == level).count())
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_tries_again_ever_more_rarely_until_the_log_takes_its_batch() {
    let answers = (0..12).map(|number| if number % 2 == 0 { full() } else { busy() });
    let (engine, log) = failing(answers, Duration::ZERO);
    let appended = log.append_until_stopped(batch(), never()).await.expect("in the end it is taken");
    assert_eq!(log.event_at(&contract::publication("a", "1").channel, appended.first).await, {
        let request = log.engine().read(ReadRequest {
            channels: vec![contract::publication("a", "1").channel],
            after: Offset::ZERO,
            through: Offset::MAX,
            events_max: 2,
            bytes_max: 1000,
        });
        let events = request.await.expect("a read").events;
        assert_eq!(events.len(), 1, "it is in the log once");
        Ok(events.into_iter().next())
    });
    let tries = engine.tries.lock().expect("no panic").clone();
    let pauses: Vec<_> = tries.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000, 5000, 5000]);
}

#[tokio::test(start_paused = true)]
async fn each_cause_of_waiting_is_logged_once_and_the_end_of_it_too() {
    let answers = [full(), full(), failed("one"), busy(), full(), failed("two"), busy()];
    let (_, log) = failing(answers, Duration::ZERO);
    let logged = Logged::listen();
    log.append_until_stopped(batch(), never()).await.expect("in the end it is taken");
    let counts = [Level::WARN, Level::DEBUG, Level::INFO].map(|level| logged.count(level));
    assert_eq!(counts, [2, 1, 1], "no room and a failure; busy; taken");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_waiting_at_once_and_the_loss_is_logged() {
    let (engine, log) = failing(vec![full(); 1000], Duration::ZERO);
    let logged = Logged::listen();
    let began = Instant::now();
    let stopped = tokio::time::sleep(Duration::from_secs(60));
    assert_eq!(log.append_until_stopped(batch(), stopped).await, Err(full()));
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    assert_eq!(logged.count(Level::WARN), 2, "why it waited, and what did not get into the log");
    assert_eq!(log.tail_offset(), Offset::ZERO);
    assert!(engine.tries.lock().expect("no panic").len() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_try_that_has_begun_is_waited_for_although_the_server_stops() {
    let (_, log) = failing([], Duration::from_secs(1));
    let appended = log.append_until_stopped(batch(), std::future::ready(())).await;
    assert_eq!(appended.map(|appended| appended.first), Ok(Offset::new(1)));
}

#[tokio::test(start_paused = true)]
async fn what_another_try_does_not_help_is_answered_at_once() {
    let moved = AppendError::Unexpected {
        channel: contract::publication("a", "1").channel,
        seen: Offset::ZERO,
        last: Offset::new(1),
    };
    let conflict = AppendError::Conflict { key: "k".to_owned() };
    for error in [AppendError::Empty, conflict, moved, AppendError::Closed] {
        let (engine, log) = failing([error.clone()], Duration::ZERO);
        assert_eq!(log.append_until_stopped(batch(), never()).await, Err(error));
        assert_eq!(engine.tries.lock().expect("no panic").len(), 1);
    }
}
