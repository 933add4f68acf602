//! Decisions: a request reads the state, decides what happened, and the log is told. Memory follows by the
//! projection alone.
//!
//! Invariant: decisions on one entity follow each other, each sees what the last one committed, and a caller
//! that goes away ends none half-way: it is finished in a task of its own.

use std::{fmt, sync::Arc};

use anywire_log::{AppendError, Appended, Batch, Channel, IdempotencyKey, Log, Offset, Publication};
use tokio::sync::OwnedMutexGuard;

use crate::{Projected, Projection, locks::NamedLocks};

/// How often a decision is made anew because another writer was faster.
const ATTEMPTS_MAX: usize = 16;

/// What a request comes to: the events that say what happened, and what the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<A = ()> {
    publications: Vec<Publication>,
    key: Option<IdempotencyKey>,
    expect: Option<Channel>,
    answer: A,
}

impl<A> Decision<A> {
    /// These events happened; they are appended together, all or none. Nothing is appended where there are
    /// none.
    pub fn append(publications: Vec<Publication>, answer: A) -> Self {
        Self { publications, key: None, expect: None, answer }
    }

    /// Nothing happened.
    pub fn nothing(answer: A) -> Self {
        Self::append(Vec::new(), answer)
    }

    /// The decision holds only while nothing else is committed on this channel: otherwise it is made again.
    /// That matters where another process decides too; within one, the entity's lock is enough.
    #[must_use]
    pub fn expecting(self, channel: Channel) -> Self {
        Self { expect: Some(channel), ..self }
    }

    /// The log knows a repetition by this key for as long as its window lasts.
    #[must_use]
    pub fn with_key(self, key: IdempotencyKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Its events and its answer.
    #[cfg(feature = "testing")]
    pub(crate) fn into_parts(self) -> (Vec<Publication>, A) {
        (self.publications, self.answer)
    }

    fn batch(&mut self, seen: Offset) -> Option<Batch> {
        let publications = std::mem::take(&mut self.publications);
        if publications.is_empty() {
            return None;
        }
        let batch = Batch { idempotency_key: self.key.take(), ..Batch::new(publications) };
        Some(match self.expect.take() {
            Some(channel) => batch.expecting(channel, seen),
            None => batch,
        })
    }
}

/// A decision that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<A = ()> {
    /// What the decision tells its caller.
    pub answer: A,
    /// What the log made of its events; none where nothing happened. The state contains them.
    pub appended: Option<Appended>,
}

/// Why nothing happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecideError<R> {
    /// The rules do not allow it.
    Refused(R),
    /// The log did not take it.
    Append(AppendError),
    /// The server stopped before it was decided, or the decision panicked.
    Stopped,
}

impl<R: fmt::Display> fmt::Display for DecideError<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(out),
            Self::Append(error) => error.fmt(out),
            Self::Stopped => out.write_str("the server stopped before the change was decided; ask again"),
        }
    }
}

impl<R: std::error::Error> std::error::Error for DecideError<R> {}

/// A projection and the one way to change it. Cheap to clone; all clones share one state and one set of
/// locks.
pub struct Service<P> {
    projected: Projected<P>,
    locks: Arc<NamedLocks>,
}

impl<P> Clone for Service<P> {
    fn clone(&self) -> Self {
        Self { projected: self.projected.clone(), locks: Arc::clone(&self.locks) }
    }
}

impl<P: Projection> Service<P> {
    /// Decides on a projection.
    #[must_use]
    pub fn new(projected: Projected<P>) -> Self {
        Self { projected, locks: Arc::default() }
    }

    /// The projection.
    #[must_use]
    pub fn projected(&self) -> &Projected<P> {
        &self.projected
    }

    /// The state; see [`Projected::read`].
    pub fn read(&self) -> parking_lot::MappedRwLockReadGuard<'_, P> {
        self.projected.read()
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        self.projected.log()
    }

    /// Waits until nobody else decides on an entity; for work beside the log, such as its files.
    pub async fn lock(&self, entity: &str) -> OwnedMutexGuard<()> {
        self.locks.lock(entity).await
    }

    /// Locks the entities, reads, decides, appends, and waits until the state has it. The decision is made
    /// again when another process wrote meanwhile to the channel that it expects untouched.
    ///
    /// It is finished also when the caller stops waiting: once begun, the log and the state agree.
    ///
    /// # Errors
    /// [`DecideError`]; nothing was appended then.
    pub async fn decide<A, R>(
        &self,
        entities: impl IntoIterator<Item = String>,
        decide: impl FnMut(&P) -> Result<Decision<A>, R> + Send + 'static,
    ) -> Result<Decided<A>, DecideError<R>>
    where
        A: Send + 'static,
        R: Send + 'static,
    {
        let mut entities: Vec<String> = entities.into_iter().collect();
        // Always in one order: two decisions on the same two entities must not wait for each other.
        entities.sort_unstable();
        entities.dedup();
        let service = self.clone();
        tokio::spawn(async move { service.decide_now(&entities, decide).await })
            .await
            .unwrap_or(Err(DecideError::Stopped))
    }

    async fn decide_now<A, R>(
        &self,
        entities: &[String],
        mut decide: impl FnMut(&P) -> Result<Decision<A>, R> + Send,
    ) -> Result<Decided<A>, DecideError<R>> {
        let mut held = Vec::with_capacity(entities.len());
        for entity in entities {
            held.push(self.locks.lock(entity).await);
        }
        let mut attempt = 1;
        loop {
            // Before the state: what it has is then at least what is expected.
            let seen = self.projected.seen();
            let mut decision = decide(&self.projected.read()).map_err(DecideError::Refused)?;
            let Some(batch) = decision.batch(seen) else {
                return Ok(Decided { answer: decision.answer, appended: None });
            };
            match self.log().append(batch).await {
                Ok(appended) => {
                    self.projected.reached(appended.last()).await;
                    return Ok(Decided { answer: decision.answer, appended: Some(appended) });
                }
                Err(AppendError::Unexpected { last, .. }) if attempt < ATTEMPTS_MAX => {
                    attempt += 1;
                    self.projected.reached(last).await;
                }
                Err(error) => return Err(DecideError::Append(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        sync::atomic::{AtomicBool, Ordering},
        task::Poll,
    };

    use anywire_log::{
        Event, EventName, Gap, MemoryEngine, Payload, Retention, RetentionRules, SystemClock, TailConfig,
    };

    use super::*;
    use crate::Sources;

    const LIMIT: u64 = 5;

    /// Counts events; at most [`LIMIT`] are allowed.
    #[derive(Default)]
    struct Counter {
        count: u64,
        settled: Offset,
    }

    impl Projection for Counter {
        fn apply(&mut self, _event: &Event) {
            self.count += 1;
        }

        fn lost(&mut self, _gap: &Gap) {}

        fn settled(&mut self, through: Offset) {
            self.settled = through;
        }
    }

    fn log() -> Arc<Log> {
        let rules = RetentionRules::new(Vec::new(), Retention::default());
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("an epoch");
        Log::start(Arc::new(engine), rules, TailConfig { bytes_max: 1 << 20 })
    }

    fn counts() -> Channel {
        Channel::new("counts").expect("a name")
    }

    fn one() -> Publication {
        let name = EventName::new("counted").expect("a name");
        Publication { channel: counts(), name, payload: Payload::Json("1".into()) }
    }

    async fn service(log: &Arc<Log>) -> Service<Counter> {
        let projected = Projected::open(log, Sources::channels([counts()]), Counter::default).await;
        Service::new(projected.expect("read"))
    }

    fn count(counter: &Counter) -> Result<Decision<u64>, &'static str> {
        if counter.count >= LIMIT {
            return Err("full");
        }
        Ok(Decision::append(vec![one()], counter.count + 1).expecting(counts()))
    }

    fn entity() -> [String; 1] {
        ["counter".to_owned()]
    }

    #[tokio::test]
    async fn a_decision_is_in_the_state_when_it_is_answered() {
        let service = service(&log()).await;
        let decided = service.decide(entity(), count).await.expect("decided");
        assert_eq!((decided.answer, service.read().count), (1, 1));
        assert_eq!(decided.appended.map(|appended| appended.last()), Some(service.read().settled));
    }

    #[tokio::test]
    async fn a_refusal_and_a_decision_for_nothing_append_nothing() {
        let log = log();
        let service = service(&log).await;
        let refused = service.decide(entity(), |_| Err::<Decision, _>("no")).await;
        assert_eq!(refused, Err(DecideError::Refused("no")));
        let nothing = service.decide(entity(), |_| Ok::<_, &str>(Decision::nothing(7))).await;
        assert_eq!(nothing.map(|decided| decided.answer), Ok(7));
        assert_eq!(log.tail_offset(), Offset::ZERO);
    }

    #[tokio::test]
    async fn two_services_of_one_log_that_decide_at_once_never_pass_a_limit() {
        let log = log();
        let (one, two) = (service(&log).await, service(&log).await);
        let mut tasks = Vec::new();
        for number in 0..40 {
            let service = if number % 2 == 0 { one.clone() } else { two.clone() };
            tasks.push(tokio::spawn(async move { service.decide(entity(), count).await.is_ok() }));
        }
        let mut accepted = 0;
        for task in tasks {
            accepted += u64::from(task.await.expect("no panic"));
        }
        assert_eq!((accepted, one.read().count, two.read().count), (LIMIT, LIMIT, LIMIT));
    }

    #[tokio::test]
    async fn a_decision_is_made_again_on_what_another_writer_committed_meanwhile() {
        let log = log();
        let service = service(&log).await;
        let engine = Arc::clone(&log);
        let disturbed = AtomicBool::new(false);
        let decide = move |counter: &Counter| {
            let answer = Decision::append(vec![one()], counter.count).expecting(counts());
            if !disturbed.swap(true, Ordering::Relaxed) {
                // The memory engine commits when it is asked; its listener waits for the lock that is held
                // here.
                let log = Arc::clone(&engine);
                let before = log.tail_offset();
                std::thread::spawn(move || drop(log.engine().append(Batch::one(one()))));
                while engine.tail_offset() == before {
                    std::thread::yield_now();
                }
            }
            Ok::<_, &str>(answer)
        };
        let decided = service.decide(entity(), decide).await.expect("decided");
        assert_eq!((decided.answer, service.read().count), (1, 2), "it was decided on what was there");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_at_any_await_ends_no_decision_half_way() {
        for polls in 0..4 {
            let log = log();
            let service = service(&log).await;
            {
                let mut asked = Box::pin(service.decide(entity(), count));
                for _ in 0..polls {
                    std::future::poll_fn(|context| {
                        let _pending = asked.as_mut().poll(context);
                        Poll::Ready(())
                    })
                    .await;
                }
            }
            let _idle = service.lock("counter").await;
            tokio::task::yield_now().await;
            assert_eq!(service.read().count, log.tail_offset().get(), "after {polls} polls");
        }
    }

    #[tokio::test]
    async fn a_state_opened_later_is_the_same() {
        let log = log();
        let before = service(&log).await;
        for _ in 0..3 {
            before.decide(entity(), count).await.expect("decided");
        }
        assert_eq!(service(&log).await.read().count, 3);
    }
}
