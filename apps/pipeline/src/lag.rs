//! How far the group is, and whether the broker answers, as the API and channel `pipeline_state` show it.

use std::sync::Arc;

use anywire_app::description::schemas::{Amount, Time};
use anywire_log::Timestamp;
use parking_lot::RwLock;
use schemars::JsonSchema;
use serde::Serialize;

use crate::topics::{Notice, Shape};

/// What is published on channel `pipeline_state` as `state-updated`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PipelineState")]
pub(crate) struct GroupState {
    pub(crate) broker: ShownBroker,
    pub(crate) group: String,
    pub(crate) lag: Vec<ShownLag>,
    /// Why the lag is not that of this moment; null while it is.
    pub(crate) lag_error: Option<String>,
    /// What changed last about each topic that is not as it was.
    pub(crate) notices: Vec<ShownNotice>,
}

/// How a topic is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TopicNotice")]
pub(crate) struct ShownNotice {
    pub(crate) topic: String,
    /// Partitions were added; it has others than are set; it is not there; it was made anew.
    #[schemars(extend("enum" = ["PARTITIONS_ADDED", "PARTITIONS_DIFFER", "GONE", "ANEW"]))]
    pub(crate) kind: &'static str,
    /// How many partitions it had, or how many are set.
    pub(crate) before: Option<u32>,
    /// How many partitions it has.
    pub(crate) now: Option<u32>,
    /// When it was noticed.
    #[schemars(with = "Time")]
    #[serde(serialize_with = "anywire_app::time::iso_text::serialize")]
    pub(crate) since: Timestamp,
}

impl ShownNotice {
    /// A notice as it is shown.
    pub(crate) fn of(notice: &Notice) -> Self {
        let (kind, before, now) = match notice.shape {
            Shape::PartitionsAdded { before, now } => ("PARTITIONS_ADDED", Some(before), Some(now)),
            Shape::PartitionsDiffer { set, now } => ("PARTITIONS_DIFFER", Some(set), Some(now)),
            Shape::Gone => ("GONE", None, None),
            Shape::Anew => ("ANEW", None, None),
        };
        Self { topic: notice.topic.as_str().to_owned(), kind, before, now, since: notice.since }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BrokerState")]
pub(crate) struct ShownBroker {
    /// `embedded` or `kafka`; empty until it was looked at.
    #[schemars(extend("enum" = ["embedded", "kafka", ""]))]
    pub(crate) kind: &'static str,
    /// Whether it answers; empty until it was asked.
    #[schemars(extend("enum" = ["UP", "AWAY", ""]))]
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    /// Since when it is in this state.
    #[schemars(with = "Option<Time>")]
    #[serde(serialize_with = "anywire_app::time::iso_text_or_null::serialize")]
    pub(crate) since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PartitionLag")]
pub(crate) struct ShownLag {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) begin: String,
    pub(crate) end: String,
    /// None when the group never committed: that is no lag of everything there is.
    pub(crate) committed: Option<String>,
    pub(crate) messages: Option<u64>,
    /// How old the oldest of them is.
    #[schemars(with = "Option<Amount>")]
    pub(crate) seconds: Option<f64>,
    pub(crate) consumer_id: Option<String>,
}

impl GroupState {
    /// Whether the broker answers.
    pub(crate) fn is_up(&self) -> bool {
        self.broker.state == "UP"
    }

    /// The lag over all partitions that the group ever committed.
    pub(crate) fn lag_records(&self) -> u64 {
        self.lag.iter().filter_map(|lag| lag.messages).sum()
    }
}

/// The newest state.
#[derive(Default)]
pub(crate) struct NewestGroupState {
    newest: RwLock<Arc<GroupState>>,
}

impl NewestGroupState {
    /// The newest state.
    pub(crate) fn newest(&self) -> Arc<GroupState> {
        Arc::clone(&self.newest.read())
    }

    /// Puts another one in place.
    pub(crate) fn replace(&self, state: GroupState) {
        *self.newest.write() = Arc::new(state);
    }
}
