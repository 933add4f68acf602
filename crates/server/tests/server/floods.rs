//! Floods of HTTP/2: the connection ends, and others are not disturbed.

use hyper::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    support::{PATIENCE, request},
    tls::{Http, Secure, secure},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET https://localhost/` and the same as a `POST` (RFC 7541, appendix A).
const GET: &[u8] = b"\x82\x84\x87\x01\x09localhost";
const POST: &[u8] = b"\x83\x84\x87\x01\x09localhost";
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A piece of a flood, by its number.
type Piece<'a> = &'a dyn Fn(u32) -> Vec<u8>;

/// Sends what begins a flood, then its pieces until the server ends the connection.
async fn flood(secure: &Secure, first: &[u8], piece: Piece<'_>) {
    let (mut reading, mut writing) = tokio::io::split(secure.connect(b"h2").await);
    let begun = [PREFACE, &frame(4, 0, 0, &[]), first].concat();
    writing.write_all(&begun).await.expect("it leaves");
    let ended = tokio::spawn(async move {
        let mut bytes = Vec::new();
        let _how = reading.read_to_end(&mut bytes).await;
    });
    let sending = async {
        let mut number = 0;
        while !ended.is_finished() {
            let pieces: Vec<u8> = (number..number + 500).flat_map(piece).collect();
            number += 500;
            if writing.write_all(&pieces).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.expect("the server ends it");
    tokio::time::timeout(PATIENCE, ended).await.expect("the end comes").expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_ends_its_connection_and_disturbs_no_other() {
    let secure = secure(&[]).await;
    let mut other = Http::open(&secure, Version::HTTP_2).await;
    let ping = |_| frame(6, 0, 0, &[7; 8]);
    let settings = |_| frame(4, 0, 0, &[]);
    let priority = |_| frame(2, 0, 1, &[0, 0, 0, 0, 1]);
    let window = |_| frame(8, 0, 0, &[0, 0, 0, 1]);
    let unknown = |_| frame(99, 0, 0, &[]);
    let reset = |number: u32| {
        let stream = 2 * number + 1;
        let begun = frame(1, END_HEADERS | END_STREAM, stream, GET);
        [begun, frame(3, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let empty = |_| frame(0, 0, 1, &[]);
    let more = |_| frame(9, 0, 1, &[0]);
    let begun = frame(1, END_HEADERS, 1, POST);
    let floods: [(&[u8], Piece<'_>); 8] = [
        (b"", &ping),
        (b"", &settings),
        (b"", &priority),
        (b"", &window),
        (b"", &unknown),
        (b"", &reset),
        (&begun, &empty),
        (&frame(1, 0, 1, GET), &more),
    ];
    for (first, piece) in floods {
        flood(&secure, first, piece).await;
        let live = request("GET", "https://localhost/api/health/live", &[], "");
        assert_eq!(other.send(live).await.status(), 200);
    }
}
