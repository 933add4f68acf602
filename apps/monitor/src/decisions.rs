//! What a request comes to: the events that say what happened to a host, its history, the rules and the
//! alerts. Pure.

use std::collections::HashMap;

use anywire_app::Decision;
use anywire_log::Publication;

use crate::{
    domain::{Alert, AlertState, EndedBy, HostName, Rule, SILENCE, Sample, Turn, Watch},
    events::{
        BRIEF_MS, HostChannels, alert_event, alerts_channel, block_event, brief_event, forgotten_event,
        rules_channel, rules_event, sample_event,
    },
    projection::{Host, Monitoring},
    silence::Silent,
};

/// After how long a silent host's alerts end where no rule is about silence.
const SILENCE_S: f64 = 60.0;

/// Why samples were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// One host more than allowed.
    #[error(
        "{hosts} hosts report already, the limit (monitor.hosts_max); forget one with DELETE /api/performance/hosts/<host>"
    )]
    TooManyHosts {
        /// How many there are.
        hosts: usize,
    },
    /// The name of this server.
    #[error("{host} is the name of this server itself; report under another one (--host)")]
    OwnName {
        /// The name.
        host: HostName,
    },
    /// The host is not known.
    #[error("no host {host:?} has reported; GET /api/performance/hosts lists those that have")]
    Unknown {
        /// The name.
        host: String,
    },
}

/// What came of samples.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) accepted: usize,
    pub(crate) repeated: usize,
    /// Which event of the batch is the newest sample.
    pub(crate) newest_at: usize,
    /// What turned by them.
    pub(crate) alerts: Vec<Alert>,
    /// By how much a clock went back since the samples of before, in milliseconds; zero where none did.
    pub(crate) went_back_ms: i64,
}

/// Samples, and the moment at which they were sent; none of them is later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) samples: Vec<Sample>,
    pub(crate) sent_at: i64,
}

/// Who may report, and where.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    pub(crate) name: HostName,
    pub(crate) channels: HostChannels,
    /// How many hosts there may be; none for the server itself.
    pub(crate) hosts_max: Option<usize>,
}

/// Takes the samples that are new, each with the alerts that turn by it: they are committed together. It
/// holds while the rules are the same.
///
/// A sample that is not newer than the last one is a repetition, unless the last one is later than the moment
/// of this report: then a clock went back, the host's or this server's, and a new run begins.
pub(crate) fn take_samples(
    state: &Monitoring,
    reporter: &Reporter,
    report: &Report,
) -> Result<Decision<Taken>, Refusal> {
    let host = state.host(&reporter.name);
    let hosts = state.hosts().len();
    if host.is_none() && reporter.hosts_max.is_some_and(|most| hosts >= most) {
        return Err(Refusal::TooManyHosts { hosts });
    }
    let before = host.and_then(Host::last_time);
    let ahead = before.filter(|before| *before > report.sent_at);
    let went_back_ms = ahead.map_or(0, |before| before - report.sent_at);
    let mut watches = state.alerts.watches_of(&reporter.name);
    let (mut last, mut events) = (before.filter(|_| ahead.is_none()), Vec::new());
    let mut taken = Taken { accepted: 0, repeated: 0, newest_at: 0, alerts: Vec::new(), went_back_ms };
    let heard_again = report.samples.first().map(|first| end_silence(state, &reporter.name, first.time));
    for sample in &report.samples {
        if last.is_some_and(|last| sample.time <= last) {
            taken.repeated += 1;
            continue;
        }
        last = Some(sample.time);
        taken.accepted += 1;
        taken.newest_at = events.len();
        events.extend(sample_event(&reporter.channels.live, sample));
        let turned = turns(&state.alerts.rules, &mut watches, &reporter.name, sample);
        events.extend(turned.iter().filter_map(alert_event));
        taken.alerts.extend(turned);
    }
    if taken.accepted > 0 {
        events.extend(brief(before, report, last, reporter));
        let heard_again = heard_again.unwrap_or_default();
        events.extend(heard_again.iter().filter_map(alert_event));
        taken.alerts.extend(heard_again);
    }
    Ok(Decision::append(events, taken).expecting(rules_channel()))
}

/// Of several samples the newest is enough for those who want one every five seconds.
fn brief(
    before: Option<i64>,
    report: &Report,
    last: Option<i64>,
    reporter: &Reporter,
) -> Option<Publication> {
    let beat = before.unwrap_or_default().div_euclid(BRIEF_MS);
    let newest = report.samples.iter().rev().find(|sample| Some(sample.time) == last)?;
    let is_due = newest.time.div_euclid(BRIEF_MS) != beat;
    is_due.then(|| brief_event(&reporter.channels.brief, newest)).flatten()
}

/// The ends of the alerts about the silence of a host that is heard of again.
fn end_silence(state: &Monitoring, host: &HostName, at: i64) -> Vec<Alert> {
    let silent = state.alerts.of(host).filter(|alert| alert.figure == SILENCE);
    silent.map(|alert| Alert { state: AlertState::Cleared, value: 0.0, at, ..alert.clone() }).collect()
}

/// Looks at a silent host. It holds while the rules are the same.
pub(crate) fn look_at_silence(state: &Monitoring, silent: &Silent, now: i64) -> Decision<Vec<Alert>> {
    let turned = turned_by_silence(state, silent, now);
    let events = turned.iter().filter_map(alert_event).collect();
    Decision::append(events, turned).expecting(rules_channel())
}

/// What turns by the silence of a host: rules about silence raise alerts, and its other alerts end, since
/// nothing is known any more of what they are about.
pub(crate) fn turned_by_silence(
    state: &Monitoring,
    Silent { host: name, newest, silent }: &Silent,
    now: i64,
) -> Vec<Alert> {
    if state.host(name).is_none_or(|host| host.newest_offset() != *newest) {
        return Vec::new();
    }
    let seconds = silent.as_secs_f64();
    let about_silence = || state.alerts.rules.iter().filter(|rule| rule.enabled && rule.figure == SILENCE);
    let stands = |rule: &&Rule| state.alerts.of(name).any(|alert| alert.rule == rule.id);
    let is_long = |rule: &&Rule| seconds >= rule.raise + f64::from(rule.for_s);
    let raised = about_silence().filter(is_long).filter(|rule| !stands(rule));
    let raised: Vec<Alert> =
        raised.map(|rule| alert(rule, name, now, seconds, Turn::Raised { since: now })).collect();
    let gone_after = about_silence().map(|rule| rule.raise + f64::from(rule.for_s)).reduce(f64::min);
    let mut turned = Vec::new();
    if seconds >= gone_after.unwrap_or(SILENCE_S) {
        let others = state.alerts.of(name).filter(|alert| alert.figure != SILENCE);
        turned = ended(others, EndedBy::Silence, now);
    }
    turned.extend(raised);
    turned
}

fn turns(
    rules: &[Rule],
    watches: &mut HashMap<String, Watch>,
    host: &HostName,
    sample: &Sample,
) -> Vec<Alert> {
    let metrics: HashMap<_, _> = sample.metrics().collect();
    let mut turned = Vec::new();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        let Some(value) = metrics.get(rule.figure.as_str()) else { continue };
        let watch = watches.entry(rule.id.clone()).or_default();
        let (next, turn) = watch.after(rule, sample.time, *value, sample.patience_ms());
        *watch = turn.map_or(next, Watch::turned);
        turned.extend(turn.map(|turn| alert(rule, host, sample.time, *value, turn)));
    }
    turned
}

fn alert(rule: &Rule, host: &HostName, at: i64, value: f64, turn: Turn) -> Alert {
    let (state, since, threshold) = match turn {
        Turn::Raised { since } => (AlertState::Raised, since, rule.raise),
        Turn::Cleared { since } => (AlertState::Cleared, since, rule.clear),
    };
    Alert {
        state,
        host: host.to_string(),
        rule: rule.id.clone(),
        figure: rule.figure.clone(),
        side: rule.side,
        value: (value * 100.0).round() / 100.0,
        threshold,
        since,
        at,
        ended_by: None,
    }
}

/// The next block of a host's history that is full, or over by `now`. It holds while nobody else writes one.
pub(crate) fn write_block(host: Option<&Host>, now: Option<i64>) -> Decision<bool> {
    let Some(host) = host.filter(|host| host.history.is_due(now)) else { return Decision::nothing(false) };
    // A copy: what is closed is closed in memory when the block is in the log.
    let mut history = host.history.clone();
    if let Some(now) = now {
        history.pass(now);
    }
    for (resolution, channel) in
        [(&history.samples, &host.channels.samples), (&history.minutes, &host.channels.minutes)]
    {
        let waiting = resolution.waiting();
        if let Some(event) = waiting.and_then(|block| block_event(channel, &block.rows, block.through)) {
            return Decision::append(vec![event], true).expecting(channel.clone());
        }
    }
    Decision::nothing(false)
}

/// Replaces the rules; alerts without one end. It holds while no alert turns.
pub(crate) fn set_rules(state: &Monitoring, rules: &[Rule], now: i64) -> Decision<Vec<Alert>> {
    let ended = ended(state.alerts.without_a_rule(rules), EndedBy::Rule, now);
    let mut events: Vec<Publication> = rules_event(rules).into_iter().collect();
    events.extend(ended.iter().filter_map(alert_event));
    Decision::append(events, ended).expecting(alerts_channel())
}

/// Ends the alerts that no rule stands behind: their ends could not be written with an older release.
pub(crate) fn end_alerts_without_a_rule(state: &Monitoring, now: i64) -> Decision<Vec<Alert>> {
    let ended = ended(state.alerts.without_a_rule(&state.alerts.rules), EndedBy::Rule, now);
    let events = ended.iter().filter_map(alert_event).collect();
    Decision::append(events, ended).expecting(alerts_channel())
}

/// Forgets a host: its alerts end, and everything before it says nothing any more.
pub(crate) fn forget(state: &Monitoring, name: &str, now: i64) -> Result<Decision<Vec<Alert>>, Refusal> {
    let known = HostName::new(name).ok().filter(|name| state.host(name).is_some());
    let host = known.ok_or_else(|| unknown(name))?;
    let ended = ended(state.alerts.of(&host), EndedBy::Forgotten, now);
    let mut events: Vec<Publication> = ended.iter().filter_map(alert_event).collect();
    events.extend(forgotten_event(&host));
    Ok(Decision::append(events, ended))
}

pub(crate) fn unknown(name: &str) -> Refusal {
    Refusal::Unknown { host: name.chars().take(80).collect() }
}

fn ended<'a>(alerts: impl Iterator<Item = &'a Alert>, by: EndedBy, now: i64) -> Vec<Alert> {
    let end =
        |alert: &Alert| Alert { state: AlertState::Cleared, at: now, ended_by: Some(by), ..alert.clone() };
    alerts.map(end).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anywire_app::testing::{Given, given};
    use anywire_log::Offset;

    use super::*;
    use crate::{config::MonitorConfig, domain::sample::tests::sample};

    fn name(text: &str) -> HostName {
        HostName::new(text).expect("a name")
    }

    fn reporter(host: &str) -> Reporter {
        let channels = HostChannels::new(&name(host), false).expect("names");
        Reporter { name: name(host), channels, hosts_max: Some(1) }
    }

    /// Sent when the newest sample was made.
    fn report(samples: &[Sample]) -> Report {
        let sent_at = samples.last().map_or(0, |newest| newest.time);
        Report { samples: samples.to_vec(), sent_at }
    }

    fn busy(for_s: u32) -> Rule {
        Rule { for_s, ..Rule::defaults().remove(0) }
    }

    fn begin(rules: &[Rule]) -> Given<Monitoring> {
        let state = Monitoring::new(MonitorConfig::default(), name("server"));
        given(state, rules_event(rules))
    }

    #[test]
    fn an_alert_is_committed_with_the_sample_that_turned_it() {
        let samples = [sample(1000, 99.0), sample(2000, 99.0), sample(3000, 10.0)];
        let (after, taken) = begin(&[busy(1)])
            .when(|state| take_samples(state, &reporter("web-1"), &report(&samples)))
            .then([
                "performance_web-1 sample",
                "performance_web-1 sample",
                "performance:alerts alert_raised",
                "performance_web-1 sample",
            ]);
        assert_eq!((taken.accepted, taken.newest_at, taken.alerts.len()), (3, 3, 1));
        // The same again is a repetition: nothing happens.
        let (_, taken) =
            after.when(|state| take_samples(state, &reporter("web-1"), &report(&samples))).then([]);
        assert_eq!((taken.accepted, taken.repeated, taken.alerts.len()), (0, 3, 0));
    }

    #[test]
    fn a_clock_that_goes_back_begins_a_new_run_that_is_seen_and_watched() {
        let take = |times: [i64; 2]| {
            let report = report(&times.map(|time| sample(time, 99.0)));
            move |state: &Monitoring| take_samples(state, &reporter("web-1"), &report)
        };
        let ahead = ["performance_web-1 sample", "performance_web-1 sample", "performance_web-1:5s s"];
        let (after, _) = begin(&[busy(1)]).when(take([3_600_000, 3_600_500])).then(ahead);
        let (after, taken) = after.when(take([1000, 2000])).then([
            "performance_web-1 sample",
            "performance_web-1 sample",
            "performance:alerts alert_raised",
            "performance_web-1:5s s",
        ]);
        assert_eq!((taken.accepted, taken.repeated, taken.went_back_ms), (2, 0, 3_598_500));
        // The same once more is a repetition of the new run.
        let (after, taken) = after.when(take([1000, 2000])).then([]);
        assert_eq!((taken.accepted, taken.repeated, taken.went_back_ms), (0, 2, 0));
        assert_eq!(after.state().host(&name("web-1")).and_then(Host::last_time), Some(2000));
    }

    #[test]
    fn a_silent_host_is_an_alert_of_its_own_that_ends_the_others_until_it_is_heard_again() {
        let silence = Rule::defaults().pop().expect("the last one");
        let raise =
            |state: &Monitoring| take_samples(state, &reporter("web-1"), &report(&[sample(1000, 99.0)]));
        let raised = ["performance_web-1 sample", "performance:alerts alert_raised"];
        let (after, _) = begin(&[busy(0), silence]).when(raise).then(raised);
        let newest = after.state().host(&name("web-1")).map(Host::newest_offset).expect("known");
        let look = |newest, seconds| {
            let silent = Silent { host: name("web-1"), newest, silent: Duration::from_secs(seconds) };
            move |state: &Monitoring| Ok::<_, Refusal>(look_at_silence(state, &silent, 61_000))
        };
        let (after, _) = after.when(look(newest, 59)).then([]);
        let (after, _) = after.when(look(Offset::ZERO, 60)).then([]);
        let (after, turned) = after
            .when(look(newest, 60))
            .then(["performance:alerts alert_cleared", "performance:alerts alert_raised"]);
        let told: Vec<_> =
            turned.iter().map(|alert| (alert.rule.as_str(), alert.value, alert.ended_by)).collect();
        assert_eq!(told, [("cpu", 99.0, Some(EndedBy::Silence)), ("silence", 60.0, None)]);
        let (after, _) = after.when(look(newest, 600)).then([]);
        let again =
            |state: &Monitoring| take_samples(state, &reporter("web-1"), &report(&[sample(700_000, 1.0)]));
        let (after, taken) = after.when(again).then([
            "performance_web-1 sample",
            "performance_web-1:5s s",
            "performance:alerts alert_cleared",
        ]);
        assert_eq!((taken.alerts.len(), after.state().alerts.active.len()), (1, 0));
    }

    #[test]
    fn one_host_more_than_allowed_is_refused_by_the_name_of_the_setting() {
        let one = [sample(5000, 1.0)];
        let (after, _) = begin(&[])
            .when(|state| take_samples(state, &reporter("web-1"), &report(&one)))
            .then(["performance_web-1 sample", "performance_web-1:5s s"]);
        let refusal = after.when(|state| take_samples(state, &reporter("web-2"), &report(&one))).refused();
        assert!(refusal.to_string().contains("monitor.hosts_max"), "{refusal}");
    }

    #[test]
    fn alerts_end_with_their_rule_and_with_their_host() {
        let raise =
            |state: &Monitoring| take_samples(state, &reporter("web-1"), &report(&[sample(1000, 99.0)]));
        let raised = ["performance_web-1 sample", "performance:alerts alert_raised"];
        let (after, _) = begin(&[busy(0)]).when(raise).then(raised);
        let (after, ended) = after
            .when(|state| Ok::<_, Refusal>(set_rules(state, &[], 7)))
            .then(["$performance:rules rules", "performance:alerts alert_cleared"]);
        assert_eq!((ended.len(), ended[0].at, after.state().alerts.active.len()), (1, 7, 0));
        let (after, _) = begin(&[busy(0)]).when(raise).then(raised);
        let (after, _) = after
            .when(|state| forget(state, "web-1", 7))
            .then(["performance:alerts alert_cleared", "$performance:hosts host_forgotten"]);
        assert_eq!((after.state().alerts.active.len(), after.state().hosts().len()), (0, 0));
        assert!(after.when(|state| forget(state, "web-1", 8)).refused().to_string().contains("web-1"));
    }

    #[test]
    fn a_block_that_is_written_is_in_memory_no_more() {
        let samples: Vec<Sample> = (0..90).map(|second| sample(second * 1000, 1.0)).collect();
        let taken = begin(&[]).when(|state| take_samples(state, &reporter("web-1"), &report(&samples)));
        let mut expected = vec!["performance_web-1 sample"; 90];
        expected.push("performance_web-1:5s s");
        let (after, _) = taken.then(expected);
        let write = |state: &Monitoring, now| Ok::<_, Refusal>(write_block(state.host(&name("web-1")), now));
        let (after, written) = after.when(|state| write(state, None)).then([]);
        assert!(!written, "it is not full");
        let over = Some(7_200_000);
        let (after, _) = after.when(|state| write(state, over)).then(["$performance:samples:web-1 block"]);
        let (after, _) = after.when(|state| write(state, over)).then(["$performance:minutes:web-1 block"]);
        let (after, written) = after.when(|state| write(state, over)).then([]);
        let host = after.state().host(&name("web-1")).expect("known");
        assert_eq!((written, host.history.samples.blocks(0, 90_000).len()), (false, 1));
    }
}
