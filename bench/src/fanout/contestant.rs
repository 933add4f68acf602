//! One server of a case, with the load generator that holds its subscribers.

use super::case::Case;
use crate::child::{Plan, Running};
use crate::failure::{Context, Failure, Outcome};
use crate::load::{Report, RoundResult};
use crate::peers::{Peer, Server, Setting};
use crate::stats::{Histogram, median};
use serde::Serialize;
use std::io::Write;
use std::process::ChildStdin;
use std::time::Duration;

/// Connecting 10 000 subscribers one by one takes some seconds, on a busy machine many.
const CONNECT_WAIT: Duration = Duration::from_secs(180);
const ROUND_WAIT: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(crate) struct Contestant {
    // Before the server: subscribers go first, so the server does not log a shutdown with thousands of
    // clients.
    load: Running,
    commands: ChildStdin,
    server: Server,
    connections: usize,
    memory_bytes: f64,
    connect_seconds: f64,
    rounds: Vec<Measured>,
}

/// A round and what it cost the server.
#[derive(Debug)]
struct Measured {
    server_cpu_ns: u64,
    result: RoundResult,
}

/// A server's figures over all rounds.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Figures {
    /// Server CPU per delivery, median of the rounds.
    pub(crate) cpu_us_per_delivery: Option<f64>,
    pub(crate) deliveries_per_second: Option<f64>,
    pub(crate) latency_p50_ms: Option<f64>,
    pub(crate) latency_p99_ms: Option<f64>,
    /// Resident memory of the server, for each connection that waits.
    pub(crate) memory_kib_per_connection: f64,
    pub(crate) connects_per_second: f64,
    pub(crate) deliveries: u64,
    pub(crate) missed: u64,
    pub(crate) misplaced: u64,
    pub(crate) closed: u64,
    /// The load generator's own CPU per delivery.
    pub(crate) load_cpu_us_per_delivery: Option<f64>,
    /// Each round's server CPU per delivery, in the order of the cycles.
    pub(crate) rounds_cpu_us: Vec<f64>,
}

impl Figures {
    /// Every subscriber got every message once and in order.
    pub(crate) fn is_sound(&self) -> bool {
        self.missed == 0 && self.misplaced == 0 && self.closed == 0
    }
}

impl Contestant {
    /// Starts the server, connects its subscribers and reads what they cost in memory.
    pub(crate) fn prepare(
        peer: Peer,
        case: &Case,
        setting: &Setting,
        load_processor: Option<usize>,
    ) -> Outcome<Self> {
        let server = peer.start(setting)?;
        let before = server.processes.resident_bytes();
        let mut load = load_plan(peer, case, &server, load_processor)?.start()?;
        let commands =
            load.input().ok_or_else(|| Failure::new("the load generator has no standard input"))?;
        let report = load.wait_for(CONNECT_WAIT, parse_report)?;
        let connect_seconds = match report {
            Report::Ready { seconds } => seconds,
            Report::Failed(why) => return Err(Failure::new(why)),
            Report::Round(_) => return Err(Failure::new("the load generator began without being told")),
        };
        let memory_bytes = server.processes.bytes_per_connection(before, case.subscribers);
        let connections = case.subscribers;
        Ok(Self { load, commands, server, connections, memory_bytes, connect_seconds, rounds: Vec::new() })
    }

    /// Publishes `messages`, so many in flight, and waits until every subscriber has all of them.
    pub(crate) fn round(&mut self, messages: usize, in_flight: usize, counts: bool) -> Outcome<()> {
        let before = self.server.processes.cpu_ns();
        writeln!(self.commands, "run {messages} {in_flight}").context("the load generator is gone")?;
        let report = self.load.wait_for(ROUND_WAIT, parse_report)?;
        let server_cpu_ns = self.server.processes.cpu_ns().saturating_sub(before);
        match report {
            Report::Round(result) if counts || result.missed + result.misplaced + result.closed > 0 => {
                self.rounds.push(Measured { server_cpu_ns, result });
                Ok(())
            }
            Report::Failed(why) => Err(Failure::new(why)),
            Report::Round(_) | Report::Ready { .. } => Ok(()),
        }
    }

    /// Server CPU per delivery of each round, in µs.
    pub(crate) fn cpu_us(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| micros_per_delivery(round.server_cpu_ns, &round.result)).collect()
    }

    pub(crate) fn figures(&self) -> Figures {
        let results = || self.rounds.iter().map(|round| &round.result);
        let mut latency = Histogram::default();
        results().for_each(|result| latency.merge(&result.latency));
        let rates: Vec<f64> = results().map(|result| result.deliveries as f64 / result.seconds).collect();
        let load: Vec<f64> =
            results().map(|result| micros_per_delivery(result.load_cpu_ns, result)).collect();
        let rounds_cpu_us = self.cpu_us();
        Figures {
            cpu_us_per_delivery: median(&rounds_cpu_us),
            deliveries_per_second: median(&rates),
            latency_p50_ms: latency.quantile_ms(0.5),
            latency_p99_ms: latency.quantile_ms(0.99),
            memory_kib_per_connection: self.memory_bytes / 1024.0,
            connects_per_second: self.connections as f64 / self.connect_seconds,
            deliveries: results().map(|result| result.deliveries).sum(),
            missed: results().map(|result| result.missed).sum(),
            misplaced: results().map(|result| result.misplaced).sum(),
            closed: results().map(|result| result.closed).max().unwrap_or(0),
            load_cpu_us_per_delivery: median(&load),
            rounds_cpu_us,
        }
    }
}

fn micros_per_delivery(ns: u64, result: &RoundResult) -> f64 {
    ns as f64 / 1000.0 / result.deliveries.max(1) as f64
}

fn parse_report(line: &str) -> Option<Report> {
    serde_json::from_str(line).ok()
}

fn load_plan(peer: Peer, case: &Case, server: &Server, processor: Option<usize>) -> Outcome<Plan> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut arguments = vec!["load".to_owned()];
    let (subscribers, payload) = (case.subscribers.to_string(), case.payload.to_string());
    let pairs = [
        ("--peer", peer.name()),
        ("--transport", case.transport.name()),
        ("--address", &server.address),
        ("--subscribers", &subscribers),
        ("--payload", &payload),
    ];
    arguments.extend(pairs.iter().flat_map(|(key, value)| [(*key).to_owned(), (*value).to_owned()]));
    Ok(Plan { name: format!("load-{}", peer.name()), program, arguments, processor, gentle: false })
}
