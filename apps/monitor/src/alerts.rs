//! Alerts: which stand, which stood, and who is told.
//!
//! Knows: rules, hosts, the channel of alerts. Does not know: how a webhook is sent, HTTP.
//!
//! Invariant: what stands after a restart is what stood before it: it is read from the channel of alerts.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anywire_app::AppContext;
use anywire_log::{AppendError, Batch, Channel, Followed, Payload, Position, ReadError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    MonitorConfig, StartError,
    desk::Desk,
    domain::{HostName, Sample},
    events::{ALERTS_CHANNEL, RULES_CHANNEL, publication},
    rules::{Rule, Side, Turn, Watch},
};

/// How many past alerts are listed.
const RECENT_MAX: usize = 50;
/// How many alerts wait for the webhook at most.
const WAITING_MAX: usize = 64;

/// One turn of a rule at a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// `raised` or `cleared`.
    pub(crate) state: AlertState,
    pub(crate) host: String,
    pub(crate) rule: String,
    pub(crate) figure: String,
    pub(crate) side: Side,
    /// What the figure was.
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    #[serde(with = "crate::time::iso_text")]
    pub(crate) since: i64,
    #[serde(with = "crate::time::iso_text")]
    pub(crate) at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertState {
    Raised,
    Cleared,
}

/// The rules and where they stand.
pub(crate) struct Alerts {
    inner: Mutex<Inner>,
    webhook: Option<mpsc::Sender<Alert>>,
    outbox: Mutex<Option<mpsc::Receiver<Alert>>>,
}

struct Inner {
    rules: Vec<Rule>,
    watches: HashMap<(HostName, String), Watch>,
    active: BTreeMap<(String, String), Alert>,
    recent: VecDeque<Alert>,
}

impl Inner {
    fn note(&mut self, alert: &Alert) {
        let key = (alert.host.clone(), alert.rule.clone());
        match alert.state {
            AlertState::Raised => self.active.insert(key, alert.clone()),
            AlertState::Cleared => self.active.remove(&key),
        };
        self.recent.push_front(alert.clone());
        self.recent.truncate(RECENT_MAX);
    }

    /// Puts other rules in place. What was seen for a rule that is gone, off, or about something else now says nothing any more; its alerts end.
    fn replace(&mut self, rules: Vec<Rule>, now: i64) -> Vec<Alert> {
        let before = std::mem::replace(&mut self.rules, rules);
        let Self { rules, watches, .. } = self;
        let about = |rules: &[Rule], id: &str| {
            let rule = rules.iter().find(|rule| rule.enabled && rule.id == *id);
            rule.map(|rule| (rule.figure.clone(), rule.side))
        };
        watches.retain(|(_, id), _| about(rules, id).is_some_and(|new| about(&before, id) == Some(new)));
        self.end_unknown(now)
    }

    /// Ends the alerts that no rule stands behind.
    fn end_unknown(&mut self, now: i64) -> Vec<Alert> {
        let rules = self.rules.clone();
        let known = |alert: &Alert, rule: &Rule| {
            rule.enabled && rule.id == alert.rule && rule.figure == alert.figure && rule.side == alert.side
        };
        self.end(now, |alert| !rules.iter().any(|rule| known(alert, rule)))
    }

    /// Ends alerts that nothing can end any more.
    fn end(&mut self, now: i64, gone: impl Fn(&Alert) -> bool) -> Vec<Alert> {
        let active = self.active.values().filter(|alert| gone(alert));
        let ended: Vec<Alert> =
            active.map(|alert| Alert { state: AlertState::Cleared, at: now, ..alert.clone() }).collect();
        ended.iter().for_each(|alert| self.note(alert));
        ended
    }
}

impl Alerts {
    pub(crate) async fn open(context: &AppContext, config: &MonitorConfig) -> Result<Self, StartError> {
        let mut inner = Inner {
            rules: MonitorConfig::first_rules(),
            watches: HashMap::new(),
            active: BTreeMap::new(),
            recent: VecDeque::new(),
        };
        for json in stored(context, RULES_CHANNEL).await? {
            if let Ok(rules) = serde_json::from_slice(&json) {
                inner.rules = rules;
            }
        }
        for json in stored(context, ALERTS_CHANNEL).await? {
            if let Ok(alert) = serde_json::from_slice::<Alert>(&json) {
                inner.note(&alert);
            }
        }
        // Their ends could not be written before the server stopped.
        inner.end_unknown(context.clock.now().as_millis());
        for alert in inner.active.values() {
            if let Ok(host) = HostName::new(&alert.host) {
                inner.watches.insert((host, alert.rule.clone()), Watch::Raised { since: alert.since });
            }
        }
        let (webhook, outbox) = mpsc::channel(WAITING_MAX);
        let webhook = config.webhook_url.is_some().then_some(webhook);
        Ok(Self { inner: Mutex::new(inner), webhook, outbox: Mutex::new(Some(outbox)) })
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.inner.lock().rules.clone()
    }

    pub(crate) fn active(&self) -> Vec<Alert> {
        self.inner.lock().active.values().cloned().collect()
    }

    pub(crate) fn recent(&self) -> Vec<Alert> {
        self.inner.lock().recent.iter().cloned().collect()
    }

    /// What waits for the webhook; given once.
    pub(crate) fn outbox(&self) -> Option<mpsc::Receiver<Alert>> {
        self.outbox.lock().take()
    }

    /// Replaces all rules. They are in the log before they hold.
    pub(crate) async fn set_rules(&self, desk: &Desk, rules: Vec<Rule>) -> Result<(), AppendError> {
        // Rules are numbers and texts: writing them cannot fail.
        let json = serde_json::to_vec(&rules).unwrap_or_default();
        append(desk, RULES_CHANNEL, "rules", json).await?;
        let ended = self.inner.lock().replace(rules, desk.context.clock.now().as_millis());
        self.tell(desk, ended).await;
        Ok(())
    }

    /// A host is gone, and its alerts with it.
    pub(crate) async fn forget(&self, desk: &Desk, host: &HostName) {
        let ended = {
            let mut inner = self.inner.lock();
            inner.watches.retain(|(name, _), _| name != host);
            inner.end(desk.context.clock.now().as_millis(), |alert| alert.host == host.as_str())
        };
        self.tell(desk, ended).await;
    }

    /// Looks at new samples of a host, and publishes what turned.
    pub(crate) async fn look(&self, desk: &Desk, host: &HostName, samples: &[Sample]) {
        let turned = {
            let mut inner = self.inner.lock();
            let turned: Vec<Alert> =
                samples.iter().flat_map(|sample| look_at(&mut inner, host, sample)).collect();
            turned.iter().for_each(|alert| inner.note(alert));
            turned
        };
        self.tell(desk, turned).await;
    }

    /// Tells everybody who wants to know.
    async fn tell(&self, desk: &Desk, turned: Vec<Alert>) {
        for alert in turned {
            let name = if alert.state == AlertState::Raised { "alert_raised" } else { "alert_cleared" };
            tracing::info!(host = %alert.host, rule = %alert.rule, value = alert.value, "{name}");
            let json = serde_json::to_vec(&alert).unwrap_or_default();
            if let Err(error) = append(desk, ALERTS_CHANNEL, name, json).await {
                tracing::warn!(%error, "an alert could not be published");
            }
            if let Some(webhook) = &self.webhook
                && webhook.try_send(alert).is_err()
            {
                tracing::warn!("too many alerts wait for monitor.webhook_url: one is dropped");
            }
        }
    }
}

fn look_at(inner: &mut Inner, host: &HostName, sample: &Sample) -> Vec<Alert> {
    let figures: Vec<_> = sample.figures().collect();
    let patience_ms = i64::from(sample.interval_ms) * 5 / 2;
    let Inner { rules, watches, .. } = inner;
    let mut turned = Vec::new();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        let Some((_, value)) = figures.iter().find(|(name, _)| *name == rule.figure) else { continue };
        let watch = watches.entry((host.clone(), rule.id.clone())).or_default();
        let Some(turn) = watch.look(rule, sample.time, *value, patience_ms) else { continue };
        let (state, since, threshold) = match turn {
            Turn::Raised { since } => (AlertState::Raised, since, rule.raise),
            Turn::Cleared { since } => (AlertState::Cleared, since, rule.clear),
        };
        turned.push(Alert {
            state,
            host: host.to_string(),
            rule: rule.id.clone(),
            figure: rule.figure.clone(),
            side: rule.side,
            value: (*value * 100.0).round() / 100.0,
            threshold,
            since,
            at: sample.time,
        });
    }
    turned
}

/// The JSON payloads of a channel, oldest first.
async fn stored(context: &AppContext, channel: &str) -> Result<Vec<bytes::Bytes>, ReadError> {
    let Ok(channel) = Channel::new(channel) else { return Ok(Vec::new()) };
    let mut follow = context.log.follow(&[channel], Position::Oldest);
    let mut found = Vec::new();
    while let Some(next) = follow.ready().await? {
        if let Followed::Events(events) = next {
            found.extend(events.iter().map(|event| event.payload.as_bytes().clone()));
        }
    }
    Ok(found)
}

async fn append(desk: &Desk, channel: &str, name: &str, json: Vec<u8>) -> Result<(), AppendError> {
    let channel = Channel::new(channel).ok();
    let event = channel.and_then(|channel| publication(&channel, name, Payload::Json(json.into())));
    match event {
        Some(event) => desk.context.log.append(Batch::one(event)).await.map(|_| ()),
        None => Ok(()),
    }
}
