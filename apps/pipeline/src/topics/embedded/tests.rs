//! The contract of topics, kept by the embedded ones; and what only they do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anywire_log::{Log, MemoryEngine, RetentionRules, SystemClock, TailConfig};
use bytes::Bytes;

use super::{EmbeddedTopics, channels};
use crate::topics::{NewRecord, Place, Shape, TopicName, Topics, contract};

fn log(records_max: u64) -> Arc<Log> {
    let rules = RetentionRules::new(channels(records_max, 1 << 30), anywire_log::Retention::default());
    let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("an epoch");
    Log::start(Arc::new(engine), rules, TailConfig { bytes_max: 1 << 20 })
}

async fn open(log: &Arc<Log>) -> Arc<EmbeddedTopics> {
    open_with(log, contract::PARTITIONS).await
}

async fn open_with(log: &Arc<Log>, partitions: u32) -> Arc<EmbeddedTopics> {
    let topic = TopicName::new(contract::TOPIC).expect("a name");
    let topics = BTreeMap::from([(topic, partitions)]);
    EmbeddedTopics::open(Arc::clone(log), topics).await.expect("opened")
}

fn record(value: String) -> NewRecord {
    NewRecord { key: Some(Bytes::from_static(b"k")), headers: Vec::new(), value: Some(Bytes::from(value)) }
}

#[tokio::test]
async fn embedded_topics_keep_the_contract() {
    let topics = open(&log(1_000_000)).await;
    contract::records_keep_their_bytes_and_order(&*topics).await;
    contract::an_unknown_topic_is_named(&*topics).await;
    contract::what_was_not_committed_comes_again(&*topics).await;
    contract::who_never_committed_has_no_lag(&*topics).await;
    contract::members_share_and_hand_over(&*topics).await;
}

#[tokio::test]
async fn offsets_and_commits_go_on_after_a_restart() {
    let log = log(1_000_000);
    let name = TopicName::new(contract::TOPIC).expect("a name");
    let topics = open(&log).await;
    let before =
        topics.produce(&name, (0..5).map(|n| record(n.to_string())).collect()).await.expect("produced");
    let mut member = topics.join("g", "a", std::slice::from_ref(&name)).expect("joined");
    while member.poll(10, Duration::from_millis(10)).await.expect("polled").is_empty() {}
    member.commit(vec![before[3].clone()]).await.expect("committed");
    drop(member);
    drop(topics);
    let topics = open(&log).await;
    let after = topics.produce(&name, vec![record("5".to_owned())]).await.expect("produced");
    assert_eq!(after, [Place { offset: 5, ..before[0].clone() }]);
    let mut member = topics.join("g", "a", &[name]).expect("joined");
    let mut found = Vec::new();
    while found.len() < 3 {
        found.extend(member.poll(10, Duration::from_millis(10)).await.expect("polled"));
    }
    let offsets: Vec<u64> = found.iter().map(|record| record.place.offset).collect();
    assert_eq!(offsets, [3, 4, 5]);
}

#[tokio::test]
async fn a_group_behind_retention_goes_on_with_the_oldest_record() {
    let log = log(10);
    let name = TopicName::new(contract::TOPIC).expect("a name");
    let topics = open(&log).await;
    let places =
        topics.produce(&name, (0..25).map(|n| record(n.to_string())).collect()).await.expect("produced");
    log.enforce_retention(anywire_log::Clock::now(&SystemClock));
    let mut member = topics.join("g", "a", std::slice::from_ref(&name)).expect("joined");
    let mut found = Vec::new();
    while found.len() < 10 {
        found.extend(member.poll(100, Duration::from_millis(10)).await.expect("polled"));
    }
    let offsets: Vec<u64> = found.iter().map(|record| record.place.offset).collect();
    assert_eq!(offsets, (15..25).collect::<Vec<u64>>());
    assert_eq!(topics.read(&places[3]).await.expect("read"), None);
    let lags = topics.lag("g", &[name]).await.expect("measured");
    let lag = lags.iter().find(|lag| lag.partition == places[0].partition).expect("the partition");
    assert_eq!((lag.begin, lag.end), (15, 25));
}

#[tokio::test]
async fn fewer_partitions_in_the_settings_hide_no_record_and_are_told() {
    let log = log(1_000_000);
    let name = TopicName::new(contract::TOPIC).expect("a name");
    let unkeyed = |n: u32| NewRecord { key: None, ..record(n.to_string()) };
    open_with(&log, 6).await.produce(&name, (0..12).map(unkeyed).collect()).await.expect("produced");
    let topics = open_with(&log, 2).await;
    let told: Vec<Shape> = topics.notices().iter().map(|notice| notice.shape).collect();
    assert_eq!(told, [Shape::PartitionsDiffer { set: 2, now: 6 }]);
    let mut member = topics.join("g", "a", &[name]).expect("joined");
    let mut found = 0;
    while found < 12 {
        found += member.poll(100, Duration::from_millis(10)).await.expect("polled").len();
    }
    assert_eq!(open_with(&log, 6).await.notices(), [], "as many as are set are nothing to tell");
}
