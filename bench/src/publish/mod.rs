//! `publish`: how many durable events a second get in over HTTP, and how long their publishers wait.
//!
//! Before and after each case a plain program appends the same bytes to a file on the same disk and syncs
//! them: that is the floor, and the disk's mood at that time.

mod disk;
mod histogram;
mod publishers;

use crate::child::Scratch;
use crate::failure::{Context, Failure, Outcome};
use crate::machine::{self, Pins};
use crate::peers::{Peer, Server, Transport};
use crate::setup::Setup;
use crate::stats::Histogram;
use crate::table::{Table, number};
use crate::verdict::Verdict;
use histogram::Buckets;
use publishers::{Counters, Work};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The server's histograms that are read, with their names in the result.
const SERVER_HISTOGRAMS: [(&str, &str); 2] =
    [("commit", "anywire_commit_latency_seconds"), ("delivery", "anywire_delivery_latency_seconds")];

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Events of a batch, in the first case.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Connections that publish batches.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Publishers of single events, in the second case.
    #[arg(long, default_value_t = 100)]
    publishers: usize,
    /// Only this case.
    #[arg(long)]
    only: Option<Only>,
    /// Seconds a case is measured.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 128)]
    payload: usize,
    /// Bind server and publishers to processors of their own. Without it they share all.
    #[arg(long)]
    pin: bool,
    #[command(flatten)]
    setup: Setup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Batches,
    Single,
}

/// So many connections, each with one request at a time of so many events.
#[derive(Debug, Clone, Copy)]
struct Case {
    connections: usize,
    batch: usize,
    goal_per_second: f64,
}

/// What came of a case.
#[derive(Debug)]
struct Measured {
    seconds: f64,
    events: u64,
    refused: u64,
    acknowledgement: Histogram,
    server_cpu_ns: u64,
    server_histograms: Vec<(&'static str, Option<Buckets>)>,
    /// Events a second of the plain program: synced as often as one request, and as often as all connections
    /// together.
    floors: [f64; 2],
}

/// Runs the cases, prints the table and writes the JSON.
pub(crate) fn run(options: &Options) -> Outcome<Verdict> {
    println!("publish — {}", machine::headline());
    let seconds = Duration::from_secs_f64(if options.setup.smoke { 1.0 } else { options.seconds });
    let mut results = Vec::new();
    let mut table = Table::new(&[
        "case",
        "events/s",
        "goal",
        "ack p50 ms",
        "ack p99 ms",
        "commit p50 ms",
        "p99 ms (goal < 20)",
        "CPU µs/event",
        "refused",
    ]);
    let mut sound = true;
    for case in options.cases() {
        let measured = measure(&case, options, seconds)?;
        sound &= measured.refused == 0 && measured.events > 0;
        rows(&case, &measured, &mut table);
        results.push(to_json(&case, &measured));
    }
    print!("\n{}", table.render());
    println!(
        "\nack: from sending the request to its answer · commit: the server's own histogram, quantiles within a bucket interpolated\n\
         plain append: a program that only writes the same bytes to a file and calls fdatasync, half before and half after the case"
    );
    options.setup.write_json("publish", &json!(results))?;
    Ok(Verdict::of(sound))
}

impl Options {
    fn cases(&self) -> Vec<Case> {
        let batches = Case { connections: self.connections, batch: self.batch, goal_per_second: 200_000.0 };
        let single = Case { connections: self.publishers, batch: 1, goal_per_second: 5_000.0 };
        match self.only {
            None => vec![batches, single],
            Some(Only::Batches) => vec![batches],
            Some(Only::Single) => vec![single],
        }
    }
}

fn measure(case: &Case, options: &Options, seconds: Duration) -> Outcome<Measured> {
    let pins = Pins::choose(options.pin);
    let setting = options.setup.setting(Transport::Websocket, pins.server);
    let request = publishers::events_body(case.batch, options.payload);
    let before = floors(case, request.len(), seconds / 10)?;
    let server = Peer::Anywire.start(&setting)?;
    let work = Work { address: server.address.clone(), connections: case.connections, body: request.clone() };
    let mut measured = publish(work, &server, seconds, pins.load)?;
    measured.events *= case.batch as u64;
    drop(server);
    let after = floors(case, request.len(), seconds / 10)?;
    measured.floors = [0, 1].map(|at| f64::midpoint(before[at], after[at]));
    Ok(measured)
}

/// What a plain program reaches, in events a second: with a sync a request, and with one for all connections'
/// requests.
fn floors(case: &Case, request_bytes: usize, time: Duration) -> Outcome<[f64; 2]> {
    let folder = Scratch::new("append")?;
    let alone = disk::appends_per_second(folder.path(), request_bytes, time)?;
    let together = disk::appends_per_second(folder.path(), request_bytes * case.connections, time)?;
    Ok([alone * case.batch as f64, together * (case.batch * case.connections) as f64])
}

fn publish(work: Work, server: &Server, seconds: Duration, processor: Option<usize>) -> Outcome<Measured> {
    let counters = Arc::new(Counters::default());
    let address = work.address.clone();
    let publishers = publishers::start(work, Arc::clone(&counters), processor)?;
    std::thread::sleep(seconds.mul_f64(0.15));
    let before = scrape(&address)?;
    let cpu_ns = server.processes.cpu_ns();
    counters.measure(true);
    let started = Instant::now();
    std::thread::sleep(seconds);
    counters.measure(false);
    let measured_for = started.elapsed().as_secs_f64();
    let server_cpu_ns = server.processes.cpu_ns().saturating_sub(cpu_ns);
    let after = scrape(&address)?;
    counters.stop();
    let acknowledgement = publishers.join().map_err(|_| Failure::new("the publishers' thread panicked"))?;
    if let Some(why) = counters.first_failure() {
        eprintln!("anywire-bench: some publications failed, the first: {why}");
    }
    let histogram = |(name, metric)| {
        (name, Buckets::parse(&after, metric).map(|end| end.since(Buckets::parse(&before, metric))))
    };
    Ok(Measured {
        seconds: measured_for,
        events: acknowledgement.count(),
        refused: counters.refused(),
        acknowledgement,
        server_cpu_ns,
        server_histograms: SERVER_HISTOGRAMS.map(histogram).into(),
        floors: [0.0; 2],
    })
}

fn scrape(address: &str) -> Outcome<String> {
    publishers::get(address, "/metrics").context("cannot read /metrics")
}

fn rows(case: &Case, measured: &Measured, table: &mut Table) {
    let commit = measured.server_histograms[0].1.as_ref();
    let name = match case.batch {
        1 => format!("one at a time, {} publishers", case.connections),
        batch => format!("batches of {batch}, {} connections", case.connections),
    };
    table.row(vec![
        name,
        number(Some(measured.events as f64 / measured.seconds)),
        format!("≥ {}", number(Some(case.goal_per_second))),
        number(measured.acknowledgement.quantile_ms(0.5)),
        number(measured.acknowledgement.quantile_ms(0.99)),
        number(commit.and_then(|buckets| buckets.quantile_ms(0.5))),
        number(commit.and_then(|buckets| buckets.quantile_ms(0.99))),
        number(Some(measured.server_cpu_ns as f64 / 1000.0 / measured.events.max(1) as f64)),
        measured.refused.to_string(),
    ]);
    let floor = |events: usize, rate: f64| {
        let dash = || String::from("–");
        let mut row = vec![format!("  plain append, {events} a sync"), number(Some(rate))];
        row.extend(std::iter::repeat_with(dash).take(7));
        row
    };
    table.row(floor(case.batch, measured.floors[0]));
    table.row(floor(case.batch * case.connections, measured.floors[1]));
}

fn to_json(case: &Case, measured: &Measured) -> Value {
    let histograms: serde_json::Map<_, _> = measured
        .server_histograms
        .iter()
        .filter_map(|(name, buckets)| Some(((*name).to_owned(), buckets.as_ref()?.to_json())))
        .collect();
    json!({
        "connections": case.connections,
        "batch": case.batch,
        "goal_events_per_second": case.goal_per_second,
        "events_per_second": measured.events as f64 / measured.seconds,
        "events": measured.events,
        "refused": measured.refused,
        "ack_p50_ms": measured.acknowledgement.quantile_ms(0.5),
        "ack_p99_ms": measured.acknowledgement.quantile_ms(0.99),
        "server": histograms,
        "server_cpu_us_per_event": measured.server_cpu_ns as f64 / 1000.0 / measured.events.max(1) as f64,
        "plain_append_events_per_second": { "synced_per_request": measured.floors[0], "synced_per_all_connections": measured.floors[1] },
    })
}
