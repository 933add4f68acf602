//! A member of a Kafka consumer group: librdkafka's consumer on a thread of its own.
//!
//! The group's changes are served inside of polls. Between two polls everything polled before is processed,
//! and what is pending is committed before a partition goes to somebody else, so it leaves nothing behind.
//! Otherwise commits are put together: the broker answers each with a write.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use anywire_log::BoxFuture;
use rdkafka::{
    ClientConfig, Offset,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    client::{PendingOffsets, failed, number, record},
    shapes::Shapes,
};
use crate::topics::{Member, Partition, Place, Record, TopicName, TopicsError};

/// The longest single poll: a change of the group is noticed after it.
const POLL_STEP: Duration = Duration::from_millis(100);
/// The least time between two commits. After a crash what was done within it is delivered again.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How long going to another place of a partition may take.
const SEEK_MAX: Duration = Duration::from_secs(2);
/// How long to wait before a commit that failed is tried again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct KafkaMember {
    commands: mpsc::Sender<Command>,
    held: Vec<Partition>,
}

type Answer<T> = oneshot::Sender<(Result<T, TopicsError>, Vec<Partition>)>;

enum Command {
    Poll { records_max: usize, wait: Duration, answer: Answer<Vec<Record>> },
    Heartbeat { answer: Answer<()> },
    Commit { places: Vec<Place>, answer: Answer<()> },
    Leave { answer: Answer<()> },
}

impl KafkaMember {
    pub(super) fn join(
        settings: &ClientConfig,
        shapes: Arc<Shapes>,
        group: &str,
        name: &str,
        topics: &[TopicName],
    ) -> Result<Self, TopicsError> {
        let context = PendingOffsets::default();
        let consumer: BaseConsumer<PendingOffsets> = settings
            .clone()
            .set("group.id", group)
            .set("client.id", name)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "5000")
            // What is fetched ahead is memory: at most this much for a consumer.
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.wait.max.ms", "50")
            .create_with_context(context.clone())
            .map_err(failed)?;
        let names: Vec<&str> = topics.iter().map(TopicName::as_str).collect();
        consumer.subscribe(&names).map_err(failed)?;
        let seat = Seat::new(consumer, context, shapes, group);
        let (commands, waiting) = mpsc::channel(4);
        std::thread::Builder::new()
            .name(format!("kafka {name}"))
            .spawn(move || seat.serve(waiting))
            .map_err(|error| TopicsError::Failed { detail: format!("no thread for {name}: {error}") })?;
        Ok(Self { commands, held: Vec::new() })
    }

    async fn ask<T>(&mut self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, TopicsError> {
        let ended = || TopicsError::Failed { detail: "the consumer's thread ended".to_owned() };
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| ended())?;
        let (result, held) = answered.await.map_err(|_| ended())?;
        self.held = held;
        result
    }
}

impl Member for KafkaMember {
    fn poll(
        &mut self,
        records_max: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Record>, TopicsError>> {
        Box::pin(self.ask(move |answer| Command::Poll { records_max, wait, answer }))
    }

    fn heartbeat(&mut self) -> BoxFuture<'_, Result<(), TopicsError>> {
        Box::pin(self.ask(|answer| Command::Heartbeat { answer }))
    }

    fn holds(&self) -> Vec<Partition> {
        self.held.clone()
    }

    fn commit(&mut self, places: Vec<Place>) -> BoxFuture<'_, Result<(), TopicsError>> {
        Box::pin(self.ask(move |answer| Command::Commit { places, answer }))
    }

    fn leave(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = self.ask(|answer| Command::Leave { answer }).await {
                tracing::debug!(%error, "a consumer left without a word");
            }
        })
    }
}

/// The consumer on its thread.
struct Seat {
    consumer: BaseConsumer<PendingOffsets>,
    context: PendingOffsets,
    shapes: Arc<Shapes>,
    group: String,
    /// The partitions whose reading began anew, and of which nothing was committed since.
    begun: BTreeSet<Partition>,
    /// What came while the member only said that it is alive.
    early: VecDeque<Record>,
    /// When the next commit may be.
    commit_at: Instant,
    /// What came of the last one.
    committed: Result<(), KafkaError>,
}

impl Seat {
    fn new(
        consumer: BaseConsumer<PendingOffsets>,
        context: PendingOffsets,
        shapes: Arc<Shapes>,
        group: &str,
    ) -> Self {
        Self {
            consumer,
            context,
            shapes,
            group: group.to_owned(),
            begun: BTreeSet::new(),
            early: VecDeque::new(),
            commit_at: Instant::now(),
            committed: Ok(()),
        }
    }

    fn serve(mut self, mut commands: mpsc::Receiver<Command>) {
        // Who asked may be gone: then what it would have got is delivered again later.
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Poll { records_max, wait, answer } => {
                    let result = self.poll(records_max, wait);
                    let _gone = answer.send((result, self.held()));
                }
                Command::Heartbeat { answer } => {
                    let result = self.heartbeat();
                    let _gone = answer.send((result, self.held()));
                }
                Command::Commit { places, answer } => {
                    let result = self.commit(places);
                    let _gone = answer.send((result, self.held()));
                }
                Command::Leave { answer } => {
                    let result = self.context.commit_pending(&self.consumer).map_err(failed);
                    // Dropping tells the group.
                    drop(self);
                    let _gone = answer.send((result, Vec::new()));
                    return;
                }
            }
        }
    }

    fn held(&self) -> Vec<Partition> {
        let Ok(assigned) = self.consumer.assignment() else { return Vec::new() };
        let elements = assigned.elements();
        let partition = |topic: &str, number: i32| {
            Some(Partition { topic: TopicName::trusted(topic), number: u32::try_from(number).ok()? })
        };
        let mut held: Vec<Partition> =
            elements.iter().filter_map(|element| partition(element.topic(), element.partition())).collect();
        held.sort();
        held
    }

    fn poll(&mut self, records_max: usize, wait: Duration) -> Result<Vec<Record>, TopicsError> {
        let before = self.held();
        self.begin_anew(&before);
        let deadline = Instant::now() + wait;
        let mut records: Vec<Record> = self.early.drain(..).collect();
        while records.len() < records_max {
            // Here as well, since what was done last would else wait for the next record.
            self.commit_if_due().or_else(check)?;
            let left = deadline.saturating_duration_since(Instant::now());
            let step = if records.is_empty() { left.min(POLL_STEP) } else { Duration::ZERO };
            match self.consumer.poll(step) {
                Some(Ok(message)) => records.push(record(&message)),
                Some(Err(error)) => check(error)?,
                None if !records.is_empty() || left.is_zero() || self.held() != before => break,
                None => {}
            }
        }
        // What belongs to somebody else now comes to them.
        let held = self.held();
        records.retain(|record| held.contains(&record.place.partition));
        self.notice_what_went_back(&records);
        Ok(records)
    }

    /// Goes back to the beginning of the partitions whose topic was made anew: its records stand at offsets
    /// that were read of the one before.
    fn begin_anew(&mut self, held: &[Partition]) {
        for partition in self.shapes.due_from_start(&self.group, held) {
            // Whoever assigned it anew put it back to what was committed.
            if self.begun.contains(&partition) && self.context.next.lock().contains_key(&partition) {
                continue;
            }
            let (topic, number) = (partition.topic.as_str(), number(&partition));
            if let Err(error) = self.consumer.seek(topic, number, Offset::Beginning, SEEK_MAX) {
                tracing::debug!(topic, number, %error, "a partition made anew is not there yet");
                continue;
            }
            self.early.retain(|record| record.place.partition != partition);
            self.context.next.lock().insert(partition.clone(), 0);
            // Also where nothing comes for a while: whoever gets it next begins there, too.
            self.context.pending.lock().insert(partition.clone(), 0);
            self.begun.insert(partition);
        }
    }

    /// A partition that was begun anew is done with when the broker has a place of the new topic: only then
    /// does whoever gets it next go on from there.
    fn settle_begun(&mut self) {
        if self.begun.is_empty() || self.committed.is_err() || !self.context.pending.lock().is_empty() {
            return;
        }
        let held = self.held();
        for partition in std::mem::take(&mut self.begun).iter().filter(|partition| held.contains(partition)) {
            self.shapes.is_read_from_start(&self.group, partition);
        }
    }

    /// A partition that was read without a break has no record before those that came, unless its topic was
    /// made anew.
    fn notice_what_went_back(&self, records: &[Record]) {
        let mut next = self.context.next.lock();
        for Record { place, .. } in records {
            let after = next.insert(place.partition.clone(), place.offset + 1);
            if after.is_some_and(|after| place.offset < after) {
                self.shapes.went_back(&place.partition.topic);
            }
        }
    }

    /// Polls without getting anything, which tells the group that this member is alive.
    fn heartbeat(&mut self) -> Result<(), TopicsError> {
        let assigned = self.consumer.assignment().map_err(failed)?;
        self.consumer.pause(&assigned).map_err(failed)?;
        match self.consumer.poll(Duration::ZERO) {
            Some(Ok(message)) => self.early.push_back(record(&message)),
            Some(Err(error)) => check(error)?,
            None => {}
        }
        let assigned = self.consumer.assignment().map_err(failed)?;
        self.consumer.resume(&assigned).map_err(failed)
    }

    fn commit(&mut self, places: Vec<Place>) -> Result<(), TopicsError> {
        self.context.pending.lock().extend(places.into_iter().map(|place| (place.partition, place.offset)));
        self.commit_if_due().map_err(failed)
    }

    /// Commits if it is time; until then the last commit's outcome holds.
    fn commit_if_due(&mut self) -> Result<(), KafkaError> {
        if Instant::now() >= self.commit_at {
            self.committed = self.context.commit_pending(&self.consumer);
            self.commit_at =
                Instant::now() + if self.committed.is_ok() { COMMIT_EVERY } else { COMMIT_AGAIN };
            self.settle_begun();
        }
        self.committed.clone()
    }
}

/// Whether a consumer can go on after an error: librdkafka looks for its broker again by itself.
fn check(error: KafkaError) -> Result<(), TopicsError> {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::Fatal | Code::PollExceeded | Code::UnknownMemberId) => Err(failed(error)),
        // Somebody has to allow it: that must be seen, not only waited for.
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication,
        ) => Err(failed(error)),
        _ => {
            tracing::debug!(%error, "a consumer waits for its broker");
            Ok(())
        }
    }
}
