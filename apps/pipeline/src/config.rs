//! What can be set for the pipeline, with a default and a range for each.

use std::path::PathBuf;

use anywire_settings::{Amount, OutOfRange, Range, SettingValue, settings};

use crate::{domain::ConsumerId, topics::TopicName};

settings! {
    /// Topics, consumers and what is done with a record. Every limit is finite.
    #[derive(PartialEq, Eq)]
    pub struct PipelineConfig {
        /// The Kafka brokers, `host:port` with commas between. Without it topics are kept in the server's own
        /// log.
        pub kafka: Option<String> = None;
        /// Further settings of librdkafka, each `name=value`, such as `security.protocol=sasl_plaintext`.
        pub kafka_options: Vec<String> = Vec::new();
        /// The topics that are produced to and consumed. On Kafka those that are missing are made.
        pub topics: Vec<String> = vec!["test".to_owned()], in 1..=100;
        /// How many partitions a topic gets that is made. An embedded topic can be given more later, not
        /// fewer.
        pub partitions: u32 = 3, in 1..=256;
        /// The group that the consumers belong to.
        pub group: String = "anywire".to_owned();
        /// How many consumers run when nobody has said otherwise, at most `consumers_max`.
        pub consumers: usize = 1, in 0..=64;
        /// How many consumers may run in this server.
        pub consumers_max: usize = 16, in 1..=64;
        /// What the names of consumers begin with. Servers that share a group need different ones.
        pub consumer_prefix: String = "consumer".to_owned();
        /// The file of a JSON Schema that every record must fit.
        pub schema: Option<PathBuf> = None;
        /// The address that every record is posted to.
        pub sink: Option<String> = None;
        /// How long the sink may take to answer.
        pub sink_timeout_ms: u64 = 5000, in 10..=60_000;
        /// How often a record is tried before it becomes a dead letter.
        pub attempts_max: u32 = 4, in 1..=20;
        /// The wait before the second attempt; it doubles with each.
        pub retry_min_ms: u64 = 200, in 1..=60_000;
        /// The longest wait between two attempts.
        pub retry_max_ms: u64 = 10_000, in 1..=120_000;
        /// What a topic's name gets at its end for its dead letters.
        pub dead_letter_suffix: String = ".dead".to_owned();
        /// The largest record, with key and headers.
        pub record_bytes_max: usize = 1_000_000, in 1000..=100_000_000;
        /// How many rows of a CSV file go into one record.
        pub csv_rows: usize = 100, in 1..=10_000;
        /// The largest CSV file.
        pub csv_bytes_max: u64 = 1 << 30, in 1 << 10..=1 << 40;
        /// How many records a consumer takes at once.
        pub batch_records_max: usize = 500, in 1..=5000;
        /// How many records are shown with their state.
        pub records_kept_max: usize = 10_000, in 100..=100_000;
        /// How many records an embedded partition keeps.
        pub partition_records_max: u64 = 1_000_000, in 1000..=100_000_000;
        /// How many bytes an embedded partition keeps.
        pub partition_bytes_max: u64 = 1 << 30, in 1 << 20..=1 << 40;
    }
}

/// A setting that is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
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
        self.check_ranges("pipeline")?;
        let range = Range::new(Amount::Number, 0..=self.consumers_max as u64);
        Ok(range.check("pipeline.consumers", self.consumers as u64)?)
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
