//! What is written to the log, and on which channel.
//!
//! ```text
//! performance              `sample`  every sample of this server, the whole of it, kept for two hours
//! performance_<host>       `sample`  the same of another host
//! performance:5s           `s`       every fifth second the main figures alone, packed for a stream that
//! costs next to nothing ([`brief`]) performance_<host>:5s    `s`       the same of another host
//! performance:alerts       `alert_raised`, `alert_cleared` $performance:samples:<host>   ten minutes of
//! samples in one event: history at full resolution, kept for a day $performance:minutes:<host>   one hour of
//! minutes in one event, kept for a month $performance:rules            the rules of alerts, the newest
//! counts $performance:hosts            `host_forgotten`: what came before it of a host says nothing any more
//! ```
//! A block holds the offset of the last sample in it, so what came after it is exactly what the sample
//! channel holds after that offset: the newest blocks and a few minutes of samples rebuild everything.

use anywire_app::Sources;
use anywire_log::{
    Channel, ChannelError, ChannelPattern, Durability, EventName, Keep, Offset, Payload, Publication,
    Retention, RetentionRule,
};
use serde::{Deserialize, Serialize};

use crate::{
    config::MonitorConfig,
    domain::{Alert, AlertState, HostName, Rule, Sample, step_of},
    series::{BlockHead, Damaged, TimeSeries},
};

/// The channel of this server's samples.
pub const PERFORMANCE_CHANNEL: &str = "performance";
/// What the channel of another host's samples begins with.
pub const PERFORMANCE_PREFIX: &str = "performance_";
/// The channel of alerts.
pub const ALERTS_CHANNEL: &str = "performance:alerts";
/// The rules of alerts.
pub(crate) const RULES_CHANNEL: &str = "$performance:rules";
/// Which hosts were forgotten.
const HOSTS_CHANNEL: &str = "$performance:hosts";
/// What the channels of history at full resolution begin with.
pub(crate) const SAMPLES_PREFIX: &str = "$performance:samples:";
/// What the channels of minutes begin with.
pub(crate) const MINUTES_PREFIX: &str = "$performance:minutes:";
/// How far apart the samples of a brief stream are, in milliseconds.
pub(crate) const BRIEF_MS: i64 = 5000;

const SAMPLE: &str = "sample";
const BRIEF: &str = "s";
const BLOCK: &str = "block";
const HOUR_MS: u64 = 3_600_000;

/// The channels of one host.
#[derive(Debug, Clone)]
pub(crate) struct HostChannels {
    pub(crate) live: Channel,
    pub(crate) brief: Channel,
    pub(crate) samples: Channel,
    pub(crate) minutes: Channel,
}

impl HostChannels {
    /// Those of a host; `own` is the machine this server runs on.
    pub(crate) fn new(host: &HostName, own: bool) -> Result<Self, ChannelError> {
        let live = if own { PERFORMANCE_CHANNEL.to_owned() } else { format!("{PERFORMANCE_PREFIX}{host}") };
        Ok(Self {
            brief: Channel::new(&format!("{live}:5s"))?,
            live: Channel::new(&live)?,
            samples: Channel::new(&format!("{SAMPLES_PREFIX}{host}"))?,
            minutes: Channel::new(&format!("{MINUTES_PREFIX}{host}"))?,
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> [&Channel; 4] {
        [&self.live, &self.brief, &self.samples, &self.minutes]
    }
}

/// What a channel tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Samples(HostName),
    SampleBlocks(HostName),
    MinuteBlocks(HostName),
    Rules,
    Alerts,
    Hosts,
}

/// What a channel tells of, where the state is made of it; `own` is the machine this server runs on.
pub(crate) fn content(channel: &Channel, own: &HostName) -> Option<Content> {
    match channel.as_str() {
        PERFORMANCE_CHANNEL => Some(Content::Samples(own.clone())),
        RULES_CHANNEL => Some(Content::Rules),
        ALERTS_CHANNEL => Some(Content::Alerts),
        HOSTS_CHANNEL => Some(Content::Hosts),
        text => {
            // The brief streams have a colon in their names, and no host has.
            let host = |prefix: &str| HostName::new(text.strip_prefix(prefix)?).ok();
            let blocks = || host(SAMPLES_PREFIX).map(Content::SampleBlocks);
            let minutes = || host(MINUTES_PREFIX).map(Content::MinuteBlocks);
            host(PERFORMANCE_PREFIX).map(Content::Samples).or_else(blocks).or_else(minutes)
        }
    }
}

fn named(channel: &str) -> Channel {
    Channel::new(channel).expect("the channels of the monitor have valid names")
}

pub(crate) fn rules_channel() -> Channel {
    named(RULES_CHANNEL)
}

pub(crate) fn alerts_channel() -> Channel {
    named(ALERTS_CHANNEL)
}

pub(crate) fn forgotten_channel() -> Channel {
    named(HOSTS_CHANNEL)
}

/// The channels that the state is made of.
pub(crate) fn sources() -> Sources {
    let channels = [named(PERFORMANCE_CHANNEL), rules_channel(), alerts_channel(), forgotten_channel()];
    [PERFORMANCE_PREFIX, SAMPLES_PREFIX, MINUTES_PREFIX]
        .iter()
        .map(|prefix| ChannelPattern::new(&format!("{prefix}*")))
        .fold(Sources::channels(channels), Sources::with_pattern)
}

/// A host was forgotten.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) host: String,
}

pub(crate) fn forgotten_event(host: &HostName) -> Option<Publication> {
    json_event(&forgotten_channel(), "host_forgotten", &Forgotten { host: host.to_string() })
}

pub(crate) fn rules_event(rules: &[Rule]) -> Option<Publication> {
    json_event(&rules_channel(), "rules", &rules)
}

pub(crate) fn alert_event(alert: &Alert) -> Option<Publication> {
    let name = if alert.state == AlertState::Raised { "alert_raised" } else { "alert_cleared" };
    json_event(&alerts_channel(), name, alert)
}

fn json_event(channel: &Channel, name: &str, data: &impl Serialize) -> Option<Publication> {
    // Numbers, texts and times: writing them cannot fail.
    publication(channel, name, Payload::Json(serde_json::to_vec(data).unwrap_or_default().into()))
}

/// The retention its channels need.
#[must_use]
pub fn channels(config: &MonitorConfig) -> Vec<RetentionRule> {
    let rule = |pattern: &str, retention| RetentionRule { pattern: ChannelPattern::new(pattern), retention };
    let live = Retention {
        age_max_ms: 2 * HOUR_MS,
        events_max: 40_000,
        bytes_max: 256 << 20,
        ..Retention::default()
    };
    let blocks = |keep_ms: u64| Retention {
        // A block goes when its newest row is too old, so its oldest is kept a little longer.
        age_max_ms: keep_ms + HOUR_MS,
        events_max: 1_000_000,
        bytes_max: 8 << 30,
        ..Retention::default()
    };
    let brief = Retention { keep: Keep::Latest, age_max_ms: u64::MAX, ..Retention::ephemeral() };
    let rules = Retention { keep: Keep::Latest, age_max_ms: u64::MAX, ..Retention::default() };
    let alerts = Retention { events_max: 1000, age_max_ms: 31 * 24 * HOUR_MS, ..Retention::default() };
    vec![
        rule(ALERTS_CHANNEL, alerts.clone()),
        rule("performance:5s", brief.clone()),
        rule("performance_*:5s", brief),
        rule(PERFORMANCE_CHANNEL, live.clone()),
        rule(&format!("{PERFORMANCE_PREFIX}*"), live),
        rule(&format!("{SAMPLES_PREFIX}*"), blocks(config.keep_samples_ms)),
        rule(&format!("{MINUTES_PREFIX}*"), blocks(config.keep_minutes_ms)),
        rule(RULES_CHANNEL, Retention { durability: Durability::Durable, ..rules }),
        // Only until what they left is trimmed, which is tried again at every start.
        rule(HOSTS_CHANNEL, alerts),
    ]
}

/// A sample as it is published and answered.
pub(crate) fn sample_event(channel: &Channel, sample: &Sample) -> Option<Publication> {
    json_event(channel, SAMPLE, sample)
}

/// The main figures of a sample as one JSON array, in this order, with `null` for what is not known; nulls at
/// the end are left out:
///
/// ```text
/// cpu, memory, fullest disk: per mille · load: hundredths · received, sent: kB/s · the process's memory: MB
/// · connections · events/s · delivery p99: hundredths of a millisecond
/// ```
/// Numbers have three digits that count; with its envelope an event stays below 160 bytes.
pub(crate) fn brief(sample: &Sample) -> String {
    let delivery = sample.delivery.as_ref();
    let network = sample.network.as_ref();
    let memory = (sample.memory.total > 0).then(|| sample.memory.used as f64 / sample.memory.total as f64);
    let connections =
        delivery.map(|delivery| (delivery.connections.open() + delivery.connections.poll) as f64);
    let figures = [
        Some(sample.cpu.percent * 10.0),
        memory.map(|part| part * 1000.0),
        sample.fullest_disk().map(|percent| percent * 10.0),
        Some(sample.load[0] * 100.0),
        network.map(|network| network.received_per_second / 1000.0),
        network.map(|network| network.sent_per_second / 1000.0),
        Some(sample.process.memory as f64 / 1e6),
        connections,
        delivery.map(|delivery| delivery.events_per_second),
        delivery.and_then(|delivery| delivery.delivery_latency_ms.p99).map(|ms| ms * 100.0),
    ];
    let known = figures.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let texts: Vec<String> = figures.into_iter().take(known).map(short).collect();
    format!("[{}]", texts.join(","))
}

/// A whole number with three digits that count, as short as JSON allows.
fn short(value: Option<f64>) -> String {
    let Some(mut value) = value.filter(|value| value.is_finite()) else { return "null".to_owned() };
    let mut tens = 0;
    while value.round() >= 1000.0 {
        value /= 10.0;
        tens += 1;
    }
    match (value.round(), tens) {
        (value, 0) => value.to_string(),
        (value, 1) => (value * 10.0).to_string(),
        (value, tens) => format!("{value}e{tens}"),
    }
}

pub(crate) fn brief_event(channel: &Channel, sample: &Sample) -> Option<Publication> {
    publication(channel, BRIEF, Payload::Json(brief(sample).into()))
}

/// Rows in one event, after a head of 24 bytes: offset of the newest sample, earliest time, latest time, each
/// 8 bytes, little endian.
pub(crate) fn block_event(channel: &Channel, rows: &TimeSeries, through: Offset) -> Option<Publication> {
    let mut bytes = through.get().to_le_bytes().to_vec();
    let (first, last) = rows.span()?;
    bytes.extend(first.to_le_bytes());
    bytes.extend(last.to_le_bytes());
    bytes.extend(rows.encode(step_of));
    publication(channel, BLOCK, Payload::Binary(bytes.into()))
}

/// The head of a block.
pub(crate) fn read_head(payload: &Payload) -> Option<BlockHead> {
    let (through, rest) = payload.as_bytes().split_first_chunk::<8>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let last = rest.first_chunk::<8>()?;
    Some(BlockHead {
        through: Offset::new(u64::from_le_bytes(*through)),
        first: i64::from_le_bytes(*first),
        last: i64::from_le_bytes(*last),
    })
}

/// The rows of a block.
pub(crate) fn read_rows(payload: &Payload) -> Result<TimeSeries, Damaged> {
    TimeSeries::decode(payload.as_bytes().get(24..).unwrap_or_default())
}

pub(crate) fn publication(channel: &Channel, name: &str, payload: Payload) -> Option<Publication> {
    // The names above are names: `None` would be a bug.
    Some(Publication { channel: channel.clone(), name: EventName::new(name).ok()?, payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sample::tests::sample;

    #[test]
    fn the_brief_form_names_ten_figures_and_invents_none() {
        let mut one = sample(0, 23.14);
        assert_eq!(brief(&one), "[231,250,250,50,1,0,31]");
        one.network = None;
        one.delivery = Some(anywire_app::DeliveryFigures::default());
        assert_eq!(brief(&one), "[231,250,250,50,null,null,31,0,0]");
    }

    #[test]
    fn numbers_are_short_and_right_to_three_digits() {
        for (value, text) in
            [(0.4, "0"), (999.4, "999"), (999.6, "1000"), (12_345.0, "123e2"), (125_400.0, "125e3")]
        {
            let found = short(Some(value));
            let number: f64 = found.parse().expect("a number");
            assert!((number - value).abs() <= value * 0.005 + 0.5, "{found} for {value}");
            assert_eq!(found, text);
        }
        assert_eq!(short(None), "null");
    }

    #[test]
    fn every_channel_is_kept_as_long_as_it_is_needed() {
        use anywire_log::RetentionRules;
        let rules = RetentionRules::new(channels(&MonitorConfig::default()), Retention::default());
        let of = |name: &str| rules.of(&Channel::new(name).expect("a name")).clone();
        assert_eq!(of("performance").age_max_ms, 2 * HOUR_MS);
        assert_eq!(of("performance_web-1").durability, Durability::Durable);
        assert_eq!(of("performance:5s").durability, Durability::Ephemeral);
        assert_eq!(of("performance_web-1:5s").keep, Keep::Latest);
        assert_eq!(of("$performance:samples:web-1").age_max_ms, 25 * HOUR_MS);
        assert_eq!(of("$performance:minutes:web-1").age_max_ms, (31 * 24 + 1) * HOUR_MS);
        assert_eq!(of("$performance:rules").durability, Durability::Durable);
        assert_eq!(of(ALERTS_CHANNEL).events_max, 1000);
    }
}
