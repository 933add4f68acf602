//! Topics of Apache Kafka, by librdkafka.
//!
//! Invariants:
//! - Whatever blocks in librdkafka runs on a thread of its own or one that may wait, never on one that serves
//!   others.
//! - A broker that is away is no error of the application: producing says so, members and this module's watch
//!   wait for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use anywire_log::BoxFuture;
use parking_lot::{Mutex, RwLock};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::sync::watch;

use super::{
    Broker, Member, NewRecord, Notice, Partition, PartitionLag, Place, ProduceError, Record, TopicName,
    Topics, TopicsError,
};
use crate::config::PipelineConfig;

mod client;
mod member;
mod shapes;
#[cfg(test)]
mod tests;

use client::{PendingOffsets, failed, number, record};
use member::KafkaMember;
use shapes::Shapes;

/// How long a question to the broker may take.
const ASK_MAX: Duration = Duration::from_secs(5);
/// How often the broker is asked whether it is there.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// The largest message librdkafka knows.
const MESSAGE_BYTES_MAX: &str = "1000000000";
/// Under which name the broker is asked what it has.
const WATCH: &str = "anywire-watch";
/// How many first records are read at most before others have their turn.
const LEARNT_MAX: usize = 8;
/// How long a record may wait for the broker.
const DELIVERY_MS_MAX: &str = "10000";

/// Topics of a Kafka cluster.
pub(crate) struct KafkaTopics {
    shared: Arc<Shared>,
    producer: FutureProducer<PendingOffsets>,
}

struct Shared {
    settings: ClientConfig,
    names: Vec<TopicName>,
    partitions_new: i32,
    /// The topics of the broker as far as they are known.
    topics: RwLock<BTreeMap<TopicName, u32>>,
    broker: watch::Sender<Broker>,
    shapes: Arc<Shapes>,
    /// Asks about groups, by the name of the group.
    asking: Mutex<BTreeMap<String, Arc<BaseConsumer<PendingOffsets>>>>,
    /// Reads single records. One reading at a time.
    reading: Mutex<Option<BaseConsumer<PendingOffsets>>>,
}

impl KafkaTopics {
    /// Makes a producer, and watches the broker, which need not be there. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`TopicsError`] when librdkafka does not know a setting.
    pub(crate) fn open(
        brokers: &str,
        config: &PipelineConfig,
        names: Vec<TopicName>,
    ) -> Result<Arc<Self>, TopicsError> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", brokers).set("client.id", "anywire");
        settings.set("reconnect.backoff.ms", "100").set("reconnect.backoff.max.ms", "5000");
        for option in &config.kafka_options {
            let (name, value) = option.split_once('=').ok_or_else(|| TopicsError::Failed {
                detail: format!("pipeline.kafka_options has {option:?}; expected name=value"),
            })?;
            settings.set(name.trim(), value.trim());
        }
        let producer = settings
            .clone()
            .set("message.timeout.ms", DELIVERY_MS_MAX)
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .set("allow.auto.create.topics", "false")
            // How large a record may be is the broker's word: a dead letter may be larger than what our own
            // callers may send.
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            .create_with_context(PendingOffsets::default())
            .map_err(failed)?;
        let shared = Arc::new(Shared {
            settings,
            names,
            partitions_new: i32::try_from(config.partitions).unwrap_or(1),
            topics: RwLock::default(),
            broker: watch::Sender::new(Broker::Away { reason: "not asked yet".to_owned() }),
            shapes: Arc::default(),
            asking: Mutex::default(),
            reading: Mutex::default(),
        });
        tokio::spawn(watch_broker(Arc::downgrade(&shared)));
        Ok(Arc::new(Self { shared, producer }))
    }
}

impl Topics for KafkaTopics {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn topics(&self) -> Vec<(TopicName, u32)> {
        self.shared.topics.read().iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    fn produce(
        &self,
        topic: &TopicName,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'static, Result<Vec<Place>, ProduceError>> {
        let (topic, producer, shared) = (topic.clone(), self.producer.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            shared.check(&topic)?;
            let mut deliveries = Vec::with_capacity(records.len());
            for record in &records {
                let queued = enqueue(&producer, &topic, record).await;
                let delivery = queued.map_err(|error| shared.refusal(&topic, record, &error))?;
                deliveries.push((record, delivery));
            }
            let mut places = Vec::with_capacity(deliveries.len());
            for (record, delivery) in deliveries {
                let gone = |_| ProduceError::Away { detail: "the producer ended".to_owned() };
                let delivered = delivery
                    .await
                    .map_err(gone)?
                    .map_err(|(error, _)| shared.refusal(&topic, record, &error))?;
                let number = u32::try_from(delivered.partition).unwrap_or_default();
                let partition = Partition { topic: topic.clone(), number };
                places.push(Place { partition, offset: u64::try_from(delivered.offset).unwrap_or_default() });
            }
            Ok(places)
        })
    }

    fn join(&self, group: &str, name: &str, topics: &[TopicName]) -> Result<Box<dyn Member>, TopicsError> {
        let shapes = Arc::clone(&self.shared.shapes);
        Ok(Box::new(KafkaMember::join(&self.shared.settings, shapes, group, name, topics)?))
    }

    fn read(&self, place: &Place) -> BoxFuture<'static, Result<Option<Record>, TopicsError>> {
        let (shared, place) = (Arc::clone(&self.shared), place.clone());
        Box::pin(async move {
            let found = blocking(move || Ok((shared.first_from(&place)?, place))).await?;
            Ok(found.0.filter(|record| record.place == found.1))
        })
    }

    fn lag(
        &self,
        group: &str,
        topics: &[TopicName],
    ) -> BoxFuture<'static, Result<Vec<PartitionLag>, TopicsError>> {
        let (shared, group, topics) = (Arc::clone(&self.shared), group.to_owned(), topics.to_vec());
        Box::pin(async move { blocking(move || shared.lag(&group, &topics)).await })
    }

    fn broker(&self) -> watch::Receiver<Broker> {
        self.shared.broker.subscribe()
    }

    fn notices(&self) -> Vec<Notice> {
        self.shared.shapes.notices()
    }

    fn take_anew(&self) -> Vec<TopicName> {
        self.shared.shapes.take_anew()
    }
}

/// Hands a record to the producer, and waits while its queue is full.
async fn enqueue(
    producer: &FutureProducer<PendingOffsets>,
    topic: &TopicName,
    record: &NewRecord,
) -> Result<rdkafka::producer::DeliveryFuture, KafkaError> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    let mut message = FutureRecord::to(topic.as_str()).headers(headers);
    message.key = record.key.as_deref();
    message.payload = record.value.as_deref();
    let give_up = tokio::time::Instant::now() + ASK_MAX;
    loop {
        match producer.send_result(message) {
            Ok(delivery) => return Ok(delivery),
            Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                if tokio::time::Instant::now() > give_up {
                    return Err(error);
                }
                message = back;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

impl Shared {
    fn check(&self, topic: &TopicName) -> Result<(), ProduceError> {
        let unknown = {
            let topics = self.topics.read();
            !topics.is_empty() && !topics.contains_key(topic) && !self.names.contains(topic)
        };
        if unknown { Err(self.unknown(topic)) } else { Ok(()) }
    }

    fn unknown(&self, topic: &TopicName) -> ProduceError {
        let topics = self.topics.read();
        let known: Vec<&str> = topics.keys().map(TopicName::as_str).take(50).collect();
        ProduceError::UnknownTopic { topic: topic.clone(), known: known.join(", ") }
    }

    /// Why the broker or the library did not take a record.
    fn refusal(&self, topic: &TopicName, record: &NewRecord, error: &KafkaError) -> ProduceError {
        use RDKafkaErrorCode as Code;
        let detail = error.to_string();
        match error.rdkafka_error_code() {
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
                self.unknown(topic)
            }
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
                ProduceError::BrokerTooLarge { topic: topic.clone(), bytes: super::weight(record) }
            }
            Some(Code::QueueFull) => ProduceError::Busy { detail },
            Some(Code::MessageTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown) => {
                ProduceError::Away { detail }
            }
            _ => ProduceError::Failed { detail },
        }
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer<PendingOffsets>, TopicsError> {
        let mut settings = self.settings.clone();
        settings.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "error");
        // Without it one who reads where nothing more comes would wait for the whole time there is.
        settings.set("enable.partition.eof", "true");
        settings.create_with_context(PendingOffsets::default()).map_err(failed)
    }

    /// Reads the first record from a place on, by assigning its partition. It has a greater offset where
    /// compaction took the one that was there or the place holds a transaction's mark; there is none when
    /// nothing but such marks follows.
    fn first_from(&self, place: &Place) -> Result<Option<Record>, TopicsError> {
        let mut reading = self.reading.lock();
        let reader = match &mut *reading {
            Some(reader) => reader,
            none => none.insert(self.consumer("anywire-reader")?),
        };
        let (topic, number) = (place.partition.topic.as_str(), number(&place.partition));
        let (low, high) = self.watermarks(&place.partition)?;
        let offset = i64::try_from(place.offset).unwrap_or(i64::MAX);
        if !(low..high).contains(&offset) {
            return Ok(None);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, number, Offset::Offset(offset)).map_err(failed)?;
        reader.assign(&list).map_err(failed)?;
        let found = match reader.poll(ASK_MAX) {
            Some(Ok(message)) => Ok(Some(record(&message))),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) => Err(failed(error)),
            None => {
                Err(TopicsError::Away { detail: format!("offset {offset} of {topic}/{number} did not come") })
            }
        };
        reader.unassign().map_err(failed)?;
        found
    }

    /// One that asks the broker, and is kept under a name.
    fn asking(&self, name: &str) -> Result<Arc<BaseConsumer<PendingOffsets>>, TopicsError> {
        let mut asking = self.asking.lock();
        if let Some(consumer) = asking.get(name) {
            return Ok(Arc::clone(consumer));
        }
        let consumer = Arc::new(self.consumer(name)?);
        asking.insert(name.to_owned(), Arc::clone(&consumer));
        Ok(consumer)
    }

    /// Where a partition begins and ends. The watch asks: it has just heard which partitions there are, and
    /// another one would say for minutes that a new one is unknown.
    fn watermarks(&self, partition: &Partition) -> Result<(i64, i64), TopicsError> {
        let consumer = self.asking(WATCH)?;
        consumer.fetch_watermarks(partition.topic.as_str(), number(partition), ASK_MAX).map_err(failed)
    }

    fn lag(&self, group: &str, topics: &[TopicName]) -> Result<Vec<PartitionLag>, TopicsError> {
        let consumer = self.asking(group)?;
        let partitions = self.partitions(topics);
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition(partition.topic.as_str(), number(partition));
        }
        let committed = consumer.committed_offsets(list, ASK_MAX).map_err(failed)?;
        let mut lags = Vec::with_capacity(partitions.len());
        let mut unknown = None;
        for partition in &partitions {
            match self.partition_lag(partition.clone(), &committed) {
                Ok(lag) => lags.push(lag),
                Err(error @ TopicsError::Away { .. }) => return Err(error),
                // A topic that goes just now takes only its own figures along.
                Err(error) => {
                    tracing::debug!(topic = %partition.topic, partition = partition.number, %error, "no lag");
                    unknown = Some(error);
                }
            }
        }
        self.look_at_first_records(&partitions);
        // Where nothing is known of anything, the last figures stand.
        unknown.filter(|_| lags.is_empty()).map_or(Ok(lags), Err)
    }

    fn partition_lag(
        &self,
        partition: Partition,
        committed: &TopicPartitionList,
    ) -> Result<PartitionLag, TopicsError> {
        let (topic, number) = (partition.topic.as_str(), number(&partition));
        let (low, high) = self.watermarks(&partition)?;
        let found = committed.find_partition(topic, number).map(|found| found.offset());
        let committed = match found {
            Some(Offset::Offset(offset)) => u64::try_from(offset).ok(),
            _ => None,
        };
        let (begin, end) = (u64::try_from(low).unwrap_or_default(), u64::try_from(high).unwrap_or_default());
        self.shapes.reaches(&partition, begin, end);
        let next = committed.map(|committed| committed.max(begin)).filter(|next| *next < end);
        let oldest = match next {
            Some(offset) => {
                self.first_from(&Place { partition: partition.clone(), offset })?.map(|record| record.time)
            }
            None => None,
        };
        Ok(PartitionLag { partition, begin, end, committed, oldest })
    }

    /// Asks whether the first records of partitions are those that they were.
    fn look_at_first_records(&self, partitions: &[Partition]) {
        let looked =
            self.compare_first_records(partitions).and_then(|()| self.learn_first_records(partitions));
        if let Err(error) = looked {
            tracing::debug!(%error, "first records are looked at again in a moment");
        }
    }

    fn compare_first_records(&self, partitions: &[Partition]) -> Result<(), TopicsError> {
        let known = self.shapes.with_a_first(partitions);
        if known.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (partition, time) in &known {
            let younger = Offset::Offset(time.saturating_add(1));
            list.add_partition_offset(partition.topic.as_str(), number(partition), younger)
                .map_err(failed)?;
        }
        let found = self.asking(WATCH)?.offsets_for_times(list, ASK_MAX).map_err(failed)?;
        for (partition, _) in &known {
            let element = found.find_partition(partition.topic.as_str(), number(partition));
            if let Some(Offset::Offset(offset)) = element.map(|element| element.offset()) {
                self.shapes.younger_begins(partition, u64::try_from(offset).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn learn_first_records(&self, partitions: &[Partition]) -> Result<(), TopicsError> {
        for (partition, offset) in self.shapes.without_a_first(partitions).into_iter().take(LEARNT_MAX) {
            if let Some(record) = self.first_from(&Place { partition, offset })? {
                self.shapes.first(&record);
            }
        }
        Ok(())
    }

    /// Compares the topics that the broker has with those it had. How many partitions a topic of dead letters
    /// has concerns nobody.
    fn look_at(&self, found: &BTreeMap<TopicName, u32>) {
        let wanted = u32::try_from(self.partitions_new).unwrap_or_default();
        self.shapes.found(&self.names, wanted, found);
    }

    fn partitions(&self, topics: &[TopicName]) -> Vec<Partition> {
        let known = self.topics.read();
        let of = |topic: &TopicName| {
            let (topic, count) = (topic.clone(), known.get(topic).copied().unwrap_or(0));
            (0..count).map(move |number| Partition { topic: topic.clone(), number })
        };
        topics.iter().flat_map(of).collect()
    }

    /// Asks the broker which topics it has.
    fn ask(&self) -> Result<BTreeMap<TopicName, u32>, TopicsError> {
        let consumer = self.asking(WATCH)?;
        let metadata = consumer.fetch_metadata(None, ASK_MAX).map_err(failed)?;
        let sound = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && !topic.name().starts_with("__"));
        let named = sound.filter_map(|topic| {
            let count = u32::try_from(topic.partitions().len()).ok()?;
            Some((TopicName::new(topic.name()).ok()?, count))
        });
        Ok(named.collect())
    }

    /// Makes the topics that are missing. Another program may do so at the same time: that is as good.
    async fn make(&self, missing: Vec<TopicName>) -> Result<(), TopicsError> {
        let admin: AdminClient<PendingOffsets> =
            self.settings.create_with_context(PendingOffsets::default()).map_err(failed)?;
        let new = |name: &'_ TopicName| (name.as_str().to_owned(), self.partitions_new);
        let wanted: Vec<(String, i32)> = missing.iter().map(new).collect();
        let topics: Vec<NewTopic<'_>> = wanted
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(-1)))
            .collect();
        let options = AdminOptions::new().request_timeout(Some(ASK_MAX));
        for result in admin.create_topics(&topics, &options).await.map_err(failed)? {
            match result {
                Ok(name) => tracing::info!(topic = name, "made a Kafka topic"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => tracing::warn!(topic = name, %code, "a Kafka topic could not be made"),
            }
        }
        Ok(())
    }
}

/// Asks the broker again and again whether it is there and what it has, as long as somebody uses these
/// topics.
async fn watch_broker(shared: Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let own = Arc::clone(&shared);
        match blocking(move || own.ask()).await {
            Ok(found) => {
                let missing = shared.names.iter().filter(|name| !found.contains_key(*name));
                let missing: Vec<TopicName> = missing.cloned().collect();
                shared.look_at(&found);
                *shared.topics.write() = found;
                set_broker(&shared.broker, Broker::Up);
                if !missing.is_empty()
                    && let Err(error) = shared.make(missing).await
                {
                    tracing::warn!(%error, "missing Kafka topics could not be made");
                }
            }
            Err(error) => set_broker(&shared.broker, Broker::Away { reason: error.to_string() }),
        }
        drop(shared);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn set_broker(broker: &watch::Sender<Broker>, now: Broker) {
    let changed = broker.send_if_modified(|before| {
        let same = std::mem::discriminant(before) == std::mem::discriminant(&now);
        if !same {
            before.clone_from(&now);
        }
        !same
    });
    if changed {
        tracing::info!(?now, "the Kafka broker's state changed");
    }
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, TopicsError> + Send + 'static,
) -> Result<T, TopicsError> {
    tokio::task::spawn_blocking(call)
        .await
        .unwrap_or_else(|error| Err(TopicsError::Failed { detail: error.to_string() }))
}
