//! What `jitter` says: a line for each server, its replays by transport, and the same as JSON.

use super::contender::Contender;
use super::counters::{Replays, Totals};
use super::options::Options;
use crate::table::{Table, number, thousands};
use serde_json::{Value, json};

const HEADINGS: [&str; 11] = [
    "server",
    "delivered %",
    "delivered",
    "of",
    "repeated",
    "out of order",
    "gaps",
    "killed",
    "ended by it",
    "CPU ns/delivery",
    "KiB/conn",
];
const REPLAY_HEADINGS: [&str; 7] =
    ["server", "reconnected on", "resumes", "p50 ms", "p99 ms", "max ms", "incomplete"];

const LEGEND: &str = "\
gaps         clients told that something is gone; by Socket.IO: that their session could not be recovered
ended by it  connections that the server ended
CPU          the server's from the first message until all have caught up, restart and reconnections included
KiB/conn     growth of the server's resident memory a connection that waits, before the first message
resumes      reconnections that had missed something and got all of it, from the start of reconnecting until everything
             published by then has come (goal: p99 < 500 ms); incomplete: those that did not get all of it";

/// A server's figures.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) totals: Totals,
    /// Processor time of the server while messages were published and clients caught up.
    pub(crate) cpu_ns: u64,
    /// Resident memory of the server, for each connection that waits.
    pub(crate) memory_bytes: f64,
}

/// A server's line, or why it has none.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) server: Contender,
    pub(crate) outcome: Result<Figures, String>,
}

impl Figures {
    fn cpu_ns_per_delivery(&self) -> f64 {
        self.cpu_ns as f64 / self.totals.delivered.max(1) as f64
    }

    fn to_json(&self) -> Value {
        let mut figures = self.totals.to_json();
        figures["server_cpu_ns"] = self.cpu_ns.into();
        figures["server_cpu_ns_per_delivery"] = self.cpu_ns_per_delivery().into();
        figures["memory_bytes_per_connection"] = self.memory_bytes.into();
        figures
    }
}

impl Row {
    /// What a peer loses is shown; only Anywire is to lose nothing.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = self.outcome.as_ref().is_ok_and(|figures| figures.totals.is_sound());
        sound || self.server != Contender::Anywire
    }

    fn cells(&self) -> Vec<String> {
        let name = self.server.name().to_owned();
        let figures = match &self.outcome {
            Ok(figures) => figures,
            Err(why) => return vec![name, why.clone()],
        };
        let count = |number: u64| thousands(number as i64);
        let totals = &figures.totals;
        vec![
            name,
            format!("{:.4}", totals.delivered_percent()),
            count(totals.delivered),
            count(totals.expected),
            count(totals.repeated),
            count(totals.out_of_order),
            count(totals.gaps),
            count(totals.killed),
            count(totals.lost),
            number(Some(figures.cpu_ns_per_delivery())),
            number(Some(figures.memory_bytes / 1024.0)),
        ]
    }

    fn to_json(&self) -> Value {
        let mut row = match &self.outcome {
            Ok(figures) => figures.to_json(),
            Err(why) => json!({ "note": why }),
        };
        row["peer"] = self.server.name().into();
        row
    }
}

/// Prints the tables and what they mean.
pub(crate) fn print(options: &Options, rows: &[Row]) {
    println!("\n{}", title(options));
    let mut table = Table::new(&HEADINGS);
    rows.iter().for_each(|row| table.row(row.cells()));
    print!("{}", table.render());
    if let Some(line) = comparison(options, rows) {
        println!("{line}");
    }
    print!("\n{}", replay_table(rows).render());
    println!("\n{LEGEND}");
}

/// The whole result. The members beside `peers` are Anywire's, as they were when it alone was measured.
pub(crate) fn to_json(options: &Options, rows: &[Row]) -> Value {
    let mut result = figures_of(Contender::Anywire, rows).map_or_else(|| json!({}), Figures::to_json);
    result["clients"] = options.clients.into();
    result["messages"] = options.messages().into();
    result["seed"] = options.seed.into();
    result["switch"] = options.switch.into();
    result["restart"] = options.restart.into();
    if !options.switch {
        result["transport"] = options.transport.name().into();
    }
    result["peers"] = rows.iter().map(Row::to_json).collect();
    result
}

fn title(options: &Options) -> String {
    let how = if options.switch { "another transport each time" } else { options.transport.name() };
    let restart = if options.restart { ", server killed and restarted in the middle" } else { "" };
    let (clients, messages) = (thousands(options.clients as i64), options.messages());
    let Options { rate, lives, away, .. } = options;
    format!(
        "{clients} clients, {messages} messages at {rate}/s, killed about every {lives} s, away about {away} s, {how}{restart}"
    )
}

fn figures_of(server: Contender, rows: &[Row]) -> Option<&Figures> {
    rows.iter().find(|row| row.server == server)?.outcome.as_ref().ok()
}

/// How Anywire stands to Socket.IO. Not where each moves among transports of its own: these cost different
/// amounts.
fn comparison(options: &Options, rows: &[Row]) -> Option<String> {
    let own = figures_of(Contender::Anywire, rows)?;
    let other = figures_of(Contender::Socketio, rows).filter(|_| !options.switch)?;
    let cpu = number(Some(own.cpu_ns_per_delivery() / other.cpu_ns_per_delivery()));
    let memory = number(Some(own.memory_bytes / other.memory_bytes));
    Some(format!(
        "anywire over socketio: CPU a delivery × {cpu} (goal ≤ 0.5), memory a connection × {memory} (goal ≤ 0.33)"
    ))
}

fn replay_table(rows: &[Row]) -> Table {
    let mut table = Table::new(&REPLAY_HEADINGS);
    for row in rows {
        let replays = row.outcome.iter().flat_map(|figures| figures.totals.replays());
        replays.for_each(|(way, replays)| table.row(replay_cells(row.server, way, replays)));
    }
    table
}

fn replay_cells(server: Contender, way: &str, replays: &Replays) -> Vec<String> {
    vec![
        server.name().into(),
        way.into(),
        thousands(replays.took.count() as i64),
        number(replays.took.quantile_ms(0.5)),
        number(replays.took.quantile_ms(0.99)),
        number(replays.took.quantile_ms(1.0)),
        thousands(replays.incomplete as i64),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::counters::ClientCounters;
    use super::*;

    fn row(server: Contender, received: &[u64]) -> Row {
        let mut counters = ClientCounters::new(2);
        received.iter().for_each(|message| counters.received(*message));
        let figures = Figures { totals: Totals::of(&[counters], 2), cpu_ns: 3_000, memory_bytes: 2048.0 };
        Row { server, outcome: Ok(figures) }
    }

    #[test]
    fn only_anywire_is_asked_to_deliver_everything() {
        let check = |row: Row, sound: bool| assert_eq!(row.is_sound(), sound, "{row:?}");
        check(row(Contender::Anywire, &[1, 2]), true);
        check(row(Contender::Anywire, &[2]), false);
        check(row(Contender::Socketio, &[2]), true);
        check(Row { server: Contender::Socketio, outcome: Err("not installed".into()) }, true);
        check(Row { server: Contender::Anywire, outcome: Err("not built".into()) }, false);
    }

    #[test]
    fn what_a_peer_lost_stands_in_its_line() {
        let cells = row(Contender::Socketio, &[2]).cells();
        assert_eq!(cells[..4], ["socketio", "50.0000", "1", "2"]);
        assert_eq!(cells[9..], ["3 000", "2.00"]);
        let json = row(Contender::Socketio, &[2]).to_json();
        assert_eq!((&json["peer"], &json["delivered"]), (&json!("socketio"), &json!(1)));
    }
}
