//! More clients than the system has descriptors for, and more lines of the log than anybody reads.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use crate::process::{Process, program};

/// A server that may open so many files, with further arguments.
fn limited(open_files: u32, data: &std::path::Path, more: &[&str]) -> Process {
    let data = data.display().to_string();
    let serve = program(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {open_files}; exec \"$0\" \"$@\"")]);
    command.arg(serve.get_program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data", &data, "--set", "stop_ms=500"]).args(more);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ANYWIRE_")) {
        command.env_remove(name);
    }
    Process::spawn(command)
}

/// One connection that publishes, one request after the other.
struct Publisher(TcpStream);

impl Publisher {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        Self(stream)
    }

    fn publish(&mut self, payload_bytes: usize) -> String {
        self.post(&event(payload_bytes))
    }

    fn publish_many(&mut self, count: usize, payload_bytes: usize) -> String {
        self.post(&format!(r#"{{"events":[{}]}}"#, vec![event(payload_bytes); count].join(",")))
    }

    fn post(&mut self, body: &str) -> String {
        let head = format!(
            "POST /anywire/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0
            .write_all(head.as_bytes())
            .and_then(|()| self.0.write_all(body.as_bytes()))
            .expect("a request");
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while !(answer.ends_with(b"}") && answer.windows(4).any(|four| four == b"\r\n\r\n")) {
            let count = self.0.read(&mut piece).expect("an answer");
            assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..count]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn event(payload_bytes: usize) -> String {
    format!(r#"{{"channel":"news","data":"{}"}}"#, "x".repeat(payload_bytes))
}

fn follow(address: SocketAddr) -> TcpStream {
    follow_channel(address, "quiet")
}

fn follow_channel(address: SocketAddr, channel: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
    let request = format!(
        "GET /anywire/sse?channels={channel} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    stream
}

#[test]
fn publishing_never_fails_however_many_clients_take_descriptors() {
    let data = tempfile::tempdir().expect("a directory");
    let server = limited(256, data.path(), &[]);
    let mut publisher = Publisher::connect(server.address);
    let first = publisher.publish(10);
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let mut clients = Vec::new();
    for _ in 0..400 {
        clients.push(follow(server.address));
    }
    let mut served = 0;
    for client in &mut clients {
        let mut answer = [0; 12];
        // Those over the limit may be cut off before they are answered.
        served += u32::from(client.read_exact(&mut answer).is_ok() && answer.ends_with(b"200"));
    }
    assert!((100..=256).contains(&served), "{served} of 400 are served");
    // More than a segment holds: the log has to begin another.
    for number in 0..70 {
        let answer = publisher.publish(1_000_000);
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
    }
    let segments = std::fs::read_dir(data.path().join("log")).expect("the log").flatten();
    let segments = segments.filter(|one| one.path().extension().is_some_and(|end| end == "log")).count();
    assert!(segments >= 2, "{segments}");
    drop(clients);
}

#[test]
fn refused_connections_write_no_more_than_a_line_a_second_and_their_count() {
    let data = tempfile::tempdir().expect("a directory");
    let settings = ["limits.connections_max=1", "engine=memory"];
    let mut server = Process::serve("127.0.0.1:0", data.path(), &settings);
    let mut first = follow(server.address);
    first.read_exact(&mut [0; 12]).expect("it is served");
    for _ in 0..2_000 {
        drop(TcpStream::connect(server.address).expect("a connection"));
    }
    // They are accepted in turn: all are refused when this one has its answer, or its end.
    let _refused = follow(server.address).read(&mut [0; 64]);
    let mut stderr = server.take_stderr();
    server.terminate();
    assert_eq!(server.ended().0, Some(0));
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("its words");
    let refused: Vec<_> = said.lines().filter(|line| line.contains("a connection was refused")).collect();
    let left_out: u64 = refused
        .iter()
        .filter_map(|line| line.split_once("left_out=")?.1.split(' ').next()?.parse::<u64>().ok())
        .sum();
    let lines = refused.iter().filter(|line| !line.contains("like=")).count() as u64;
    assert!(lines + left_out >= 1_999, "{lines} lines and {left_out} left out: {said}");
    assert!(said.len() < 20_000, "{} bytes", said.len());
}

/// What a process has allocated, in bytes.
fn allocated(server: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
}

#[test]
fn the_newest_events_take_the_memory_that_they_may_and_no_more() {
    const TAIL: u64 = 32 << 20;
    let grown = |tail_bytes: u64| {
        let data = tempfile::tempdir().expect("a directory");
        let server = Process::serve("127.0.0.1:0", data.path(), &[&format!("tail.bytes_max={tail_bytes}")]);
        let before = allocated(&server);
        let mut reader = follow_channel(server.address, "news");
        let mut publisher = Publisher::connect(server.address);
        for _ in 0..100 {
            let answer = publisher.publish_many(1_000, 200);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            // So that what the transport made of the events is there.
            let _some = reader.read(&mut [0; 1 << 16]);
        }
        allocated(&server).saturating_sub(before)
    };
    // 100 000 events of 200 bytes with what SSE makes of them would take 100 MiB; without a tail something
    // grows too. What an allocator keeps for a busy moment comes on top, now and then.
    let mut seen = Vec::new();
    let fits = (0..3).any(|_| {
        let (with, without) = (grown(TAIL), grown(0));
        seen.push((with, without));
        with < without + TAIL * 3 / 2
    });
    assert!(fits, "{seen:?} bytes with a tail of {TAIL}, and without");
}
