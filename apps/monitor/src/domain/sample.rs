//! What a sample of a host is, and the metrics in it. Pure.
//!
//! Invariant: what is not known is absent or null, never zero.

use std::borrow::Cow;

use anywire_app::{
    DeliveryFigures,
    description::schemas::{Amount, ReportedTime},
    http::list_of,
    time::iso,
};
use anywire_log::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The most cores, disks a sample names. A machine with more shows the first ones; its totals hold all.
pub(crate) const CORES_MAX: usize = 256;
/// The most disks of a sample.
pub(crate) const DISKS_MAX: usize = 32;
/// The most samples of one report.
pub(crate) const REPORT_SAMPLES_MAX: usize = 600;
const MOUNT_BYTES_MAX: usize = 128;
/// Up to here every reader of JSON understands a whole number as it is.
pub(super) const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;
/// The years 1000 to 2999: what a clock may show, moved by how far another is off, still has a date of four
/// digits.
const TIMES: std::ops::RangeInclusive<i64> = -30_610_224_000_000..=32_503_679_999_999;

/// How busy the processors were since the last sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// All cores together, 0 to 100.
    #[schemars(range(min = 0, max = 100.5))]
    pub percent: f64,
    /// Each core, 0 to 100.
    #[schemars(length(max = CORES_MAX), inner(range(min = 0, max = 100.5)))]
    #[serde(deserialize_with = "cores")]
    pub cores: Vec<f64>,
}

fn cores<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    list_of(deserializer, "cores", CORES_MAX)
}

fn disks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Disk>, D::Error> {
    list_of(deserializer, "disks", DISKS_MAX)
}

/// Memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What is not available.
    pub used: u64,
    /// What programs could still get.
    pub available: u64,
    /// All swap there is.
    pub swap_total: u64,
    /// Swap in use.
    pub swap_used: u64,
}

/// One file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Where it is mounted.
    #[schemars(length(min = 1, max = MOUNT_BYTES_MAX))]
    pub mount: String,
    /// Its size, in bytes.
    pub total: u64,
    /// What is not available on it, in bytes.
    pub used: u64,
    /// Bytes read a second; null until two looks were made.
    #[schemars(with = "Option<Amount>")]
    pub read_per_second: Option<f64>,
    /// Bytes written a second; null until two looks were made.
    #[schemars(with = "Option<Amount>")]
    pub written_per_second: Option<f64>,
}

/// All network interfaces but loopback and those of containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Bytes a second.
    #[schemars(with = "Amount")]
    pub received_per_second: f64,
    /// Bytes a second.
    #[schemars(with = "Amount")]
    pub sent_per_second: f64,
}

/// The process that made the sample: the server, or the reporter of another host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// In percent of one core.
    #[schemars(with = "Amount")]
    pub cpu_percent: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Threads, where the system tells.
    pub threads: Option<u64>,
    /// Open files and sockets, where the system tells.
    pub open_files: Option<u64>,
    /// Since its start.
    pub uptime_s: u64,
}

/// One look at a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// When, in milliseconds since 1970. In JSON for others it is ISO-8601.
    #[serde(with = "anywire_app::time::iso_millis")]
    #[schemars(with = "ReportedTime")]
    pub time: i64,
    /// The time between two samples, in milliseconds.
    #[schemars(range(min = 250, max = 60_000))]
    pub interval_ms: u32,
    /// Processors.
    pub cpu: Cpu,
    /// Processes that want to run, over 1, 5 and 15 minutes.
    #[schemars(with = "[Amount; 3]")]
    pub load: [f64; 3],
    /// Memory.
    pub memory: Memory,
    /// File systems.
    #[schemars(length(max = DISKS_MAX))]
    #[serde(deserialize_with = "disks")]
    pub disks: Vec<Disk>,
    /// Network; null in the first sample.
    pub network: Option<Network>,
    /// The process that made the sample.
    pub process: Process,
    /// Since the machine's start.
    pub uptime_s: u64,
    /// The delivery core's own metrics; null where no server runs.
    pub delivery: Option<DeliveryFigures>,
    /// What a connection costs, in bytes: growth of the process over its leanest moment without connections.
    /// Null below ten connections.
    pub memory_per_connection: Option<u64>,
}

/// Why a reported sample is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A number that cannot be.
    #[error("{field} is {value}; expected {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Sample {
    /// Checks what another machine says.
    ///
    /// # Errors
    /// [`SampleError`] names the field, its value and what is expected.
    pub fn check(&self) -> Result<(), SampleError> {
        check_time("time", self.time)?;
        in_range("interval_ms", f64::from(self.interval_ms), 250.0, 60_000.0, "250 to 60000")?;
        in_range("cpu.percent", self.cpu.percent, 0.0, 100.5, "0 to 100")?;
        in_range(
            "the number of cpu.cores",
            self.cpu.cores.len() as f64,
            0.0,
            CORES_MAX as f64,
            "at most 256",
        )?;
        in_range("the number of disks", self.disks.len() as f64, 0.0, DISKS_MAX as f64, "at most 32")?;
        for core in &self.cpu.cores {
            in_range("cpu.cores", *core, 0.0, 100.5, "0 to 100")?;
        }
        for disk in &self.disks {
            let bytes = disk.mount.len();
            in_range("the length of a mount", bytes as f64, 1.0, MOUNT_BYTES_MAX as f64, "1 to 128 bytes")?;
        }
        for (_, value) in self.metrics() {
            in_range("a figure", value, 0.0, 1e18, "0 to 1e18")?;
        }
        // A sample is JSON; what is no metric must be a number its readers understand, too.
        serde_json::to_value(self).map_or(Ok(()), |json| numbers_in_range(&json))
    }

    /// The longest distance to the next sample without a hole, in milliseconds.
    pub(crate) fn patience_ms(&self) -> i64 {
        i64::from(self.interval_ms) * 5 / 2
    }

    /// Every metric with its name, as history and alerts know it. Metrics that are not known are left out.
    pub fn metrics(&self) -> impl Iterator<Item = (Cow<'static, str>, f64)> + '_ {
        let main = self.main_metrics().into_iter().chain(self.delivery_metrics());
        let known = main.filter_map(|(name, value)| value.map(|value| (Cow::Borrowed(name), value)));
        let cores = self.cpu.cores.iter().enumerate();
        let cores = cores.map(|(index, value)| (Cow::Owned(format!("core:{index}")), *value));
        known.chain(cores).chain(self.disks.iter().flat_map(disk_metrics))
    }

    fn main_metrics(&self) -> Vec<(&'static str, Option<f64>)> {
        let disks = self.disks.iter();
        let rate =
            |pick: fn(&Disk) -> Option<f64>| disks.clone().filter_map(pick).reduce(|sum, one| sum + one);
        vec![
            ("cpu", Some(self.cpu.percent)),
            ("memory", percent(self.memory.used, self.memory.total)),
            ("memory_used", Some(self.memory.used as f64)),
            ("swap", percent(self.memory.swap_used, self.memory.swap_total)),
            ("load1", Some(self.load[0])),
            ("load5", Some(self.load[1])),
            ("load15", Some(self.load[2])),
            ("disk", self.fullest_disk()),
            ("disk_read", rate(|disk| disk.read_per_second)),
            ("disk_written", rate(|disk| disk.written_per_second)),
            ("received", self.network.as_ref().map(|network| network.received_per_second)),
            ("sent", self.network.as_ref().map(|network| network.sent_per_second)),
            ("process_cpu", Some(self.process.cpu_percent)),
            ("process_memory", Some(self.process.memory as f64)),
            ("process_threads", self.process.threads.map(|count| count as f64)),
            ("process_files", self.process.open_files.map(|count| count as f64)),
            ("memory_per_connection", self.memory_per_connection.map(|bytes| bytes as f64)),
        ]
    }

    /// How full the fullest file system is, in percent.
    pub(crate) fn fullest_disk(&self) -> Option<f64> {
        self.disks.iter().filter_map(|disk| percent(disk.used, disk.total)).reduce(f64::max)
    }

    fn delivery_metrics(&self) -> Vec<(&'static str, Option<f64>)> {
        let Some(delivery) = &self.delivery else { return Vec::new() };
        let connections = &delivery.connections;
        vec![
            ("connections", Some((connections.open() + connections.poll) as f64)),
            ("connections_websocket", Some(connections.websocket as f64)),
            ("connections_sse", Some(connections.sse as f64)),
            ("connections_longpoll", Some(connections.longpoll as f64)),
            ("connections_poll", Some(connections.poll as f64)),
            ("connections_socketio", Some(connections.socketio as f64)),
            ("events", Some(delivery.events_per_second)),
            ("bytes", Some(delivery.bytes_per_second)),
            ("deliveries", Some(delivery.deliveries_per_second)),
            ("delivery_p50", delivery.delivery_latency_ms.p50),
            ("delivery_p99", delivery.delivery_latency_ms.p99),
            ("commit_p50", delivery.commit_latency_ms.p50),
            ("commit_p99", delivery.commit_latency_ms.p99),
            ("resumes", Some(delivery.resumes_total as f64)),
            ("gaps", Some(delivery.gaps_total as f64)),
            ("slow_readers", Some(delivery.slow_readers as f64)),
        ]
    }
}

fn disk_metrics(disk: &Disk) -> impl Iterator<Item = (Cow<'static, str>, f64)> {
    let mount = &disk.mount;
    let known = [
        percent(disk.used, disk.total).map(|value| (format!("disk:{mount}"), value)),
        disk.read_per_second.map(|value| (format!("disk_read:{mount}"), value)),
        disk.written_per_second.map(|value| (format!("disk_written:{mount}"), value)),
    ];
    known.into_iter().flatten().map(|(name, value)| (Cow::Owned(name), value))
}

/// The step in which a metric is kept: nobody reads the bytes of a rate, and small numbers pack well.
#[must_use]
pub(crate) fn step_of(metric: &str) -> f64 {
    let kind = metric.split([':', '<', '>']).next().unwrap_or_default();
    match kind {
        "memory_used" | "process_memory" => 4096.0,
        "cpu" | "core" | "process_cpu" => 0.1,
        "memory" | "swap" | "load1" | "load5" | "load15" | "disk" => 0.01,
        "delivery_p50" | "delivery_p99" | "commit_p50" | "commit_p99" => 0.001,
        "events" | "deliveries" => 0.1,
        _ => 1.0,
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

fn in_range(
    field: &'static str,
    value: f64,
    min: f64,
    max: f64,
    expected: &'static str,
) -> Result<(), SampleError> {
    // Not `contains`: NaN must not pass.
    if value >= min && value <= max {
        return Ok(());
    }
    Err(SampleError::Value { field, value: value.to_string(), expected })
}

/// Checks what another machine's clock shows.
pub(crate) fn check_time(field: &'static str, millis: i64) -> Result<(), SampleError> {
    if TIMES.contains(&millis) {
        return Ok(());
    }
    let expected = "a time in the years 1000 to 2999";
    Err(SampleError::Value { field, value: iso(Timestamp::from_millis(millis)), expected })
}

fn numbers_in_range(json: &Value) -> Result<(), SampleError> {
    match json {
        Value::Number(number) => {
            let value = number.as_f64().unwrap_or(f64::NAN);
            in_range("a number", value, 0.0, NUMBER_MAX, "0 to 9007199254740991")
        }
        Value::Array(items) => items.iter().try_for_each(numbers_in_range),
        Value::Object(members) => members.values().try_for_each(numbers_in_range),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(time: i64, cpu: f64) -> Sample {
        Sample {
            time,
            interval_ms: 1000,
            cpu: Cpu { percent: cpu, cores: vec![cpu, cpu / 2.0] },
            load: [0.5, 0.25, 0.1],
            memory: Memory { total: 8 << 30, used: 2 << 30, available: 6 << 30, swap_total: 0, swap_used: 0 },
            disks: vec![Disk {
                mount: "/".to_owned(),
                total: 1000,
                used: 250,
                read_per_second: Some(10.0),
                written_per_second: None,
            }],
            network: Some(Network { received_per_second: 1200.0, sent_per_second: 340.0 }),
            process: Process {
                cpu_percent: 1.5,
                memory: 30 << 20,
                threads: Some(5),
                open_files: None,
                uptime_s: 10,
            },
            uptime_s: 1000,
            delivery: None,
            memory_per_connection: None,
        }
    }

    #[test]
    fn what_is_not_known_is_no_metric() {
        let sample = sample(0, 50.0);
        let metrics: std::collections::BTreeMap<_, _> = sample.metrics().collect();
        assert_eq!(metrics.get("cpu"), Some(&50.0));
        assert_eq!(metrics.get("core:1"), Some(&25.0));
        assert_eq!(metrics.get("memory"), Some(&25.0));
        assert_eq!(metrics.get("disk:/"), Some(&25.0));
        for unknown in ["swap", "disk_written", "process_files", "connections", "memory_per_connection"] {
            assert_eq!(metrics.get(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_sample_of_nonsense_is_refused_by_the_name_of_its_field() {
        let mut wrong = sample(0, 50.0);
        wrong.cpu.percent = f64::NAN;
        assert!(wrong.check().expect_err("NaN").to_string().starts_with("cpu.percent is NaN"));
        let mut wrong = sample(0, 50.0);
        wrong.cpu.cores = vec![1.0; CORES_MAX + 1];
        assert!(wrong.check().expect_err("too many").to_string().contains("257"));
        assert_eq!(sample(0, 50.0).check(), Ok(()));
        let message = |sample: Sample| sample.check().expect_err("wrong").to_string();
        assert!(message(sample(i64::MAX, 50.0)).contains("the years 1000 to 2999"));
        let mut beyond = sample(0, 50.0);
        beyond.memory.available = 1 << 53;
        assert!(message(beyond).contains("9007199254740991"));
    }
}
