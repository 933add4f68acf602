//! How far the group is, and whether the broker answers: measured once a second, published when it changed.
//!
//! Knows: lag, the broker's state. Does not know: records, HTTP.

use std::{sync::Arc, time::Duration};

use anywire_log::{Batch, EventName, Payload, Publication, Timestamp};
use parking_lot::RwLock;
use serde::Serialize;

use crate::{
    events::state_channel,
    plant::Plant,
    topics::{Broker, PartitionLag},
};

/// How often lag is measured.
const EVERY: Duration = Duration::from_secs(1);

/// What is published on channel `pipeline_state` as `state-updated`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    broker: ShownBroker,
    group: String,
    lag: Vec<ShownLag>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownBroker {
    kind: &'static str,
    state: &'static str,
    reason: Option<String>,
    #[serde(serialize_with = "crate::time::maybe::serialize")]
    since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownLag {
    topic: String,
    partition: u32,
    begin: String,
    end: String,
    /// None when the group never committed: that is no lag of everything there is.
    committed: Option<String>,
    messages: Option<u64>,
    seconds: Option<f64>,
    consumer_id: Option<String>,
}

impl State {
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
pub(crate) struct StateBoard {
    newest: RwLock<Arc<State>>,
}

impl StateBoard {
    /// The newest state.
    pub(crate) fn newest(&self) -> Arc<State> {
        Arc::clone(&self.newest.read())
    }
}

impl Plant {
    /// Measures until the server stops.
    pub(crate) async fn watch_state(&self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut broker = self.topics.broker();
        loop {
            tokio::select! {
                _ = every.tick() => {}
                // A broker that went away is shown at once. The sender lives as long as the topics.
                _ = broker.changed() => {}
                () = self.context.shutdown.cancelled() => return,
            }
            self.measure().await;
        }
    }

    /// Measures once, and tells if something changed.
    pub(crate) async fn measure(&self) {
        let before = self.state.newest();
        let lags = self.topics.lag(&self.config.group, &self.consumed).await;
        // While the broker is away the last figures stand, beside the word that they are old.
        let lag = match lags {
            Ok(lags) => self.shown_lags(&lags),
            Err(error) => {
                tracing::debug!(%error, "lag could not be measured");
                before.lag.clone()
            }
        };
        let state =
            State { broker: self.shown_broker(&before.broker), group: self.config.group.clone(), lag };
        if state != *before {
            self.publish(&state).await;
            *self.state.newest.write() = Arc::new(state);
        }
    }

    fn shown_broker(&self, before: &ShownBroker) -> ShownBroker {
        let (state, reason) = match &*self.topics.broker().borrow() {
            Broker::Up => ("UP", None),
            Broker::Away { reason } => ("AWAY", Some(reason.clone())),
        };
        let since = if before.state == state { before.since } else { Some(self.context.clock.now()) };
        ShownBroker { kind: self.topics.kind(), state, reason, since }
    }

    fn shown_lags(&self, lags: &[PartitionLag]) -> Vec<ShownLag> {
        let consumers = self.consumers();
        let now = self.context.clock.now();
        let holder = |lag: &PartitionLag| {
            let mine = |shown: &crate::crew::ShownPartition| {
                shown.partition == lag.partition.number && shown.topic == lag.partition.topic.as_str()
            };
            let holder = consumers.iter().find(|consumer| consumer.partitions.iter().any(mine));
            holder.map(|consumer| consumer.consumer_id.as_str().to_owned())
        };
        let shown = |lag: &PartitionLag| {
            let messages = lag.records();
            let age = lag.oldest.map(|oldest| now.millis_since(oldest) as f64 / 1000.0);
            ShownLag {
                topic: lag.partition.topic.as_str().to_owned(),
                partition: lag.partition.number,
                begin: lag.begin.to_string(),
                end: lag.end.to_string(),
                committed: lag.committed.map(|offset| offset.to_string()),
                messages,
                seconds: if messages == Some(0) { Some(0.0) } else { age.filter(|_| messages.is_some()) },
                consumer_id: holder(lag),
            }
        };
        lags.iter().map(shown).collect()
    }

    async fn publish(&self, state: &State) {
        let (Ok(json), Ok(name)) = (serde_json::to_vec(state), EventName::new("state-updated")) else {
            return;
        };
        let publication = Publication { channel: state_channel(), name, payload: Payload::Json(json.into()) };
        // The next measurement says it again if it could not be said now.
        if let Err(error) = self.context.log.append(Batch::one(publication)).await {
            tracing::debug!(%error, "the pipeline's state is not published");
        }
    }
}
