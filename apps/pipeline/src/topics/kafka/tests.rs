//! The contract of topics, kept by Kafka's: on librdkafka's mock of a cluster, and on a real one where
//! `ANYWIRE_KAFKA` names it.

use std::{sync::Arc, time::Duration};

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use super::KafkaTopics;
use crate::{
    PipelineConfig,
    topics::{TopicName, Topics, contract},
};

async fn keep_the_contract(brokers: &str) {
    let config = PipelineConfig { partitions: contract::PARTITIONS, ..PipelineConfig::default() };
    let name = TopicName::new(contract::TOPIC).expect("a name");
    let topics: Arc<dyn Topics> = KafkaTopics::open(brokers, &config, vec![name.clone()]).expect("opened");
    let there = async {
        while !topics.topics().iter().any(|(topic, count)| *topic == name && *count == contract::PARTITIONS) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), there).await.expect("the topic is there");
    contract::records_keep_their_bytes_and_order(&*topics).await;
    contract::an_unknown_topic_is_named(&*topics).await;
    contract::what_was_not_committed_comes_again(&*topics).await;
    contract::who_never_committed_has_no_lag(&*topics).await;
    contract::members_share_and_hand_over(&*topics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_topics_keep_the_contract() {
    match std::env::var("ANYWIRE_KAFKA") {
        Ok(brokers) => keep_the_contract(&brokers).await,
        Err(_) => {
            let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).expect("a mock");
            cluster.create_topic(contract::TOPIC, 3, 1).expect("a topic");
            keep_the_contract(&cluster.bootstrap_servers()).await;
        }
    }
}
