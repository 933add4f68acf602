//! Measures once a second how far the group is, and publishes it when it changed.

use std::time::Duration;

use anywire_log::{Batch, EventName, Payload, Publication};

use crate::{
    consumers::{ConsumerPool, ShownPartition},
    events::state_channel,
    lag::{GroupState, ShownBroker, ShownLag, ShownNotice},
    topics::{Broker, PartitionLag},
};

/// How often lag is measured.
const EVERY: Duration = Duration::from_secs(1);

impl ConsumerPool {
    /// Measures until the server stops.
    pub(crate) async fn watch_group(&self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut broker = self.state.topics.broker();
        loop {
            tokio::select! {
                _ = every.tick() => {}
                // A broker that went away is shown at once. The sender lives as long as the topics.
                _ = broker.changed() => {}
                () = self.state.context.shutdown.cancelled() => return,
            }
            self.measure().await;
        }
    }

    /// Measures once, and tells if something changed.
    pub(crate) async fn measure(&self) {
        let before = self.state.group_state.newest();
        let lags = self.state.topics.lag(&self.state.config.group, &self.state.consumed).await;
        // While the broker is away the last figures stand, beside the word that they are old.
        let (lag, lag_error) = match lags {
            Ok(lags) => (self.shown_lags(&lags), None),
            Err(error) => (before.lag.clone(), Some(error.to_string())),
        };
        if let Some(error) = lag_error.as_ref().filter(|_| before.lag_error.is_none()) {
            tracing::warn!(error, "the lag cannot be measured; the last figures stand");
        }
        let notices = self.state.topics.notices().iter().map(ShownNotice::of).collect();
        let state = GroupState {
            broker: self.shown_broker(&before.broker),
            group: self.state.config.group.clone(),
            lag,
            lag_error,
            notices,
        };
        if state != *before {
            self.publish(&state).await;
            self.state.group_state.replace(state);
        }
    }

    fn shown_broker(&self, before: &ShownBroker) -> ShownBroker {
        let (state, reason) = match &*self.state.topics.broker().borrow() {
            Broker::Up => ("UP", None),
            Broker::Away { reason } => ("AWAY", Some(reason.clone())),
        };
        let since = if before.state == state { before.since } else { Some(self.state.context.clock.now()) };
        ShownBroker { kind: self.state.topics.kind(), state, reason, since }
    }

    fn shown_lags(&self, lags: &[PartitionLag]) -> Vec<ShownLag> {
        let consumers = self.consumers();
        let now = self.state.context.clock.now();
        let holder = |lag: &PartitionLag| {
            let mine = |shown: &ShownPartition| {
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

    async fn publish(&self, state: &GroupState) {
        let (Ok(json), Ok(name)) = (serde_json::to_vec(state), EventName::new("state-updated")) else {
            return;
        };
        let publication = Publication { channel: state_channel(), name, payload: Payload::Json(json.into()) };
        // The next measurement says it again if it could not be said now.
        if let Err(error) = self.state.context.log.append(Batch::one(publication)).await {
            tracing::debug!(%error, "the pipeline's state is not published");
        }
    }
}
