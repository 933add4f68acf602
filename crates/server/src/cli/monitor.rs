//! `anywire monitor`: this machine's samples to a server elsewhere.
//!
//! One thread takes a sample at each tick of the clock, the other sends what waits. While the server is
//! away samples wait (an hour of them), so its restart leaves no hole in this machine's history.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use anywire_log::{Clock as _, SystemClock};
use anywire_monitor::{Backlog, Collector, Heartbeat, HostName, Sample, Waiting};
use clap::Args;
use parking_lot::Mutex;
use serde::Deserialize;

use super::client::{ServerArgs, authorization, refusal};

/// The pauses before another try, in seconds.
const BACK_OFF_S: [u64; 4] = [1, 2, 4, 8];
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct MonitorArgs {
    /// The address of the server that shows it, such as https://status.example.
    #[arg(long, value_name = "URL")]
    to: String,
    /// An API key of that server.
    #[arg(long, env = "ANYWIRE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The name of this machine there; without it, the one the system has.
    #[arg(long)]
    host: Option<String>,
    /// The time between two samples, in milliseconds, 250 to 60000.
    #[arg(long, default_value_t = 1000)]
    interval_ms: u32,
}

pub(super) fn run(args: &MonitorArgs) -> Result<(), String> {
    if !(250..=60_000).contains(&args.interval_ms) {
        return Err(format!("--interval-ms is {}; set it between 250 and 60000", args.interval_ms));
    }
    if !(args.to.starts_with("http://") || args.to.starts_with("https://")) {
        return Err(format!("--to is {:?}; it must begin with http:// or https://", args.to));
    }
    let host = match &args.host {
        Some(name) => HostName::new(name).map_err(|error| error.to_string())?,
        None => Collector::host_name(),
    };
    let collector = Collector::new().map_err(|error| error.to_string())?;
    let server = ServerArgs { url: args.to.trim_end_matches('/').to_owned(), token: args.token.clone() };
    let backlog = Arc::new(Mutex::new(Backlog::of(instance())));
    let (ticks, tick) = channel();
    let interval_ms = args.interval_ms;
    let shared = Arc::clone(&backlog);
    std::thread::spawn(move || {
        collect(collector, interval_ms, |sample| {
            shared.lock().push(sample);
            ticks.send(()).is_ok()
        });
    });
    send(&server, &host, &backlog, &tick)
}

/// Tells this reporter from another one of the same name: no two processes hash with the same keys.
fn instance() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// Takes a sample at each tick of the clock for as long as somebody wants it.
fn collect(mut collector: Collector, interval_ms: u32, mut take: impl FnMut(Sample) -> bool) {
    let mut heartbeat = Heartbeat::new(interval_ms);
    loop {
        std::thread::sleep(heartbeat.wait(SystemClock.now().as_millis()));
        let now = SystemClock.now().as_millis();
        heartbeat.sampled(now);
        if !take(collector.collect(now, interval_ms, None)) {
            return;
        }
    }
}

/// Sends what waits until the server refuses for good.
fn send(
    server: &ServerArgs,
    host: &HostName,
    backlog: &Mutex<Backlog>,
    tick: &Receiver<()>,
) -> Result<(), String> {
    let agent = agent();
    let mut failures = 0;
    let mut told = None;
    let mut shared = false;
    loop {
        match tick.recv_timeout(Duration::from_secs(120)) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("the collector ended".to_owned()),
        }
        while tick.try_recv().is_ok() {}
        match flush(&agent, server, host, backlog) {
            Ok(machines) => {
                failures = 0;
                if told != Some(true) {
                    eprintln!("anywire: {host} reports to {}", server.url);
                    told = Some(true);
                }
                if machines > 1 && !shared {
                    eprintln!(
                        "anywire: {machines} machines report as {host}; give each its own name (--host)"
                    );
                }
                shared = machines > 1;
            }
            Err(Failure::Refused(message)) => return Err(message),
            Err(Failure::Away(message)) => {
                let pause = BACK_OFF_S[failures.min(BACK_OFF_S.len() - 1)];
                failures += 1;
                if told != Some(false) {
                    eprintln!("anywire: {message}; samples wait until the server is back");
                    told = Some(false);
                }
                std::thread::sleep(Duration::from_secs(pause));
            }
        }
        let dropped = backlog.lock().take_dropped();
        if dropped > 0 {
            eprintln!("anywire: the server was away for too long: {dropped} samples are lost");
        }
    }
}

/// What a server says of a report.
#[derive(Deserialize)]
struct Answer {
    accepted: usize,
    repeated: usize,
    /// Older servers do not say it.
    #[serde(default)]
    machines: u64,
}

enum Failure {
    /// Trying again leads nowhere.
    Refused(String),
    /// It may be back in a moment.
    Away(String),
}

fn agent() -> ureq::Agent {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A redirected POST arrives without its samples, and the answer looks like success.
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    config.timeout_global(Some(TIMEOUT)).build().into()
}

/// Sends reports until nothing waits; says how many machines report under this name. Each report takes what
/// it held off the backlog, so there are as many as the samples that wait need, and no more.
fn flush(
    agent: &ureq::Agent,
    server: &ServerArgs,
    host: &HostName,
    backlog: &Mutex<Backlog>,
) -> Result<u64, Failure> {
    let mut machines = 1;
    loop {
        let next = backlog.lock().next(SystemClock.now().as_millis());
        let Some(waiting) = next else { return Ok(machines) };
        machines = post(agent, server, host, &waiting)?;
        backlog.lock().sent(&waiting);
    }
}

/// Sends one report; says how many machines report under this name.
fn post(
    agent: &ureq::Agent,
    server: &ServerArgs,
    host: &HostName,
    waiting: &Waiting,
) -> Result<u64, Failure> {
    let mut request = agent.post(format!("{}/api/performance/hosts/{host}/samples", server.url));
    request = request.header("Content-Type", "application/json");
    if let Some(value) = authorization(server) {
        request = request.header("Authorization", value);
    }
    let away = |error: ureq::Error| Failure::Away(format!("{}: {error}", server.url));
    let failed = |error: ureq::Error| match error {
        // No server will ever be at such an address, and no header makes a token of these characters.
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failure::Refused(format!("{}: {error}", server.url)),
        _ => away(error),
    };
    let mut response = request.send(waiting.report.to_string()).map_err(failed)?;
    let status = response.status().as_u16();
    if let Some(elsewhere) = response.headers().get("location").filter(|_| (300..400).contains(&status)) {
        let elsewhere = elsewhere.to_str().unwrap_or("another address");
        return Err(Failure::Refused(format!("{} sends on to {elsewhere}; give that to --to", server.url)));
    }
    let answer = response.body_mut().read_to_string().map_err(away)?;
    match status {
        200..=299 => match serde_json::from_str::<Answer>(&answer) {
            Ok(answer) if answer.accepted + answer.repeated == waiting.count => Ok(answer.machines),
            // Whoever answered, it is no server that has the samples now.
            _ => Err(Failure::Away(format!("{} answers {status}, but not as a server does", server.url))),
        },
        408 | 429 | 500..=599 => Err(Failure::Away(refusal(status, &answer))),
        _ => Err(Failure::Refused(refusal(status, &answer))),
    }
}
