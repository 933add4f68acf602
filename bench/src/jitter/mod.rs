//! `jitter`: does everybody get everything while connections are killed all the time?
//!
//! Two messages a second go to one channel. Each client's connection is reset about every 15 s; the client is away about
//! 2 s and resumes with its cursor, with `--switch` on another transport each time. With `--restart` the server itself is
//! killed and started again in the middle.
//!
//! The clients run on a thread of their own; this one publishes and owns the server.
//!
//! Knows: the schedule. Does not know: bytes.

mod client;
pub(crate) mod connection;
mod publishing;
mod tally;

use crate::Verdict;
use crate::failure::{Context, Failure, Outcome};
use crate::machine::{self, Pins};
use crate::peers::{Peer, Server, Setting, Transport};
use crate::setup::Setup;
use crate::table::{Table, number, thousands};
use client::{Phase, Shared};
use connection::Way;
use publishing::Publisher;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tally::{Tally, Totals};

/// How long clients may take to connect, and after the last message to catch up.
const CONNECT_WAIT: Duration = Duration::from_secs(60);
const DRAIN_WAIT: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Clients of one channel.
    #[arg(long, default_value_t = 2000)]
    clients: usize,
    /// How they connect.
    #[arg(long, default_value = "websocket")]
    transport: Way,
    /// Reconnect on another transport each time.
    #[arg(long)]
    switch: bool,
    /// How long messages are published.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 2)]
    rate: u64,
    /// Mean seconds a connection lives.
    #[arg(long, default_value_t = 15.0)]
    lives: f64,
    /// Mean seconds a client is away.
    #[arg(long, default_value_t = 2.0)]
    away: f64,
    /// Kill the server with SIGKILL in the middle and start it again.
    #[arg(long)]
    restart: bool,
    /// Seed of the disconnections.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Do not bind server and load to processors of their own.
    #[arg(long)]
    no_pin: bool,
    #[command(flatten)]
    setup: Setup,
}

impl Options {
    fn effective(&self) -> Self {
        let mut options = self.clone();
        if self.setup.smoke {
            options.clients = options.clients.min(50);
            (options.seconds, options.rate) = (6, 5);
            (options.lives, options.away) = (1.5, 0.3);
        }
        options
    }

    fn messages(&self) -> u64 {
        self.seconds * self.rate
    }
}

/// Runs the benchmark, prints its table and writes the JSON.
pub(crate) fn run(options: &Options) -> Outcome<Verdict> {
    let options = options.effective();
    machine::allow_connections(options.clients)?;
    println!("jitter — {}", machine::headline());
    let pins = Pins::choose(!options.no_pin);
    let setting = options.setup.setting(Transport::Websocket, pins.server);
    let mut server = Peer::Anywire.start(&setting)?;
    let shared = Arc::new(Shared::new(&server.address));
    let clients = start_clients(&options, &shared, pins.load)?;
    let cpu_ns = drive(&options, &setting, &mut server, &shared);
    // Whatever happened, the clients have to end before their tallies can be read.
    shared.enter(Phase::Over);
    let tallies = clients.join().map_err(|_| Failure::new("the clients' thread panicked"))?;
    let totals = Totals::of(&tallies, options.messages());
    report(&options, &totals, cpu_ns?)
}

fn start_clients(
    options: &Options,
    shared: &Arc<Shared>,
    processor: Option<usize>,
) -> Outcome<JoinHandle<Vec<Tally>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the clients' runtime")?;
    let habits = client::Habits {
        clients: options.clients,
        messages: options.messages(),
        way: options.transport,
        switch: options.switch,
        lives: Duration::from_secs_f64(options.lives),
        away: Duration::from_secs_f64(options.away),
        seed: options.seed,
    };
    let shared = Arc::clone(shared);
    let work = move || {
        if let Some(processor) = processor {
            // Not bound is not wrong, only noisier.
            let _ = machine::pin(processor);
        }
        runtime.block_on(client::run_all(habits, shared))
    };
    Ok(std::thread::spawn(work))
}

/// Publishes everything, with a crash in the middle if asked for. Returns the server's processor time meanwhile.
fn drive(options: &Options, setting: &Setting, server: &mut Server, shared: &Shared) -> Outcome<u64> {
    wait_until(CONNECT_WAIT, || shared.ready() == options.clients).ok_or_else(|| {
        Failure::new(format!(
            "only {} of {} clients connected: {}",
            shared.ready(),
            options.clients,
            shared.last_error()
        ))
    })?;
    let mut publisher = Publisher::new(&server.address);
    let mut cpu_ns = 0;
    let mut before = server.processes.cpu_ns();
    shared.enter(Phase::Running);
    let started = Instant::now();
    for message in 1..=options.messages() {
        let due = started + Duration::from_secs(1).mul_f64(message as f64 / options.rate as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        publisher.publish(message)?;
        shared.published(message);
        if options.restart && message == options.messages() / 2 {
            cpu_ns += server.processes.cpu_ns().saturating_sub(before);
            server.crash_and_restart(setting)?;
            before = 0;
        }
    }
    shared.enter(Phase::Draining);
    // A client that never catches up shows in the figures; waiting for it has an end.
    let _ = wait_until(DRAIN_WAIT, || shared.finished() == options.clients);
    Ok(cpu_ns + server.processes.cpu_ns().saturating_sub(before))
}

fn wait_until(within: Duration, done: impl Fn() -> bool) -> Option<()> {
    let until = Instant::now() + within;
    while !done() {
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(())
}

fn report(options: &Options, totals: &Totals, cpu_ns: u64) -> Outcome<Verdict> {
    print_totals(options, totals, cpu_ns);
    print!("\n{}", replay_table(totals).render());
    println!(
        "\nreplay: from the start of reconnecting until everything published by then has come (goal: p99 < 500 ms)"
    );
    let mut result = totals.to_json();
    result["server_cpu_ns"] = cpu_ns.into();
    result["clients"] = options.clients.into();
    result["messages"] = options.messages().into();
    result["switch"] = options.switch.into();
    result["restart"] = options.restart.into();
    let name = if options.restart { "jitter-restart" } else { "jitter" };
    options.setup.write_json(name, &result)?;
    Ok(Verdict::of(totals.is_sound()))
}

fn print_totals(options: &Options, totals: &Totals, cpu_ns: u64) {
    let how = if options.switch { "another transport each time" } else { options.transport.name() };
    let restart = if options.restart { ", server killed and restarted in the middle" } else { "" };
    let (clients, messages) = (thousands(options.clients as i64), options.messages());
    let Options { rate, lives, away, .. } = options;
    println!(
        "\n{clients} clients, {messages} messages at {rate}/s, killed about every {lives} s, away about {away} s, {how}{restart}"
    );
    let (delivered, expected) = (thousands(totals.delivered as i64), thousands(totals.expected as i64));
    let (repeated, out_of_order, gaps) = (totals.repeated, totals.out_of_order, totals.gaps);
    println!(
        "delivered {:.4} % ({delivered} of {expected}) · repeated {repeated} · out of order {out_of_order} · gaps {gaps}",
        totals.delivered_percent()
    );
    println!(
        "killed {} · ended by the server {} · server CPU {} ms",
        thousands(totals.killed as i64),
        totals.lost,
        thousands((cpu_ns / 1_000_000) as i64)
    );
}

fn replay_table(totals: &Totals) -> Table {
    let mut table = Table::new(&["reconnected on", "resumes", "replay p50 ms", "p99 ms", "max ms"]);
    for (name, replays) in totals.replays() {
        table.row(vec![
            name.into(),
            thousands(replays.count() as i64),
            number(replays.quantile_ms(0.5)),
            number(replays.quantile_ms(0.99)),
            number(replays.quantile_ms(1.0)),
        ]);
    }
    table
}
