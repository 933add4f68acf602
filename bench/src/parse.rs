//! `parse`: what a publication costs from the bytes that were received to the batch that is appended, over
//! each transport.
//!
//! Nothing is sent: the bytes of a request, a frame and a packet lie ready in memory. Authorization, limits
//! of rate and the log are not part of it.

use std::hint::black_box;

use anywire_log::{Batch, Channel, EventName, Payload, Publication};
use anywire_protocol::engineio::{self, Packet};
use anywire_protocol::head::{self, Head};
use anywire_protocol::native::{Command, FrameLimits, parse_frame};
use anywire_protocol::publish::{PublishLimits, parse_publish};
use anywire_protocol::socketio::{Assembler, AssemblerLimits, Incoming, publication_payload};
use anywire_protocol::websocket::{Limits, Opcode, Received, Receiver, frame_header};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::machine;
use crate::setup::Setup;
use crate::table::{Table, number};
use crate::verdict::Verdict;

const SIZES: [usize; 3] = [128, 4 << 10, 64 << 10];
const LIMITS: PublishLimits = PublishLimits { message_bytes_max: 1 << 20, batch_events_max: 10_000 };
const FRAME_LIMITS: FrameLimits = FrameLimits { publish: LIMITS, channels_max: 128 };
const WEBSOCKET_LIMITS: Limits = Limits { message_bytes_max: 8 << 20 };
const SOCKETIO_LIMITS: AssemblerLimits =
    AssemblerLimits { bytes_max: 1 << 20, attachments: true, publish: LIMITS };
/// How many bytes are parsed in one turn of a transport.
const TURN_BYTES: usize = 1 << 20;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Turns of each transport; the quickest is shown.
    #[arg(long, default_value_t = 101)]
    rounds: usize,
    #[command(flatten)]
    setup: Setup,
}

/// A way by which a publication comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A request, head and body: what the others are compared with.
    Http,
    /// The body alone.
    Body,
    WebSocket,
    Publish,
    Emit,
}

const WAYS: [(Way, &str); 5] = [
    (Way::Http, "http"),
    (Way::Body, "http body"),
    (Way::WebSocket, "websocket"),
    (Way::Publish, "socketio publish"),
    (Way::Emit, "socketio emit"),
];

/// Runs the cases, prints the table and writes the JSON.
pub(crate) fn run(options: &Options) -> Outcome<Verdict> {
    println!("parse — {}", machine::headline());
    let rounds = if options.setup.smoke { 5 } else { options.rounds.max(1) };
    let mut table = Table::new(&[
        "data",
        "bytes",
        "HTTP ns",
        "body alone",
        "WebSocket",
        "×",
        "Socket.IO publish",
        "×",
        "emit",
        "×",
    ]);
    let (mut results, mut sound) = (Vec::new(), true);
    for (shape, data) in [("text", text as fn(usize) -> String), ("objects", objects)] {
        for size in SIZES {
            let data = data(size);
            let mut received = WAYS.map(|(way, _)| way.received(&data));
            let expected = expected(&data);
            sound &= WAYS
                .iter()
                .zip(&mut received)
                .all(|((way, _), bytes)| way.parse(bytes) == Some(expected.clone()));
            let figures = measure(&mut received, rounds, size);
            table.row(cells(shape, size, figures));
            results.push(to_json(shape, size, figures));
        }
    }
    print!("\n{}", table.render());
    println!(
        "\nns: processor time of the quickest of {rounds} turns; the transports alternate · ×: over HTTP"
    );
    options.setup.write_json("parse", &json!(results))?;
    Ok(Verdict::of(sound))
}

/// A text of so many bytes.
fn text(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

/// A list of small objects, about so many bytes.
fn objects(bytes: usize) -> String {
    let one = r#"{"id":1042,"name":"sensor \"7\"","on":true,"load":[0.25,-3e2]}"#;
    let list = vec![one; (bytes / (one.len() + 1)).max(1)].join(",");
    format!("[{list}]")
}

fn expected(data: &str) -> Batch {
    Batch::one(Publication {
        channel: Channel::new("progress_42").expect("a name"),
        name: EventName::new("progress_update").expect("a name"),
        payload: Payload::Json(data.to_owned().into()),
    })
}

impl Way {
    /// The bytes as the transport hands them over. The mask of a client's frame is zero, so that it can be
    /// received again and again.
    fn received(self, data: &str) -> Vec<u8> {
        let members = format!(r#""channel":"progress_42","event":"progress_update","data":{data}"#);
        match self {
            Self::Http => request(&format!("{{{members}}}")).into_bytes(),
            Self::Body => format!("{{{members}}}").into_bytes(),
            Self::WebSocket => masked(&format!(r#"{{"op":"publish","id":1042,{members}}}"#)),
            Self::Publish => masked(&format!(r#"421042["publish",{{{members}}}]"#)),
            Self::Emit => masked(&format!(r#"421042["progress_update",{data}]"#)),
        }
    }

    fn parse(self, bytes: &mut [u8]) -> Option<Batch> {
        match self {
            Self::Http => return http(bytes),
            Self::Body => return parse_publish(bytes, None, &LIMITS).ok(),
            Self::WebSocket | Self::Publish | Self::Emit => {}
        }
        let mut batch = None;
        let mut take = |received: Received<'_>| {
            let Received::Text(text) = received else { return };
            batch = if self == Self::WebSocket { native(text) } else { socketio(text) };
        };
        Receiver::new().receive(bytes, &WEBSOCKET_LIMITS, &mut take).ok()?;
        batch
    }
}

/// The least that a client's request has.
fn request(body: &str) -> String {
    let head = "POST /anywire/publish HTTP/1.1\r\nHost: 127.0.0.1:7400\r\nContent-Type: application/json";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn http(bytes: &[u8]) -> Option<Batch> {
    let Head::Complete(request) = head::parse(bytes) else { return None };
    let body = bytes.get(request.bytes..)?.get(..request.body_bytes?)?;
    parse_publish(body, request.header("idempotency-key"), &LIMITS).ok()
}

fn masked(text: &str) -> Vec<u8> {
    let mut header = frame_header(Opcode::Text, text.len()).as_slice().to_vec();
    header[1] |= 0x80;
    [header.as_slice(), &[0; 4], text.as_bytes()].concat()
}

fn native(text: &str) -> Option<Batch> {
    match parse_frame(text, &FRAME_LIMITS).ok()?.command {
        Command::Publish(batch) => Some(batch),
        _ => None,
    }
}

fn socketio(text: &str) -> Option<Batch> {
    let Ok(Packet::Message(text)) = engineio::packet(text) else { return None };
    match Assembler::default().text(text, &SOCKETIO_LIMITS).ok()?? {
        Incoming::Publish { batch, .. } => batch.ok(),
        Incoming::Event { name, args, .. } => Some(Batch::one(Publication {
            channel: Channel::new("progress_42").ok()?,
            name: EventName::new(&name).ok()?,
            payload: publication_payload(args),
        })),
        _ => None,
    }
}

/// Nanoseconds a publication, for each way.
fn measure(received: &mut [Vec<u8>; 5], rounds: usize, size: usize) -> [f64; 5] {
    let times = (TURN_BYTES / (size + 512)).max(1);
    let mut least = [f64::INFINITY; 5];
    for _ in 0..rounds {
        for (at, (way, _)) in WAYS.iter().enumerate() {
            let start = processor_ns();
            for _ in 0..times {
                black_box(way.parse(black_box(&mut received[at])));
            }
            least[at] = least[at].min((processor_ns() - start) as f64 / times as f64);
        }
    }
    least
}

/// How long this thread has had a processor.
fn processor_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn cells(shape: &str, size: usize, figures: [f64; 5]) -> Vec<String> {
    let [http, body, others @ ..] = figures;
    let mut cells = vec![shape.to_owned(), size.to_string(), number(Some(http)), number(Some(body))];
    for figure in others {
        cells.extend([number(Some(figure)), number(Some(figure / http))]);
    }
    cells
}

fn to_json(shape: &str, size: usize, figures: [f64; 5]) -> Value {
    let ns: serde_json::Map<_, _> =
        WAYS.iter().zip(figures).map(|((_, name), ns)| ((*name).to_owned(), json!(ns))).collect();
    json!({ "data": shape, "bytes": size, "ns": ns })
}
