//! The machine the benchmark runs on: processors, limits, where files go.

use crate::failure::{Failure, Outcome};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Open files a process needs beside one a connection.
const FILES_SPARE: u64 = 100;

/// The processors a benchmark gives to servers and to itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pins {
    /// Every server gets this one, so all are measured on the same.
    pub(crate) server: Option<usize>,
    /// The load generator gets another one.
    pub(crate) load: Option<usize>,
}

impl Pins {
    /// One processor for the server, another for the load; none of it when there is only one processor.
    pub(crate) fn choose(wanted: bool) -> Self {
        let allowed = allowed_processors();
        match (wanted, allowed.as_slice()) {
            (true, [server, load, ..]) => Self { server: Some(*server), load: Some(*load) },
            _ => Self { server: None, load: None },
        }
    }
}

fn allowed_processors() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Binds the calling thread, and what it starts from now on, to one processor.
pub(crate) fn pin(processor: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the limit of open files to what the system allows.
///
/// # Errors
/// If even that is less than `connections` need.
pub(crate) fn allow_connections(connections: usize) -> Outcome<()> {
    let limit = getrlimit(Resource::Nofile);
    // Raising the soft limit to the hard one is always allowed; if it fails the check below speaks.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = connections as u64 + FILES_SPARE;
    if allowed >= needed {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{connections} connections need {needed} open files a process, but the hard limit is {allowed}: \
         raise it (ulimit -Hn, LimitNOFILE) or use at most {} subscribers",
        allowed.saturating_sub(FILES_SPARE)
    )))
}

/// Where results, logs and data of the benchmarks go: `target/bench`, beside the binary's profile.
pub(crate) fn bench_folder() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.parent()?.join("bench")));
    beside.unwrap_or_else(|| PathBuf::from("target/bench"))
}

/// What a reader of the figures has to know about the machine.
pub(crate) fn describe() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    json!({
        "processors": allowed_processors().len(),
        "model": model.unwrap_or("unknown"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_average": read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        "unix_time": std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
    })
}

/// One line for the head of a table.
pub(crate) fn headline() -> String {
    let about = describe();
    format!(
        "{} processors, {}, Linux {}, load average {}",
        about["processors"],
        about["model"].as_str().unwrap_or_default(),
        about["kernel"].as_str().unwrap_or_default(),
        about["load_average"].as_str().unwrap_or_default()
    )
}
