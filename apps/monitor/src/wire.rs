//! What the routes read and write, as types: their schemas are the description's.

use anywire_app::{
    description::schemas::{Amount, ChannelName, ClockTime, CursorText, Time},
    http::list_of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::{Alert, HostName, REPORT_SAMPLES_MAX, RULES_MAX, Rule, Sample};

/// Every host that reports.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Hosts {
    pub(crate) hosts: Vec<ReportingHost>,
    /// The server's clock.
    #[schemars(with = "Time")]
    pub(crate) now: String,
}

/// One that reports, with the main figures of its newest sample.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Host")]
pub(crate) struct ReportingHost {
    #[schemars(with = "HostName")]
    pub(crate) host: String,
    /// Whether it is the machine this server runs on.
    pub(crate) own: bool,
    /// The channel of its samples.
    #[schemars(with = "ChannelName")]
    pub(crate) channel: String,
    /// The time between two samples, in milliseconds.
    pub(crate) interval_ms: Option<u32>,
    /// When the newest sample was made.
    #[schemars(with = "Option<Time>")]
    pub(crate) time: Option<String>,
    /// When the newest sample came, on the server's clock.
    #[schemars(with = "Option<Time>")]
    pub(crate) heard: Option<String>,
    /// Nothing was heard for two and a half of its intervals.
    pub(crate) stale: bool,
    /// How many machines report under this name: more than one is a mistake.
    #[schemars(range(min = 1))]
    pub(crate) machines: usize,
    /// All cores together, in percent.
    #[schemars(with = "Option<Amount>")]
    pub(crate) cpu: Option<f64>,
    /// In percent.
    #[schemars(with = "Option<Amount>")]
    pub(crate) memory: Option<f64>,
    /// Since when there is history.
    #[schemars(with = "Option<Time>")]
    pub(crate) since: Option<String>,
}

/// What another machine reports.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// What its clock shows.
    #[schemars(with = "ClockTime")]
    pub(crate) sent_at: String,
    /// What tells the reporter from another one of the same name, such as a random text chosen at its start.
    #[schemars(with = "Option<HostName>")]
    #[serde(default)]
    pub(crate) instance: Option<String>,
    /// In the order of their times.
    #[schemars(length(max = REPORT_SAMPLES_MAX))]
    #[serde(deserialize_with = "samples")]
    pub(crate) samples: Vec<Sample>,
}

fn samples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sample>, D::Error> {
    list_of(deserializer, "samples", REPORT_SAMPLES_MAX)
}

/// What became of a report.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Reported {
    /// Where the newest sample is.
    #[schemars(with = "CursorText")]
    pub(crate) cursor: String,
    /// How many samples are new.
    pub(crate) accepted: usize,
    /// How many were there already.
    pub(crate) repeated: usize,
    /// How many were later than `sent_at`, or than those after them, and were moved to before it.
    pub(crate) moved: usize,
    /// How many machines report under this name: more than one is a mistake.
    #[schemars(range(min = 1))]
    pub(crate) machines: usize,
}

/// All rules of alerts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    #[schemars(length(max = RULES_MAX))]
    #[serde(deserialize_with = "rules")]
    pub(crate) rules: Vec<Rule>,
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rule>, D::Error> {
    list_of(deserializer, "rules", RULES_MAX)
}

/// Rules, alerts that stand, and past ones.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Alerts {
    /// The channel of alerts.
    #[schemars(with = "ChannelName")]
    pub(crate) channel: &'static str,
    /// From here the channel goes on.
    #[schemars(with = "CursorText")]
    pub(crate) cursor: String,
    /// Whether turns are posted to `monitor.webhook_url`.
    pub(crate) webhook: bool,
    pub(crate) rules: Vec<Rule>,
    /// Those that stand.
    pub(crate) active: Vec<Alert>,
    /// The newest turns, newest last.
    pub(crate) recent: Vec<Alert>,
}

/// Answers whose samples are kept as JSON: they are written around it, so these types are there for their
/// schemas.
pub(crate) mod around_samples {
    #![expect(dead_code, reason = "these types are there for their schemas")]

    use super::*;

    /// The newest sample, with its host and the cursor to subscribe from.
    #[derive(JsonSchema)]
    pub(crate) struct HostSample {
        host: HostName,
        cursor: CursorText,
        #[schemars(flatten)]
        sample: Sample,
    }

    /// Samples after a cursor, or rows over a span.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    pub(crate) enum History {
        Samples(SamplesAfter),
        Rows(HistoryRows),
    }

    /// Whole samples after a cursor.
    #[derive(JsonSchema)]
    pub(crate) struct SamplesAfter {
        host: HostName,
        /// Ask on from here.
        cursor: CursorText,
        /// Whether there are more.
        more: bool,
        /// What retention took.
        gap: Option<SampleGap>,
        samples: Vec<Sample>,
    }

    /// What retention took.
    #[derive(JsonSchema)]
    pub(crate) struct SampleGap {
        from: String,
        to: String,
    }

    /// Rows of figures; a row of nulls begins a hole.
    #[derive(JsonSchema)]
    pub(crate) struct HistoryRows {
        host: HostName,
        cursor: CursorText,
        from: Time,
        to: Time,
        /// The time between two rows, in milliseconds.
        #[schemars(range(min = 250))]
        step_ms: u64,
        /// What the columns are. The first is `time`, in milliseconds since 1970.
        fields: Vec<String>,
        samples: Vec<Vec<Option<f64>>>,
    }
}
