//! Where samples come in, rules are set and hosts are forgotten: each is a decision on the state, finished
//! also when its caller goes away.

use std::{collections::HashMap, future::Future, sync::Arc};

use anywire_app::{AppContext, DecideError, Decided, Decision, Projected, Service};
use anywire_log::{AppendError, Offset, ReadError, Timestamp, TrimError};
use parking_lot::{MappedRwLockReadGuard, Mutex};
use tokio::sync::mpsc;

use crate::{
    config::MonitorConfig,
    decisions::{self, Refusal, Reporter, Taken, unknown},
    domain::{Alert, AlertState, HostName, Rule, Sample},
    events::{HostChannels, sources},
    projection::{Host, Monitoring},
    rebuild,
};

/// How far a host's clock may be off before its times are moved to ours.
const CLOCK_SKEW_MS: i64 = 2000;
/// How many alerts wait for the webhook at most.
const WAITING_MAX: usize = 64;
/// What decisions on rules are locked by.
const RULES: &str = "rules";
/// What decisions on hosts that nobody has heard of are locked by: only so many there may be.
const NEW_HOST: &str = "new host";

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MonitorError {
    /// It is not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not forget.
    #[error(transparent)]
    Trim(#[from] TrimError),
    /// The server stopped meanwhile.
    #[error("the server stopped before it was done; ask again")]
    Stopped,
}

impl From<DecideError<Refusal>> for MonitorError {
    fn from(error: DecideError<Refusal>) -> Self {
        match error {
            DecideError::Refused(refusal) => refusal.into(),
            DecideError::Append(error) => error.into(),
            DecideError::Stopped => Self::Stopped,
        }
    }
}

/// How a batch of samples was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) accepted: usize,
    pub(crate) repeated: usize,
    pub(crate) newest: Offset,
}

/// The monitor as its routes and its background work know it.
pub(crate) struct MonitorService {
    pub(crate) context: AppContext,
    pub(crate) config: MonitorConfig,
    pub(crate) own: HostName,
    state: Service<Monitoring>,
    /// By how much the times of hosts are moved whose clocks are off, in milliseconds.
    shifts: Mutex<HashMap<HostName, i64>>,
    /// The forgotten hosts whose channels were trimmed since the start.
    trimmed: Mutex<HashMap<HostName, Offset>>,
    webhook: Option<mpsc::Sender<Alert>>,
    outbox: Mutex<Option<mpsc::Receiver<Alert>>>,
}

impl MonitorService {
    /// Rebuilds everything from the log.
    pub(crate) async fn open(
        context: AppContext,
        config: MonitorConfig,
        own: HostName,
    ) -> Result<Arc<Self>, ReadError> {
        let log = Arc::clone(&context.log);
        let (settings, name) = (config.clone(), own.clone());
        let empty = move || Monitoring::new(settings.clone(), name.clone());
        let begin = move |channels| rebuild::begin(Arc::clone(&log), channels, empty());
        let projected = Projected::open_at(&context.log, sources(), begin).await?;
        let (webhook, outbox) = mpsc::channel(WAITING_MAX);
        let webhook = config.webhook_url.is_some().then_some(webhook);
        Ok(Arc::new(Self {
            context,
            config,
            own,
            state: Service::new(projected),
            shifts: Mutex::default(),
            trimmed: Mutex::default(),
            webhook,
            outbox: Mutex::new(Some(outbox)),
        }))
    }

    /// What another release or a crash left undone: alerts without a rule end, and what forgotten hosts left
    /// is trimmed.
    pub(crate) async fn clean_up(&self) -> Result<(), MonitorError> {
        let now = self.now();
        let end = move |state: &Monitoring| Ok(decisions::end_alerts_without_a_rule(state, now));
        self.tell(self.decide([RULES.to_owned()], end).await?.answer);
        self.trim_forgotten().await
    }

    /// The state. Hold it briefly: commits wait for it.
    pub(crate) fn read(&self) -> MappedRwLockReadGuard<'_, Monitoring> {
        self.state.read()
    }

    pub(crate) fn now(&self) -> i64 {
        self.context.clock.now().as_millis()
    }

    /// The name of a host that is known.
    pub(crate) fn host_name(&self, name: &str) -> Result<HostName, Refusal> {
        let known = HostName::new(name).ok().filter(|name| self.read().host(name).is_some());
        known.ok_or_else(|| unknown(name))
    }

    /// What is asked of a host.
    pub(crate) fn of_host<T>(&self, name: &HostName, ask: impl FnOnce(&Host) -> T) -> Result<T, Refusal> {
        self.read().host(name).map(ask).ok_or_else(|| unknown(name.as_str()))
    }

    /// What waits for the webhook; given once.
    pub(crate) fn outbox(&self) -> Option<mpsc::Receiver<Alert>> {
        self.outbox.lock().take()
    }

    async fn decide<A: Send + 'static>(
        &self,
        entities: impl IntoIterator<Item = String>,
        decide: impl FnMut(&Monitoring) -> Result<Decision<A>, Refusal> + Send + 'static,
    ) -> Result<Decided<A>, MonitorError> {
        Ok(self.state.decide(entities, decide).await?)
    }

    /// Takes samples of another host, in order; `sent_at` is what its clock showed when it sent them.
    pub(crate) async fn report(
        self: &Arc<Self>,
        name: HostName,
        mut samples: Vec<Sample>,
        sent_at: i64,
    ) -> Result<Recorded, MonitorError> {
        if name == self.own && self.config.collect {
            return Err(Refusal::OwnName { host: name }.into());
        }
        let shift = self.shift(&name, self.now().saturating_sub(sent_at));
        samples.iter_mut().for_each(|sample| sample.time = sample.time.saturating_add(shift));
        self.record(name, samples).await
    }

    /// Writes samples of a host that are new.
    pub(crate) async fn record(
        self: &Arc<Self>,
        name: HostName,
        samples: Vec<Sample>,
    ) -> Result<Recorded, MonitorError> {
        let own = Arc::clone(self);
        to_the_end(async move {
            let recorded = own.record_samples(&name, samples).await?;
            own.write_blocks(&name, None).await?;
            Ok(recorded)
        })
        .await
    }

    async fn record_samples(&self, name: &HostName, samples: Vec<Sample>) -> Result<Recorded, MonitorError> {
        let is_own = *name == self.own;
        let channels = HostChannels::new(name, is_own).map_err(|_| unknown(name.as_str()))?;
        let hosts_max = (!is_own).then_some(self.config.hosts_max);
        let reporter = Reporter { name: name.clone(), channels, hosts_max };
        let new = self.read().host(name).is_none().then(|| NEW_HOST.to_owned());
        let entities = new.into_iter().chain([entity(name)]);
        let take = move |state: &Monitoring| decisions::take_samples(state, &reporter, &samples);
        let Decided { answer: Taken { accepted, repeated, newest_at, alerts }, appended } =
            self.decide(entities, take).await?;
        self.tell(alerts);
        let newest = match appended.and_then(|appended| appended.offsets().nth(newest_at)) {
            Some(offset) => offset,
            None => self.of_host(name, newest_offset).unwrap_or_default(),
        };
        Ok(Recorded { accepted, repeated, newest })
    }

    /// Puts full blocks into the log, and with `now` those that are over. What fails is tried again with the
    /// next sample.
    async fn write_blocks(&self, name: &HostName, now: Option<i64>) -> Result<(), MonitorError> {
        loop {
            let due = self.read().host(name).is_some_and(|host| host.history.is_due(now));
            if !due {
                return Ok(());
            }
            let host = name.clone();
            let write = move |state: &Monitoring| Ok(decisions::write_block(state.host(&host), now));
            if !self.decide([entity(name)], write).await?.answer {
                return Ok(());
            }
        }
    }

    /// Once in a while: blocks of silent hosts are closed, and what forgotten hosts left is trimmed.
    pub(crate) async fn tidy(&self, now: Timestamp) {
        let names: Vec<HostName> = self.read().hosts().map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Err(error) = self.write_blocks(&name, Some(now.as_millis())).await {
                tracing::warn!(host = %name, %error, "history could not be written; it is tried again");
            }
        }
        if let Err(error) = self.trim_forgotten().await {
            tracing::warn!(%error, "what a forgotten host left is kept for now; it is tried again");
        }
    }

    /// Replaces all rules.
    pub(crate) async fn set_rules(self: &Arc<Self>, rules: Vec<Rule>) -> Result<(), MonitorError> {
        let (own, now) = (Arc::clone(self), self.now());
        to_the_end(async move {
            let set = move |state: &Monitoring| Ok(decisions::set_rules(state, &rules, now));
            own.tell(own.decide([RULES.to_owned()], set).await?.answer);
            Ok(())
        })
        .await
    }

    /// Forgets a host and its history.
    pub(crate) async fn forget(self: &Arc<Self>, name: String) -> Result<(), MonitorError> {
        let (own, now) = (Arc::clone(self), self.now());
        to_the_end(async move {
            let entity = format!("host {name}");
            let forget = move |state: &Monitoring| decisions::forget(state, &name, now);
            own.tell(own.decide([entity], forget).await?.answer);
            own.trim_forgotten().await
        })
        .await
    }

    /// Removes what forgotten hosts left in the log.
    async fn trim_forgotten(&self) -> Result<(), MonitorError> {
        let forgotten: Vec<(HostName, Offset)> =
            self.read().forgotten().map(|(name, through)| (name.clone(), through)).collect();
        for (name, through) in forgotten {
            let done = self.trimmed.lock().get(&name) == Some(&through);
            let Some(channels) = HostChannels::new(&name, name == self.own).ok().filter(|_| !done) else {
                continue;
            };
            for channel in channels.all() {
                self.context.log.trim(channel.clone(), through).await?;
            }
            self.trimmed.lock().insert(name, through);
        }
        Ok(())
    }

    /// Tells everybody who wants to know beside the channel of alerts.
    fn tell(&self, alerts: Vec<Alert>) {
        for alert in alerts {
            let name = if alert.state == AlertState::Raised { "alert_raised" } else { "alert_cleared" };
            tracing::info!(host = %alert.host, rule = %alert.rule, value = alert.value, "{name}");
            if let Some(webhook) = &self.webhook
                && webhook.try_send(alert).is_err()
            {
                tracing::warn!("too many alerts wait for monitor.webhook_url: one is dropped");
            }
        }
    }

    fn shift(&self, name: &HostName, skew: i64) -> i64 {
        let mut shifts = self.shifts.lock();
        let shift = shift(shifts.get(name).copied().unwrap_or_default(), skew);
        // Only clocks that are off take room, and only as many as hosts may report.
        if shift == 0 {
            shifts.remove(name);
        } else if shifts.len() < self.config.hosts_max || shifts.contains_key(name) {
            shifts.insert(name.clone(), shift);
        }
        shift
    }
}

fn entity(name: &HostName) -> String {
    format!("host {name}")
}

fn newest_offset(host: &Host) -> Offset {
    host.newest.as_ref().map_or(Offset::ZERO, |newest| newest.offset)
}

/// By how much a host's times are moved, now that its clock seems to be so far behind ours. What the way here
/// adds trembles: a shift that still fits stays, or a clock at the edge of what is let pass would jump to and
/// fro, and samples would seem to be repetitions.
fn shift(before: i64, skew: i64) -> i64 {
    if skew.saturating_sub(before).saturating_abs() <= CLOCK_SKEW_MS {
        return before;
    }
    if skew.saturating_abs() > CLOCK_SKEW_MS { skew } else { 0 }
}

/// Does work that is several decisions in a task of its own: a caller that goes away ends it nowhere.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, MonitorError>> + Send + 'static,
) -> Result<T, MonitorError> {
    tokio::spawn(work).await.unwrap_or(Err(MonitorError::Stopped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_at_the_edge_of_what_is_let_pass_does_not_move_samples_to_and_fro() {
        let mut before = 0;
        let shifts = [10, 1990, 2010, 1990, 2100, 900, 5, -4000].map(|skew| {
            before = shift(before, skew);
            before
        });
        assert_eq!(shifts, [0, 0, 2010, 2010, 2010, 2010, 0, -4000]);
    }
}
