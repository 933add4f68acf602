//! The fan-out's table: what stands in its columns, and the goals beside the figures.

use super::case::Case;
use super::row::Row;
use crate::peers::{Peer, Transport};
use crate::stats::Spread;
use crate::table::{Table, number};

/// What the columns mean.
pub(crate) const LEGEND: &str = "\
CPU µs      server CPU per delivery, publishing included: median of the rounds
× floor     that over the floor's in the same cycle: median [its 95 % confidence interval] (least–greatest)
× socketio  that over that of Socket.IO on Node in the same cycle; of waiting connections, the memory
p50, p99    from publishing to receipt, in ms, over all rounds
KiB/conn    growth of the server's resident memory a waiting connection (kernel's socket buffers not included)
once        every subscriber got every message once, in order
load µs     the load generator's own CPU per delivery, on another processor";

const HEADINGS: [&str; 11] = [
    "server",
    "CPU µs",
    "× floor",
    "× socketio",
    "goal",
    "deliveries/s",
    "p50 ms",
    "p99 ms",
    "KiB/conn",
    "once, in order",
    "load µs",
];
const IDLE_HEADINGS: [&str; 5] = ["server", "KiB/conn", "× socketio", "goal", "connects/s"];

pub(crate) fn title(case: &Case) -> String {
    let transport = case.transport.name();
    if case.is_idle() {
        return format!("{transport}, {} waiting connections", case.subscribers);
    }
    format!(
        "{transport}, {} subscribers, {} in flight, {} bytes, {} rounds of {} messages",
        case.subscribers, case.in_flight, case.payload, case.rounds, case.messages
    )
}

pub(crate) fn table(case: &Case, rows: &[Row]) -> Table {
    let mut table = Table::new(if case.is_idle() { &IDLE_HEADINGS } else { &HEADINGS });
    for row in rows {
        table.row(cells(case, row));
    }
    table
}

fn cells(case: &Case, row: &Row) -> Vec<String> {
    let name = row.peer.name().to_owned();
    let Some(figures) = &row.figures else {
        return vec![name, row.note.clone().unwrap_or_default()];
    };
    let memory = number(Some(figures.memory_kib_per_connection));
    if case.is_idle() {
        let over = number(row.memory_over_socketio);
        return vec![name, memory, over, goal(case, row.peer), number(Some(figures.connects_per_second))];
    }
    let once = if figures.is_sound() {
        "yes".into()
    } else {
        format!("missed {} misplaced {} closed {}", figures.missed, figures.misplaced, figures.closed)
    };
    vec![
        name,
        number(figures.cpu_us_per_delivery),
        ratio_cell(row.over_floor),
        ratio_cell(row.over_socketio),
        goal(case, row.peer),
        number(figures.deliveries_per_second),
        number(figures.latency_p50_ms),
        number(figures.latency_p99_ms),
        memory,
        once,
        number(figures.load_cpu_us_per_delivery),
    ]
}

/// What Anywire is to reach in this case, if anything is laid down.
fn goal(case: &Case, peer: Peer) -> String {
    let (ratio_one, ratio_eight, memory_kib) = match (peer, case.transport) {
        (Peer::Anywire, Transport::Websocket) => ("≤ 1.15", "≤ 0.25", "≤ 4"),
        (Peer::Anywire, Transport::Sse) => ("≤ 1.3", "≤ 0.35", "≤ 8"),
        (Peer::Anywire, Transport::Socketio | Transport::SocketioPolling) => {
            ("≤ 0.5 × socketio", "≤ 0.2 × socketio", "≤ 0.33 × socketio")
        }
        _ => return String::new(),
    };
    match (case.is_idle(), case.in_flight) {
        (true, _) => memory_kib.into(),
        (false, 1) => ratio_one.into(),
        (false, 8) => ratio_eight.into(),
        _ => String::new(),
    }
}

/// A ratio, how sure it is, and its spread, for a cell.
fn ratio_cell(ratio: Option<Spread>) -> String {
    match ratio {
        Some(Spread { median, sure: [low, high], least, greatest }) => {
            let middle = number(Some(median));
            format!("{middle} [{low:.2}–{high:.2}] ({least:.2}–{greatest:.2})")
        }
        None => number(None),
    }
}
