//! What can be set for the pipeline, with a default and a range for each.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{domain::ConsumerId, topics::TopicName};

/// Topics, consumers and what is done with a record. Every limit is finite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// The Kafka brokers, `host:port` with commas between. Default none: topics are kept in the server's own
    /// log.
    pub kafka: Option<String>,
    /// Further settings of librdkafka, each `name=value`, such as `security.protocol=sasl_plaintext`. Default
    /// none.
    pub kafka_options: Vec<String>,
    /// The topics that are produced to and consumed. Default `["test"]`; at least 1, at most 100. On Kafka
    /// those that are missing are made.
    pub topics: Vec<String>,
    /// How many partitions a topic gets that is made. Default 3; 1 to 256. An embedded topic can be given
    /// more later, not fewer.
    pub partitions: u32,
    /// The group that the consumers belong to. Default `anywire`.
    pub group: String,
    /// How many consumers run when nobody has said otherwise. Default 1; 0 to 64.
    pub consumers: usize,
    /// How many consumers may run in this server. Default 16; 1 to 64.
    pub consumers_max: usize,
    /// What the names of consumers begin with. Default `consumer`. Servers that share a group need different
    /// ones.
    pub consumer_prefix: String,
    /// The file of a JSON Schema that every record must fit. Default none.
    pub schema: Option<PathBuf>,
    /// The address that every record is posted to. Default none.
    pub sink: Option<String>,
    /// How long the sink may take to answer, in milliseconds. Default 5 000; 10 to 60 000.
    pub sink_timeout_ms: u64,
    /// How often a record is tried before it becomes a dead letter. Default 4; 1 to 20.
    pub attempts_max: u32,
    /// The wait before the second attempt, in milliseconds; it doubles with each. Default 200; 1 to 60 000.
    pub retry_min_ms: u64,
    /// The longest wait between two attempts, in milliseconds. Default 10 000; 1 to 120 000.
    pub retry_max_ms: u64,
    /// What a topic's name gets at its end for its dead letters. Default `.dead`.
    pub dead_letter_suffix: String,
    /// The largest record, in bytes with key and headers. Default 1 000 000; 1 000 to 100 000 000.
    pub record_bytes_max: usize,
    /// How many rows of a CSV file go into one record. Default 100; 1 to 10 000.
    pub csv_rows: usize,
    /// The largest CSV file, in bytes. Default 1 GiB; 1 KiB to 1 TiB.
    pub csv_bytes_max: u64,
    /// How many records a consumer takes at once. Default 500; 1 to 5 000.
    pub batch_records_max: usize,
    /// How many records are shown with their state. Default 10 000; 100 to 100 000.
    pub records_kept_max: usize,
    /// How many records an embedded partition keeps. Default 1 000 000; 1 000 to 100 000 000.
    pub partition_records_max: u64,
    /// How many bytes an embedded partition keeps. Default 1 GiB; 1 MiB to 1 TiB.
    pub partition_bytes_max: u64,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            kafka: None,
            kafka_options: Vec::new(),
            topics: vec!["test".to_owned()],
            partitions: 3,
            group: "anywire".to_owned(),
            consumers: 1,
            consumers_max: 16,
            consumer_prefix: "consumer".to_owned(),
            schema: None,
            sink: None,
            sink_timeout_ms: 5000,
            attempts_max: 4,
            retry_min_ms: 200,
            retry_max_ms: 10_000,
            dead_letter_suffix: ".dead".to_owned(),
            record_bytes_max: 1_000_000,
            csv_rows: 100,
            csv_bytes_max: 1 << 30,
            batch_records_max: 500,
            records_kept_max: 10_000,
            partition_records_max: 1_000_000,
            partition_bytes_max: 1 << 30,
        }
    }
}

/// A setting that is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error("pipeline.{field} is {value}; set it between {min} and {max}")]
    Range {
        /// The setting.
        field: &'static str,
        /// What it was.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// A text that is no name.
    #[error("pipeline.{field}: {detail}")]
    Name {
        /// The setting.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl PipelineConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] names the first that is not sound.
    pub fn check(&self) -> Result<(), ConfigError> {
        let name = |field, detail: String| ConfigError::Name { field, detail };
        self.topic_names()?;
        TopicName::new(&self.group)
            .map_err(|_| name("group", format!("{:?} is no name of a group", self.group)))?;
        let first = format!("{}-1", self.consumer_prefix);
        ConsumerId::new(&first).map_err(|error| name("consumer_prefix", error.to_string()))?;
        let dead = format!("a{}", self.dead_letter_suffix);
        let short = (1..=40).contains(&self.dead_letter_suffix.len());
        TopicName::new(&dead)
            .ok()
            .filter(|_| short)
            .ok_or_else(|| name("dead_letter_suffix", "expected 1 to 40 of a-z A-Z 0-9 . _ -".to_owned()))?;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        range("topics (their number)", count(self.topics.len()), 1, 100)?;
        range("partitions", u64::from(self.partitions), 1, 256)?;
        range("consumers_max", count(self.consumers_max), 1, 64)?;
        range("consumers", count(self.consumers), 0, count(self.consumers_max))?;
        range("sink_timeout_ms", self.sink_timeout_ms, 10, 60_000)?;
        range("attempts_max", u64::from(self.attempts_max), 1, 20)?;
        range("retry_min_ms", self.retry_min_ms, 1, 60_000)?;
        range("retry_max_ms", self.retry_max_ms, 1, 120_000)?;
        range("record_bytes_max", count(self.record_bytes_max), 1000, 100_000_000)?;
        range("csv_rows", count(self.csv_rows), 1, 10_000)?;
        range("csv_bytes_max", self.csv_bytes_max, 1 << 10, 1 << 40)?;
        range("batch_records_max", count(self.batch_records_max), 1, 5000)?;
        range("records_kept_max", count(self.records_kept_max), 100, 100_000)?;
        range("partition_records_max", self.partition_records_max, 1000, 100_000_000)?;
        range("partition_bytes_max", self.partition_bytes_max, 1 << 20, 1 << 40)
    }

    /// The topics by name.
    ///
    /// # Errors
    /// [`ConfigError`] names the one that is no name.
    pub fn topic_names(&self) -> Result<Vec<TopicName>, ConfigError> {
        let parsed = self.topics.iter().map(|topic| TopicName::new(topic));
        parsed
            .collect::<Result<_, _>>()
            .map_err(|error| ConfigError::Name { field: "topics", detail: error.to_string() })
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn range(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(ConfigError::Range { field, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_inside_their_ranges() {
        assert_eq!(PipelineConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_setting_that_is_not_sound_is_named_with_its_value() {
        let message = |config: PipelineConfig| config.check().expect_err("not sound").to_string();
        let config = PipelineConfig { consumers: 17, ..PipelineConfig::default() };
        assert_eq!(message(config), "pipeline.consumers is 17; set it between 0 and 16");
        let config = PipelineConfig { topics: vec!["a b".to_owned()], ..PipelineConfig::default() };
        assert!(message(config).starts_with("pipeline.topics: \"a b\" is no topic name"));
    }
}
