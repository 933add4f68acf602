//! `jitter`: does everybody get everything while connections are killed all the time?
//!
//! Two messages a second go to one channel. Each client's connection is reset about every 15 s; the client is
//! away about 2 s and resumes with its cursor, with `--switch` on another transport each time. With
//! `--restart` the server itself is killed and started again in the middle. Each server that takes part goes
//! through the same schedule, one after the other.
//!
//! The clients run on a thread of their own; this one publishes and owns the server.

mod client;
pub(crate) mod connection;
pub(crate) mod contender;
mod counters;
pub(crate) mod notice;
mod options;
mod publishing;
mod report;
mod socketio;
pub(crate) mod way;

use crate::failure::{Context, Failure, Outcome};
use crate::machine::{self, Pins};
use crate::peers::{Server, Setting, Transport};
use crate::verdict::Verdict;
use client::{Phase, Shared};
use contender::Contender;
use counters::{ClientCounters, Totals};
pub(crate) use options::Options;
use publishing::Publisher;
use report::{Figures, Row};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long clients may take to connect, and after the last message to catch up.
const CONNECT_WAIT: Duration = Duration::from_secs(60);
const DRAIN_WAIT: Duration = Duration::from_secs(30);

/// Runs the benchmark, prints its tables and writes the JSON.
pub(crate) fn run(options: &Options) -> Outcome<Verdict> {
    let options = options.effective();
    options.check()?;
    machine::allow_connections(options.clients)?;
    println!("jitter — {}", machine::headline());
    let rows =
        options.peers.iter().map(|server| take_part(*server, &options)).collect::<Outcome<Vec<_>>>()?;
    report::print(&options, &rows);
    let name = if options.restart { "jitter-restart" } else { "jitter" };
    options.setup.write_json(name, &report::to_json(&options, &rows))?;
    Ok(Verdict::of(rows.iter().all(Row::is_sound)))
}

/// A server that is there only to be compared with may be missing, beside one that is not.
fn take_part(server: Contender, options: &Options) -> Outcome<Row> {
    let compared = server != Contender::Anywire && options.peers.contains(&Contender::Anywire);
    match measure(server, options) {
        Err(failure) if compared => Ok(Row { server, outcome: Err(failure.to_string()) }),
        outcome => Ok(Row { server, outcome: Ok(outcome?) }),
    }
}

fn measure(contender: Contender, options: &Options) -> Outcome<Figures> {
    let pins = Pins::choose(!options.no_pin);
    let setting = Setting { recovery: true, ..options.setup.setting(Transport::Websocket, pins.server) };
    let mut server =
        contender.peer().start(&setting).context(format_args!("{} cannot take part", contender.name()))?;
    let before = server.processes.resident_bytes();
    let shared = Arc::new(Shared::new(&server.address));
    let clients = start_clients(contender, options, &shared, pins.load)?;
    let course = wait_for_clients(options, &shared).and_then(|()| {
        let memory_bytes = server.processes.bytes_per_connection(before, options.clients);
        let publisher = Publisher::new(contender, &server.address);
        Ok((memory_bytes, drive(options, publisher, &setting, &mut server, &shared)?))
    });
    // Whatever happened, the clients have to end before their counters can be read.
    shared.enter(Phase::Over);
    let counters = clients.join().map_err(|_| Failure::new("the clients' thread panicked"))?;
    let (memory_bytes, cpu_ns) = course?;
    Ok(Figures { totals: Totals::of(&counters, options.messages()), cpu_ns, memory_bytes })
}

fn start_clients(
    server: Contender,
    options: &Options,
    shared: &Arc<Shared>,
    processor: Option<usize>,
) -> Outcome<JoinHandle<Vec<ClientCounters>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the clients' runtime")?;
    let habits = client::Habits {
        server,
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

fn wait_for_clients(options: &Options, shared: &Shared) -> Outcome<()> {
    wait_until(CONNECT_WAIT, || shared.ready() == options.clients).ok_or_else(|| {
        Failure::new(format!(
            "only {} of {} clients connected: {}",
            shared.ready(),
            options.clients,
            shared.last_error()
        ))
    })
}

/// Publishes everything, with a crash in the middle if asked for. Returns the server's processor time
/// meanwhile.
fn drive(
    options: &Options,
    mut publisher: Publisher,
    setting: &Setting,
    server: &mut Server,
    shared: &Shared,
) -> Outcome<u64> {
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
