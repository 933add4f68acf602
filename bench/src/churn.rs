//! `churn`: how fast clients can connect, subscribe and go, and what each of them costs the server.

use crate::failure::{Context, Failure, Outcome};
use crate::jitter::connection::Connection;
use crate::jitter::contender::Contender;
use crate::jitter::notice::{Notice, Position};
use crate::jitter::way::Way;
use crate::machine::{self, Pins};
use crate::peers::{Peer, Server, Transport};
use crate::setup::Setup;
use crate::stats::Histogram;
use crate::table::{Table, number};
use crate::verdict::Verdict;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Clients that connect and go at the same time.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Seconds a transport is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Do not bind server and load to processors of their own.
    #[arg(long)]
    no_pin: bool,
    #[command(flatten)]
    setup: Setup,
}

/// What one transport's connections cost.
#[derive(Debug)]
struct Figures {
    way: Way,
    seconds: f64,
    took: Histogram,
    failed: u64,
    server_cpu_us: f64,
    resident_mib: f64,
}

/// Runs the benchmark, prints its table and writes the JSON.
pub(crate) fn run(options: &Options) -> Outcome<Verdict> {
    println!("churn — {}", machine::headline());
    let pins = Pins::choose(!options.no_pin);
    let setting = options.setup.setting(Transport::Websocket, pins.server);
    let server = Peer::Anywire.start(&setting)?;
    let measured: Vec<Figures> =
        Way::ALL.iter().map(|way| measure(*way, &server, options, pins.load)).collect::<Outcome<_>>()?;
    let mut table = Table::new(&[
        "transport",
        "connects/s",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "failed",
        "resident MiB after",
    ]);
    measured.iter().for_each(|figures| table.row(figures.cells()));
    print!("\n{}", table.render());
    println!(
        "\nfrom connecting until the client has its cursor; then the connection is reset · CPU: the server's, a connection"
    );
    let results: Vec<Value> = measured.iter().map(Figures::to_json).collect();
    options.setup.write_json("churn", &json!(results))?;
    Ok(Verdict::of(measured.iter().all(|figures| figures.failed == 0)))
}

fn measure(way: Way, server: &Server, options: &Options, processor: Option<usize>) -> Outcome<Figures> {
    let time = Duration::from_secs_f64(if options.setup.smoke { 0.5 } else { options.seconds });
    let before = server.processes.cpu_ns();
    let (took, failed) = connect_and_go(way, &server.address, options.clients, time, processor)?;
    let cpu_us = server.processes.cpu_ns().saturating_sub(before) as f64 / 1000.0;
    Ok(Figures {
        way,
        seconds: time.as_secs_f64(),
        server_cpu_us: cpu_us / took.count().max(1) as f64,
        took,
        failed,
        resident_mib: server.processes.resident_bytes() as f64 / f64::from(1 << 20),
    })
}

impl Figures {
    fn per_second(&self) -> f64 {
        self.took.count() as f64 / self.seconds
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.way.name().into(),
            number(Some(self.per_second())),
            number(self.took.quantile_ms(0.5)),
            number(self.took.quantile_ms(0.99)),
            number(Some(self.server_cpu_us)),
            self.failed.to_string(),
            number(Some(self.resident_mib)),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "transport": self.way.name(),
            "connects_per_second": self.per_second(),
            "p50_ms": self.took.quantile_ms(0.5),
            "p99_ms": self.took.quantile_ms(0.99),
            "server_cpu_us_per_connection": self.server_cpu_us,
            "failed": self.failed,
            "resident_mib_after": self.resident_mib,
        })
    }
}

/// How long connecting took each time, and how often it failed.
fn connect_and_go(
    way: Way,
    address: &str,
    clients: usize,
    time: Duration,
    processor: Option<usize>,
) -> Outcome<(Histogram, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the clients' runtime")?;
    let address = address.to_owned();
    let work = move || {
        if let Some(processor) = processor {
            // Not bound is not wrong, only noisier.
            let _ = machine::pin(processor);
        }
        runtime.block_on(all(way, address, clients, Instant::now() + time))
    };
    std::thread::spawn(work).join().map_err(|_| Failure::new("the clients' thread panicked"))
}

async fn all(way: Way, address: String, clients: usize, until: Instant) -> (Histogram, u64) {
    let client = |_| tokio::spawn(again_and_again(way, address.clone(), until));
    let tasks: Vec<_> = (0..clients).map(client).collect();
    let (mut took, mut failed) = (Histogram::default(), 0);
    for task in tasks {
        let (one, failures) = task.await.unwrap_or_else(|_| (Histogram::default(), 1));
        took.merge(&one);
        failed += failures;
    }
    (took, failed)
}

async fn again_and_again(way: Way, address: String, until: Instant) -> (Histogram, u64) {
    let (mut took, mut failed) = (Histogram::default(), 0);
    while Instant::now() < until {
        let started = Instant::now();
        match subscribe(way, &address).await {
            Ok(()) => took.record(started.elapsed()),
            Err(_) => failed += 1,
        }
    }
    (took, failed)
}

async fn subscribe(way: Way, address: &str) -> std::io::Result<()> {
    let mut connection = Connection::open(Contender::Anywire, way, address, &Position::default()).await?;
    while !connection.next().await?.iter().any(|notice| matches!(notice, Notice::Cursor(_))) {}
    Ok(())
}
