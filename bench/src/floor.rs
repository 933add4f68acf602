//! The floor: the least a server can do. On each publication it writes ready bytes, one non-blocking `write`
//! a subscriber.
//!
//! No parsing beyond the first line, no log, no cursor, no epoll: what is left is the system call and the
//! network stack. A publication arrives on one plain TCP connection as four bytes of length and the bytes to
//! write, so publishing costs one or two reads; nothing is answered. With long-polling a subscriber's next
//! request is read (and not looked at) before each write, since a server that never reads would stop its
//! clients.

use crate::failure::{Context, Outcome};
use crate::peers::Transport;
use crate::wire::websocket;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a publisher's connection begins with.
pub(crate) const PUBLISH_LINE: &[u8] = b"PUBLISH\r\n\r\n";
const HEAD_BYTES_MAX: usize = 4096;

/// A server that only writes ready bytes: the measure for all others.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// What its subscribers speak.
    #[arg(long, default_value = "websocket")]
    transport: Transport,
}

type Subscribers = Arc<Mutex<Vec<TcpStream>>>;

/// Serves until it is killed.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    crate::machine::allow_connections(0)?;
    let listener =
        TcpListener::bind(&options.listen).context(format_args!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    println!("listening on http://{address}");
    let subscribers = Subscribers::default();
    loop {
        let (stream, _) = listener.accept().context("cannot accept")?;
        // One connection that breaks during its handshake is its own problem.
        let _ = welcome(stream, options.transport, &subscribers);
    }
}

fn welcome(mut stream: TcpStream, transport: Transport, subscribers: &Subscribers) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    if read_head(&mut stream)?.starts_with(PUBLISH_LINE) {
        let subscribers = Arc::clone(subscribers);
        std::thread::spawn(move || publish(stream, transport, &subscribers));
        return Ok(());
    }
    stream.write_all(greeting(transport).as_bytes())?;
    stream.set_nonblocking(true)?;
    subscribers.lock().expect("no holder panics").push(stream);
    Ok(())
}

/// Reads up to the empty line that ends the first request.
fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES_MAX];
    // Exactly so many first: a publisher's first publication may follow its line at once and is not for this
    // function.
    let mut filled = PUBLISH_LINE.len();
    stream.read_exact(&mut head[..filled])?;
    while !head[..filled].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[filled..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    head.truncate(filled);
    Ok(head)
}

fn greeting(transport: Transport) -> String {
    match transport {
        Transport::Websocket | Transport::Socketio => format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            websocket::ACCEPT
        ),
        Transport::Sse => {
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n".into()
        }
        // The poll stays pending until something is published.
        Transport::Longpoll | Transport::SocketioPolling => String::new(),
    }
}

fn publish(mut publisher: TcpStream, transport: Transport, subscribers: &Subscribers) {
    let mut length = [0; 4];
    let mut bytes = Vec::new();
    while publisher.read_exact(&mut length).is_ok() {
        bytes.resize(u32::from_be_bytes(length) as usize, 0);
        if publisher.read_exact(&mut bytes).is_err() {
            return;
        }
        let mut subscribers = subscribers.lock().expect("no holder panics");
        subscribers.retain(|stream| deliver(stream, transport, &bytes));
    }
}

/// False: the subscriber is gone or did not take the whole write, and is dropped; the load generator will
/// miss it.
fn deliver(mut stream: &TcpStream, transport: Transport, bytes: &[u8]) -> bool {
    if transport.is_polled() {
        let _ = stream.read(&mut [0; HEAD_BYTES_MAX]);
    }
    stream.write(bytes).is_ok_and(|written| written == bytes.len())
}

/// A publication as the floor takes it.
pub(crate) fn publication(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a ready message is small");
    [&length.to_be_bytes(), bytes].concat()
}

/// The bytes Anywire would send for this message, so that both write the same amount.
pub(crate) fn ready_bytes(transport: Transport, number: u64, payload: &str) -> Vec<u8> {
    let offset = 100_000 + number;
    let members = format!(
        r#""channel":"bench","event":"m","offset":{offset},"time":"2026-01-23T10:00:03.000Z","data":"{payload}"}}"#
    );
    match transport {
        Transport::Websocket => websocket::server_frame(format!(r#"{{"op":"event",{members}"#).as_bytes()),
        Transport::Sse => format!("id: 1f0c93ab-{offset}\ndata: {{{members}\n\n").into_bytes(),
        Transport::Longpoll => poll_answer(offset, &members),
        Transport::Socketio => websocket::server_frame(socketio_packet(payload).as_bytes()),
        Transport::SocketioPolling => {
            let packet = socketio_packet(payload);
            let length = packet.len();
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nCache-Control: no-store\r\nContent-Length: {length}\r\n\r\n{packet}").into_bytes()
        }
    }
}

/// Socket.IO's event on the default namespace.
fn socketio_packet(payload: &str) -> String {
    format!(r#"42["m","{payload}"]"#)
}

fn poll_answer(offset: u64, members: &str) -> Vec<u8> {
    let cursor = format!("1f0c93ab-{offset}");
    let body = format!(r#"{{"cursor":"{cursor}","events":[{{{members}],"gap":null}}"#);
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAnywire-Cursor: {cursor}\r\nETag: \"{cursor}\"\r\n\
         Cache-Control: public, max-age=1\r\nVary: Origin, Authorization\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::Answer;
    use crate::wire::mark;

    #[test]
    fn ready_bytes_are_whole_messages_with_their_mark() {
        for transport in Transport::ALL {
            let mut found = Vec::new();
            mark::scan(&ready_bytes(transport, 7, &mark::payload(7, 128)), |number| found.push(number));
            assert_eq!(found, [7]);
        }
    }

    #[test]
    fn a_ready_answer_to_a_poll_is_http_and_json() {
        let bytes = ready_bytes(Transport::Longpoll, 7, "x");
        let (answer, used) = Answer::parse(&bytes).expect("it is HTTP").expect("it is whole");
        assert_eq!((used, answer.head.field("anywire-cursor")), (bytes.len(), Some("1f0c93ab-100007")));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
        assert_eq!(body["events"][0]["data"], "x");
    }
}
