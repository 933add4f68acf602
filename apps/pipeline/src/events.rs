//! What the pipeline writes to the log.
//!
//! Channel `pipeline` has the seven events of docs/http-api.md with exactly these payloads; whoever looks
//! gets them. What only the server needs to know after a restart is on `$pipeline.ledger`.

use anywire_app::description::schemas::Time;
use anywire_log::{Channel, Event, EventName, Payload, Publication, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{ConsumerId, DataType, LogId, Marks, Totals};

/// The channel of the seven events.
pub const PIPELINE_CHANNEL: &str = "pipeline";
/// The channel of the lag and the broker's state; only the newest event counts.
pub const STATE_CHANNEL: &str = "pipeline_state";
/// The channel of what only the server needs.
pub(crate) const LEDGER_CHANNEL: &str = "$pipeline.ledger";

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Received(Received),
    Started(Started),
    Completed(Completed),
    Failed(Failed),
    Statistics(Statistics),
    Consumer(ConsumerStatus),
    DeadLettered(DeadLettered),
    Wanted(Wanted),
    /// A topic was made anew: its offsets count from their beginning.
    TopicAnew(TopicAnew),
    /// The server starts: none of the consumers runs that ran before.
    ServerStarted,
    /// A snapshot as it was written before applications had one way to write them.
    Snapshot(Box<Counted>),
}

/// `message-received`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    pub(crate) log_id: LogId,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) offset: String,
    pub(crate) data_type: DataType,
    pub(crate) row_count: u64,
    #[serde(with = "anywire_app::time::iso_text")]
    pub(crate) timestamp: Timestamp,
}

/// `processing-started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Started {
    pub(crate) log_id: LogId,
    pub(crate) status: ProcessingWord,
    #[serde(with = "anywire_app::time::iso_text")]
    pub(crate) timestamp: Timestamp,
}

/// `processing-completed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completed {
    pub(crate) log_id: LogId,
    pub(crate) consumer_id: ConsumerId,
    pub(crate) status: ProcessedWord,
    #[serde(with = "anywire_app::time::iso_text")]
    pub(crate) timestamp: Timestamp,
}

/// `processing-failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failed {
    pub(crate) log_id: LogId,
    pub(crate) status: FailedWord,
    pub(crate) error: String,
    #[serde(with = "anywire_app::time::iso_text")]
    pub(crate) timestamp: Timestamp,
}

/// `stats-updated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Statistics {
    #[serde(flatten)]
    pub(crate) totals: Totals,
    /// How many consumers run.
    pub(crate) active_consumers: usize,
    #[serde(with = "anywire_app::time::iso_text")]
    #[schemars(with = "Time")]
    pub(crate) timestamp: Timestamp,
}

/// `consumer-status-changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsumerStatus {
    pub(crate) consumer_id: ConsumerId,
    pub(crate) status: Activity,
    #[serde(with = "anywire_app::time::iso_text")]
    pub(crate) timestamp: Timestamp,
}

/// Whether a consumer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub(crate) enum Activity {
    Active,
    Inactive,
}

/// A record lies among the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLettered {
    pub(crate) log_id: LogId,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

/// These consumers shall run, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) consumers: Vec<ConsumerId>,
}

/// A topic was deleted and made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicAnew {
    pub(crate) topic: String,
}

/// What the events before it came to, or a part of that: several are added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counted {
    pub(crate) totals: Totals,
    pub(crate) marks: Vec<(String, u32, Marks)>,
    pub(crate) wanted: Option<Vec<ConsumerId>>,
    pub(crate) dead: Vec<DeadLettered>,
}

macro_rules! word {
    ($name:ident, $text:literal) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum $name {
            #[serde(rename = $text)]
            It,
        }
    };
}
word!(ProcessingWord, "PROCESSING");
word!(ProcessedWord, "PROCESSED");
word!(FailedWord, "FAILED");

impl Change {
    /// As it is published.
    pub(crate) fn publication(&self) -> Publication {
        let channel = match self {
            Self::DeadLettered(_)
            | Self::Wanted(_)
            | Self::TopicAnew(_)
            | Self::ServerStarted
            | Self::Snapshot(_) => LEDGER_CHANNEL,
            _ => PIPELINE_CHANNEL,
        };
        let payload = match self {
            Self::Received(change) => serde_json::to_vec(change),
            Self::Started(change) => serde_json::to_vec(change),
            Self::Completed(change) => serde_json::to_vec(change),
            Self::Failed(change) => serde_json::to_vec(change),
            Self::Statistics(change) => serde_json::to_vec(change),
            Self::Consumer(change) => serde_json::to_vec(change),
            Self::DeadLettered(change) => serde_json::to_vec(change),
            Self::Wanted(change) => serde_json::to_vec(change),
            Self::TopicAnew(change) => serde_json::to_vec(change),
            Self::ServerStarted => Ok(b"{}".to_vec()),
            Self::Snapshot(change) => serde_json::to_vec(change),
        };
        Publication {
            channel: named(channel),
            name: EventName::new(self.name()).expect("event names of this file are sound"),
            payload: Payload::Json(payload.expect("plain data with text keys is JSON").into()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Received(_) => "message-received",
            Self::Started(_) => "processing-started",
            Self::Completed(_) => "processing-completed",
            Self::Failed(_) => "processing-failed",
            Self::Statistics(_) => "stats-updated",
            Self::Consumer(_) => "consumer-status-changed",
            Self::DeadLettered(_) => "dead-lettered",
            Self::Wanted(_) => "consumers-wanted",
            Self::TopicAnew(_) => "topic-made-anew",
            Self::ServerStarted => "server-started",
            Self::Snapshot(_) => "snapshot",
        }
    }

    /// What an event of ours says; none for others, such as those somebody published to our channel.
    pub(crate) fn parse(event: &Event) -> Option<Self> {
        let bytes = event.payload.as_bytes();
        let change = match event.name.as_str() {
            "message-received" => serde_json::from_slice(bytes).map(Self::Received),
            "processing-started" => serde_json::from_slice(bytes).map(Self::Started),
            "processing-completed" => serde_json::from_slice(bytes).map(Self::Completed),
            "processing-failed" => serde_json::from_slice(bytes).map(Self::Failed),
            "stats-updated" => serde_json::from_slice(bytes).map(Self::Statistics),
            "consumer-status-changed" => serde_json::from_slice(bytes).map(Self::Consumer),
            "dead-lettered" => serde_json::from_slice(bytes).map(Self::DeadLettered),
            "consumers-wanted" => serde_json::from_slice(bytes).map(Self::Wanted),
            "topic-made-anew" => serde_json::from_slice(bytes).map(Self::TopicAnew),
            "server-started" => Ok(Self::ServerStarted),
            "snapshot" => serde_json::from_slice(bytes).map(|snapshot| Self::Snapshot(Box::new(snapshot))),
            _ => return None,
        };
        change.inspect_err(|error| tracing::warn!(offset = event.offset.get(), %error, "an event on channel pipeline is none of ours and is left out")).ok()
    }
}

/// The channel of the seven events.
pub(crate) fn pipeline_channel() -> Channel {
    named(PIPELINE_CHANNEL)
}

/// The channel of the state.
pub(crate) fn state_channel() -> Channel {
    named(STATE_CHANNEL)
}

/// The channel of what only the server needs.
pub(crate) fn ledger_channel() -> Channel {
    named(LEDGER_CHANNEL)
}

fn named(name: &str) -> Channel {
    Channel::new(name).expect("channel names of this file are sound")
}
