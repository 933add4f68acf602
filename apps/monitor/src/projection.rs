//! What is known of all hosts, the rules and the alerts: the projection of the monitor's channels.
//!
//! Invariant: samples of one host are taken in the order in which they came; their times go back where a
//! clock did.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use anywire_app::Projection;
use anywire_log::{Channel, Event, Gap, Offset};
use bytes::Bytes;

use crate::{
    config::MonitorConfig,
    domain::{Alert, AlertState, Figures, HostName, Rule, Sample, Watch, check_time, step_of},
    events::{Content, Forgotten, HostChannels, content, read_head, read_rows},
    series::{History, rounded},
};

/// How many past alerts are listed.
const RECENT_MAX: usize = 50;
/// More hosts than any setting allows to report: whoever may publish may invent channels, too.
const HOSTS_KEPT_MAX: usize = 10_000;
/// How many forgotten hosts are remembered until what they left is trimmed.
const FORGOTTEN_MAX: usize = 1000;

/// The newest sample of a host.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    /// As it was published.
    pub(crate) json: Bytes,
    pub(crate) sample: Arc<Sample>,
    pub(crate) offset: Offset,
    /// When it came, on this server's clock.
    pub(crate) received: i64,
}

impl Newest {
    /// Whether the next one is overdue. It counts from when this one came, whatever time it names; one that
    /// came later than now came before this server's clock went back.
    pub(crate) fn is_stale(&self, now: i64) -> bool {
        now.saturating_sub(self.received).saturating_abs() > self.sample.patience_ms()
    }
}

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) own: bool,
    pub(crate) channels: HostChannels,
    pub(crate) newest: Option<Newest>,
    pub(crate) history: History,
}

impl Host {
    /// Where the newest sample is; zero where there is none.
    pub(crate) fn newest_offset(&self) -> Offset {
        self.newest.as_ref().map_or(Offset::ZERO, |newest| newest.offset)
    }

    /// The time of the newest sample.
    pub(crate) fn last_time(&self) -> Option<i64> {
        self.newest.as_ref().map(|newest| newest.sample.time).or_else(|| self.history.samples.last())
    }

    /// The names of its metrics that begin with `prefix`, as the newest sample has them.
    pub(crate) fn metric_names(&self, prefix: &str) -> Vec<String> {
        let Some(newest) = &self.newest else { return Vec::new() };
        let names = newest.sample.metrics().map(|(name, _)| name.into_owned());
        names.filter(|name| name.starts_with(prefix)).collect()
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Monitoring {
    own: HostName,
    config: MonitorConfig,
    hosts: BTreeMap<HostName, Host>,
    /// Hosts that were forgotten, and where: what is before it says nothing.
    forgotten: BTreeMap<HostName, Offset>,
    pub(crate) alerts: AlertBook,
}

/// The rules and where they stand.
#[derive(Debug)]
pub(crate) struct AlertBook {
    pub(crate) rules: Vec<Rule>,
    /// Where the rules were set: samples before it were looked at by other rules.
    rules_at: Offset,
    watches: HashMap<(HostName, String), Watch>,
    pub(crate) active: BTreeMap<(String, String), Alert>,
    pub(crate) recent: VecDeque<Alert>,
}

impl Monitoring {
    pub(crate) fn new(config: MonitorConfig, own: HostName) -> Self {
        let alerts = AlertBook {
            rules: Rule::defaults(),
            rules_at: Offset::ZERO,
            watches: HashMap::new(),
            active: BTreeMap::new(),
            recent: VecDeque::new(),
        };
        Self { own, config, hosts: BTreeMap::new(), forgotten: BTreeMap::new(), alerts }
    }

    /// The figures that rules can be about.
    pub(crate) fn figures(&self) -> Figures {
        Figures::with(self.hosts.values().flat_map(|host| host.metric_names("")))
    }

    pub(crate) fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.get(name)
    }

    pub(crate) fn hosts(&self) -> impl ExactSizeIterator<Item = (&HostName, &Host)> {
        self.hosts.iter()
    }

    /// Hosts that were forgotten, with the offset up to which what they left is to be trimmed.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = (&HostName, Offset)> {
        self.forgotten.iter().map(|(name, through)| (name, *through))
    }

    /// What a channel is about.
    pub(crate) fn content(&self, channel: &Channel) -> Option<Content> {
        content(channel, &self.own)
    }

    /// A block of samples at the start, before anything else of its host: its rows tell minutes that are in
    /// no block yet.
    pub(crate) fn found_samples(&mut self, name: &HostName, event: &Event) {
        let Some(head) = read_head(&event.payload).filter(|_| !self.was_forgotten(name, event.offset)) else {
            return;
        };
        let Some(host) = self.host_or_new(name) else { return };
        host.history.samples.written(event.offset, head);
        if !host.history.has_minutes(head)
            && let Ok(rows) = read_rows(&event.payload)
        {
            host.history.minutes_from(&rows, head);
        }
    }

    /// From where the samples of a host are to be read: with the newest that a block holds, since it is what
    /// is answered while no newer one comes.
    pub(crate) fn samples_after(&self, name: &HostName) -> Offset {
        let through = self.hosts.get(name).map_or(Offset::ZERO, |host| host.history.samples.through());
        through.previous().max(self.forgotten.get(name).copied().unwrap_or_default())
    }

    fn was_forgotten(&self, name: &HostName, offset: Offset) -> bool {
        self.forgotten.get(name).is_some_and(|through| offset <= *through)
    }

    fn host_or_new(&mut self, name: &HostName) -> Option<&mut Host> {
        if !self.hosts.contains_key(name) {
            if self.hosts.len() >= HOSTS_KEPT_MAX {
                return None;
            }
            let own = *name == self.own;
            let channels = HostChannels::new(name, own).ok()?;
            let history = History::new(self.config.figures_max);
            self.hosts.insert(name.clone(), Host { own, channels, newest: None, history });
        }
        self.hosts.get_mut(name)
    }

    fn sample(&mut self, name: &HostName, event: &Event) {
        if self.was_forgotten(name, event.offset) {
            return;
        }
        // Whoever may publish can publish on this channel, too.
        let Ok(sample) = serde_json::from_slice::<Sample>(event.payload.as_bytes()) else { return };
        if check_time("time", sample.time).is_err() {
            return;
        }
        let Some(host) = self.host_or_new(name) else { return };
        let metrics = sample.metrics().map(|(name, value)| {
            let kept = rounded(value, step_of(&name));
            (name, kept)
        });
        let is_new = host.history.push(sample.time, metrics, event.offset);
        if is_new && event.offset > self.alerts.rules_at {
            self.alerts.look_at(name, &sample);
        }
        let Some(host) = self.hosts.get_mut(name) else { return };
        let json = event.payload.as_bytes().clone();
        let received = event.time.as_millis();
        host.newest = Some(Newest { json, sample: Arc::new(sample), offset: event.offset, received });
    }

    fn block(&mut self, name: &HostName, event: &Event, is_minutes: bool) {
        let (keep_samples_ms, keep_minutes_ms) = (self.config.keep_samples_ms, self.config.keep_minutes_ms);
        let Some(head) = read_head(&event.payload).filter(|_| !self.was_forgotten(name, event.offset)) else {
            return;
        };
        let Some(host) = self.host_or_new(name) else { return };
        let before = |keep_ms: u64| head.last.saturating_sub_unsigned(keep_ms);
        if is_minutes {
            host.history.minutes.written(event.offset, head);
            host.history.minutes.forget_before(before(keep_minutes_ms));
        } else {
            host.history.samples_written(event.offset, head);
            host.history.samples.forget_before(before(keep_samples_ms));
        }
    }

    fn forget(&mut self, name: HostName, at: Offset) {
        self.hosts.remove(&name);
        self.alerts.watches.retain(|(host, _), _| *host != name);
        self.forgotten.insert(name, at);
        while self.forgotten.len() > FORGOTTEN_MAX {
            let oldest = self.forgotten.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
            oldest.map(|name| self.forgotten.remove(&name));
        }
    }
}

impl AlertBook {
    /// The alerts of a host that stand.
    pub(crate) fn of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = &'a Alert> {
        self.active.values().filter(|alert| alert.host == host.as_str())
    }

    /// Where each rule stands at a host.
    pub(crate) fn watches_of(&self, host: &HostName) -> HashMap<String, Watch> {
        let own = self.watches.iter().filter(|((name, _), _)| name == host);
        own.map(|((_, rule), watch)| (rule.clone(), *watch)).collect()
    }

    /// The alerts that stand though nothing can end them any more.
    pub(crate) fn without_a_rule<'a>(&'a self, rules: &'a [Rule]) -> impl Iterator<Item = &'a Alert> {
        let known = |alert: &Alert, rule: &Rule| {
            rule.enabled && rule.id == alert.rule && rule.figure == alert.figure && rule.side == alert.side
        };
        self.active.values().filter(move |alert| !rules.iter().any(|rule| known(alert, rule)))
    }

    /// Looks at a sample. What turns by it is an event of its own, in the same batch.
    fn look_at(&mut self, host: &HostName, sample: &Sample) {
        let metrics: HashMap<_, _> = sample.metrics().collect();
        let Self { rules, watches, .. } = self;
        for rule in rules.iter().filter(|rule| rule.enabled) {
            let Some(value) = metrics.get(rule.figure.as_str()) else { continue };
            let watch = watches.entry((host.clone(), rule.id.clone())).or_default();
            *watch = watch.after(rule, sample.time, *value, sample.patience_ms()).0;
        }
    }

    fn record(&mut self, alert: Alert) {
        let key = (alert.host.clone(), alert.rule.clone());
        let host = HostName::new(&alert.host).map(|host| (host, alert.rule.clone()));
        match alert.state {
            AlertState::Raised => {
                host.map(|at| self.watches.insert(at, Watch::Raised { since: alert.since })).ok();
                self.active.insert(key, alert.clone());
            }
            AlertState::Cleared => {
                host.map(|at| self.watches.remove(&at)).ok();
                self.active.remove(&key);
            }
        }
        self.recent.push_front(alert);
        self.recent.truncate(RECENT_MAX);
    }

    /// Puts other rules in place. What was seen for a rule that is gone, off, or about something else now
    /// says nothing any more.
    fn replace(&mut self, rules: Vec<Rule>, at: Offset) {
        let before = std::mem::replace(&mut self.rules, rules);
        self.rules_at = at;
        let Self { rules, watches, .. } = self;
        let about = |rules: &[Rule], id: &str| {
            let rule = rules.iter().find(|rule| rule.enabled && rule.id == *id);
            rule.map(|rule| (rule.figure.clone(), rule.side))
        };
        watches.retain(|(_, id), _| about(rules, id).is_some_and(|new| about(&before, id) == Some(new)));
    }
}

impl Projection for Monitoring {
    fn apply(&mut self, event: &Event) {
        match self.content(&event.channel) {
            Some(Content::Samples(name)) => self.sample(&name, event),
            Some(Content::SampleBlocks(name)) => self.block(&name, event, false),
            Some(Content::MinuteBlocks(name)) => self.block(&name, event, true),
            Some(Content::Rules) => {
                if let Ok(rules) = serde_json::from_slice(event.payload.as_bytes()) {
                    self.alerts.replace(rules, event.offset);
                }
            }
            Some(Content::Alerts) => {
                if let Ok(alert) = serde_json::from_slice(event.payload.as_bytes()) {
                    self.alerts.record(alert);
                }
            }
            Some(Content::Hosts) => {
                if let Ok(forgotten) = serde_json::from_slice::<Forgotten>(event.payload.as_bytes())
                    && let Ok(name) = HostName::new(&forgotten.host)
                {
                    self.forget(name, event.offset);
                }
            }
            None => {}
        }
    }

    /// What retention took is a hole in the history of a host.
    fn lost(&mut self, _gap: &Gap) {}
}
