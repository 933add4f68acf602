//! Where samples come in, rules are set and hosts are forgotten: each is a decision on the state, finished
//! also when its caller goes away.

use std::{collections::HashMap, future::Future, sync::Arc};

use anywire_app::{AppContext, DecideError, Decided, Decision, Projected, Service};
use anywire_log::{AppendError, Offset, ReadError, Timestamp, TrimError};
use parking_lot::{MappedRwLockReadGuard, Mutex};
use tokio::sync::mpsc;

use crate::{
    config::MonitorConfig,
    decisions::{self, Refusal, Report, Reporter, Taken, unknown},
    domain::{
        Alert, AlertState, HostName, Rule, RuleError,
        clocks::{CLOCK_SKEW_MS, move_before},
    },
    events::{HostChannels, sources},
    projection::{Host, Monitoring},
    rebuild,
    reporters::Reporters,
    silence::{Silences, Silent},
};

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
    /// How many were moved to before the moment at which they were sent.
    pub(crate) moved: usize,
    pub(crate) newest: Offset,
}

/// The monitor as its routes and its background work know it.
pub(crate) struct MonitorService {
    pub(crate) context: AppContext,
    pub(crate) config: MonitorConfig,
    pub(crate) own: HostName,
    state: Service<Monitoring>,
    reporters: Mutex<Reporters>,
    silences: Mutex<Silences>,
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
            reporters: Mutex::default(),
            silences: Mutex::default(),
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

    /// Takes samples of another host, in order; `sent_at` is what its clock showed when it sent them,
    /// `instance` who it says it is.
    pub(crate) async fn report(
        self: &Arc<Self>,
        name: HostName,
        instance: Option<&str>,
        Report { mut samples, sent_at }: Report,
    ) -> Result<Recorded, MonitorError> {
        if name == self.own && self.config.collect {
            return Err(Refusal::OwnName { host: name }.into());
        }
        let skew = self.now().saturating_sub(sent_at);
        let shift = self.reporters.lock().heard(&name, instance, skew, self.config.hosts_max);
        samples.iter_mut().for_each(|sample| sample.time = sample.time.saturating_add(shift));
        let sent_at = sent_at.saturating_add(shift);
        let moved = move_before(&mut samples, sent_at);
        let recorded = self.record(name, Report { samples, sent_at }).await?;
        Ok(Recorded { moved, ..recorded })
    }

    /// How many machines report under a name.
    pub(crate) fn machines(&self, name: &HostName) -> usize {
        self.reporters.lock().machines(name)
    }

    /// Writes samples of a host that are new.
    pub(crate) async fn record(
        self: &Arc<Self>,
        name: HostName,
        report: Report,
    ) -> Result<Recorded, MonitorError> {
        let own = Arc::clone(self);
        to_the_end(async move {
            let recorded = own.record_samples(&name, report).await?;
            own.write_blocks(&name, None).await?;
            Ok(recorded)
        })
        .await
    }

    async fn record_samples(&self, name: &HostName, report: Report) -> Result<Recorded, MonitorError> {
        let is_own = *name == self.own;
        let channels = HostChannels::new(name, is_own).map_err(|_| unknown(name.as_str()))?;
        let hosts_max = (!is_own).then_some(self.config.hosts_max);
        let reporter = Reporter { name: name.clone(), channels, hosts_max };
        let new = self.read().host(name).is_none().then(|| NEW_HOST.to_owned());
        let entities = new.into_iter().chain([entity(name)]);
        let take = move |state: &Monitoring| decisions::take_samples(state, &reporter, &report);
        let Decided { answer: Taken { accepted, repeated, newest_at, alerts, went_back_ms }, appended } =
            self.decide(entities, take).await?;
        self.tell(alerts);
        if went_back_ms > CLOCK_SKEW_MS {
            tracing::warn!(host = %name, went_back_ms, "a clock went back, the host's or this server's");
        }
        let newest = match appended.and_then(|appended| appended.offsets().nth(newest_at)) {
            Some(offset) => offset,
            None => self.of_host(name, Host::newest_offset).unwrap_or_default(),
        };
        Ok(Recorded { accepted, repeated, moved: 0, newest })
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

    /// Looks at the hosts that are silent: what turns is told.
    pub(crate) async fn look_at_silence(&self) {
        let now = self.now();
        let silent = {
            let state = self.read();
            let reports = |host: &Host| !host.own || self.config.collect;
            let reporting = state.hosts().filter(|(_, host)| reports(host));
            let newest = reporting.map(|(name, host)| (name.clone(), host.newest_offset()));
            let silent = self.silences.lock().of(&newest.collect::<Vec<_>>());
            let turns = |silent: &Silent| !decisions::turned_by_silence(&state, silent, now).is_empty();
            silent.into_iter().filter(turns).collect::<Vec<_>>()
        };
        for silent in silent {
            let (host, entities) = (silent.host.clone(), [entity(&silent.host)]);
            let look = move |state: &Monitoring| Ok(decisions::look_at_silence(state, &silent, now));
            match self.decide(entities, look).await {
                Ok(decided) => self.tell(decided.answer),
                Err(error) => {
                    tracing::warn!(%host, %error, "that a host is silent could not be told; it is tried again");
                }
            }
        }
    }

    /// Checks rules that are to be set.
    pub(crate) fn check_rules(&self, rules: &[Rule]) -> Result<(), RuleError> {
        let state = self.read();
        Rule::check_all(rules, &state.alerts.rules, &state.figures())
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
            let (entity, host) = (format!("host {name}"), HostName::new(&name));
            let forget = move |state: &Monitoring| decisions::forget(state, &name, now);
            own.tell(own.decide([entity], forget).await?.answer);
            host.map(|host| own.reporters.lock().forget(&host)).ok();
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
}

fn entity(name: &HostName) -> String {
    format!("host {name}")
}

/// Does work that is several decisions in a task of its own: a caller that goes away ends it nowhere.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, MonitorError>> + Send + 'static,
) -> Result<T, MonitorError> {
    tokio::spawn(work).await.unwrap_or(Err(MonitorError::Stopped))
}
