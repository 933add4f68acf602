//! `fanout`: what delivering one event to one subscriber costs the server.
//!
//! All servers of a case run at the same time, each with its own subscribers, bound to the same processor;
//! one after the other is asked for a round, again and again. Whatever else the machine does then hits all of
//! them alike, and each ratio to the floor is taken within one cycle before the median is.

mod case;
mod contestant;
mod report;
mod row;

use crate::failure::Outcome;
use crate::machine::{self, Pins};
use crate::peers::{Peer, Transport};
use crate::setup::Setup;
use crate::stats::Spread;
use crate::verdict::Verdict;
use case::Case;
use contestant::Contestant;
use row::Row;

/// Deliveries in a round, unless `--messages` says otherwise: half a second to two of one processor.
const ROUND_DELIVERIES: usize = 200_000;
/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How subscribers connect: websocket, sse, longpoll, socketio, socketio-polling or all.
    #[arg(long, default_value = "websocket")]
    transport: Transports,
    /// Subscribers of one channel.
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Messages published before the first of them has reached every subscriber.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Messages a round. Default: so many that a round has 200 000 deliveries.
    #[arg(long)]
    messages: Option<usize>,
    /// Rounds of each server; the medians are reported.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Bytes of a payload, at least 12.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(12..))]
    payload: u16,
    /// The servers, in this order. Those that are not installed are listed with how to install them.
    #[arg(long, value_delimiter = ',', default_values = ["floor", "anywire", "nchan", "ws", "socketio"])]
    peers: Vec<Peer>,
    /// Also measure memory with so many connections that only wait.
    #[arg(long)]
    idle: Option<usize>,
    /// The whole matrix: 1000 subscribers with 1 and 8 in flight, 10 000 with 1, and memory with 10 000, on
    /// WebSocket and SSE (and long-polling with `--transport all`).
    #[arg(long)]
    all: bool,
    /// Do not bind servers and load to processors of their own.
    #[arg(long)]
    no_pin: bool,
    #[command(flatten)]
    setup: Setup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Transports {
    Websocket,
    Sse,
    Longpoll,
    Socketio,
    SocketioPolling,
    All,
}

/// Runs the cases asked for, prints a table for each and writes the JSON.
pub(crate) fn run(options: &Options) -> Outcome<Verdict> {
    println!("fanout — {}", machine::headline());
    let mut results = Vec::new();
    let mut sound = true;
    for case in options.cases() {
        machine::allow_connections(case.subscribers)?;
        let rows = run_case(&case, options);
        println!("\n{}", report::title(&case));
        print!("{}", report::table(&case, &rows).render());
        sound &= rows.iter().all(Row::is_sound);
        results.push(serde_json::json!({ "case": case, "rows": rows }));
    }
    println!("\n{}", report::LEGEND);
    options.setup.write_json("fanout", &serde_json::json!(results))?;
    Ok(Verdict::of(sound))
}

impl Options {
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for transport in self.transports() {
            let case = |subscribers, in_flight| self.case(transport, subscribers, in_flight);
            if self.all {
                let (few, many) = if self.setup.smoke { (50, 100) } else { (1000, 10_000) };
                cases.extend([case(few, 1), case(few, 8), case(many, 1)]);
            } else if self.setup.smoke {
                cases.extend([case(50, 1), case(50, 8)]);
            } else {
                cases.push(case(self.subscribers, self.in_flight));
            }
            let idle = self.idle.or(self.all.then_some(if self.setup.smoke { 200 } else { 10_000 }));
            cases.extend(idle.map(|idle| case(idle, 0).idle()));
        }
        cases
    }

    fn case(&self, transport: Transport, subscribers: usize, in_flight: usize) -> Case {
        let usual = (ROUND_DELIVERIES / subscribers.max(1)).clamp(20, 2000);
        let messages = self.messages.unwrap_or(if self.setup.smoke { 20 } else { usual });
        let rounds = if self.setup.smoke { 2 } else { self.rounds.max(1) };
        Case { transport, subscribers, in_flight, messages, rounds, payload: self.payload }
    }

    fn transports(&self) -> Vec<Transport> {
        match self.transport {
            Transports::Websocket if self.all => vec![Transport::Websocket, Transport::Sse],
            Transports::Websocket => vec![Transport::Websocket],
            Transports::Sse => vec![Transport::Sse],
            Transports::Longpoll => vec![Transport::Longpoll],
            Transports::Socketio => vec![Transport::Socketio],
            Transports::SocketioPolling => vec![Transport::SocketioPolling],
            Transports::All => Transport::ALL.to_vec(),
        }
    }
}

/// Either a server that takes part, or why it does not.
type Entry = (Peer, Result<Contestant, String>);

fn run_case(case: &Case, options: &Options) -> Vec<Row> {
    let pins = Pins::choose(!options.no_pin);
    let setting = options.setup.setting(case.transport, pins.server);
    let speaking = options.peers.iter().filter(|peer| peer.speaks(case.transport));
    let mut entries: Vec<Entry> = speaking
        .map(|peer| {
            (*peer, Contestant::prepare(*peer, case, &setting, pins.load).map_err(|why| why.to_string()))
        })
        .collect();
    if !case.is_idle() {
        cycle(case, &mut entries);
    }
    rows(&entries)
}

/// One round to warm up, then round after round, each server in its turn.
fn cycle(case: &Case, entries: &mut [Entry]) {
    for number in 0..=case.rounds {
        for (_, entry) in entries.iter_mut() {
            let Ok(contestant) = entry else { continue };
            let (messages, counts) =
                if number == 0 { (case.messages.div_ceil(4), false) } else { (case.messages, true) };
            if let Err(why) = contestant.round(messages, case.in_flight, counts) {
                *entry = Err(why.to_string());
            }
        }
    }
}

fn rows(entries: &[Entry]) -> Vec<Row> {
    let find =
        |wanted| entries.iter().find(|(peer, _)| *peer == wanted).and_then(|(_, entry)| entry.as_ref().ok());
    let (floor, socketio) = (find(Peer::Floor), find(Peer::Socketio));
    let memory = |contestant: &Contestant| contestant.figures().memory_kib_per_connection;
    let row = |(peer, entry): &Entry| match entry {
        Ok(contestant) => Row {
            peer: *peer,
            note: None,
            over_floor: floor.and_then(|floor| ratios(contestant, floor)),
            over_socketio: socketio.and_then(|socketio| ratios(contestant, socketio)),
            memory_over_socketio: socketio.map(|socketio| memory(contestant) / memory(socketio)),
            figures: Some(contestant.figures()),
        },
        Err(why) => Row { note: Some(why.clone()), ..Row::without_figures(*peer) },
    };
    entries.iter().map(row).collect()
}

fn ratios(contestant: &Contestant, floor: &Contestant) -> Option<Spread> {
    let pairs = contestant.cpu_us().into_iter().zip(floor.cpu_us());
    Spread::of(&pairs.map(|(own, least)| own / least).collect::<Vec<f64>>())
}
