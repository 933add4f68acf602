//! Publishers over keep-alive HTTP: each sends a request, waits for the answer, sends the next.

use crate::failure::{Context, Outcome};
use crate::machine;
use crate::stats::Histogram;
use crate::wire::http::{self, Answer};
use crate::wire::mark;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that does not answer a publication by then is stuck.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// What the publishers do.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) address: String,
    pub(crate) connections: usize,
    pub(crate) body: Vec<u8>,
}

/// What the publishers and the one who measures tell each other.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    measuring: AtomicBool,
    stopped: AtomicBool,
    refused: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn measure(&self, on: bool) {
        self.measuring.store(on, Ordering::Release);
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    pub(crate) fn first_failure(&self) -> Option<String> {
        self.first_failure.lock().expect("no holder panics").clone()
    }

    fn fail(&self, why: String) {
        self.refused.fetch_add(1, Ordering::AcqRel);
        self.first_failure.lock().expect("no holder panics").get_or_insert(why);
    }
}

/// The body of a request: one event, or a batch.
pub(crate) fn events_body(batch: usize, payload_bytes: usize) -> Vec<u8> {
    let event = |number| {
        let payload = mark::payload(number, payload_bytes);
        format!(r#"{{"channel":"bench","event":"m","data":"{payload}"}}"#)
    };
    match batch {
        1 => event(1).into_bytes(),
        _ => format!(r#"{{"events":[{}]}}"#, (1..=batch as u64).map(event).collect::<Vec<_>>().join(","))
            .into_bytes(),
    }
}

/// Starts the publishers on a thread of their own; it returns how long their acknowledgements took while
/// measuring.
pub(crate) fn start(
    work: Work,
    counters: Arc<Counters>,
    processor: Option<usize>,
) -> Outcome<JoinHandle<Histogram>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the publishers' runtime")?;
    Ok(std::thread::spawn(move || {
        if let Some(processor) = processor {
            // Not bound is not wrong, only noisier.
            let _ = machine::pin(processor);
        }
        runtime.block_on(run_all(work, counters))
    }))
}

async fn run_all(work: Work, counters: Arc<Counters>) -> Histogram {
    let fields = "Content-Type: application/json\r\n";
    let request = Arc::new(http::post(&work.address, "/anywire/publish", fields, &work.body));
    let publisher = |_| {
        let (address, request, counters) =
            (work.address.clone(), Arc::clone(&request), Arc::clone(&counters));
        tokio::spawn(async move {
            let mut acknowledged = Histogram::default();
            if let Err(error) = publish(&address, &request, &counters, &mut acknowledged).await {
                counters.fail(error.to_string());
            }
            acknowledged
        })
    };
    let tasks: Vec<_> = (0..work.connections).map(publisher).collect();
    let mut all = Histogram::default();
    for task in tasks {
        all.merge(&task.await.unwrap_or_default());
    }
    all
}

async fn publish(
    address: &str,
    request: &[u8],
    counters: &Counters,
    acknowledged: &mut Histogram,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(4096);
    while !counters.stopped.load(Ordering::Acquire) {
        let sent = Instant::now();
        stream.write_all(request).await?;
        let answer = tokio::time::timeout(ANSWER_WAIT, read_answer(&mut stream, &mut received)).await??;
        if answer.head.status != 200 {
            counters.fail(format!("{}: {}", answer.head.status, String::from_utf8_lossy(&answer.body)));
            tokio::time::sleep(Duration::from_millis(10)).await;
        } else if counters.measuring.load(Ordering::Acquire) {
            acknowledged.record(sent.elapsed());
        }
    }
    Ok(())
}

async fn read_answer(stream: &mut TcpStream, received: &mut Vec<u8>) -> std::io::Result<Answer> {
    loop {
        let parsed = Answer::parse(received).map_err(|_| Error::from(ErrorKind::InvalidData))?;
        if let Some((answer, length)) = parsed {
            received.drain(..length);
            return Ok(answer);
        }
        received.reserve(4096);
        if stream.read_buf(received).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Fetches a page, waiting for it.
pub(crate) fn get(address: &str, target: &str) -> std::io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&http::get(address, target, "")).await?;
        let answer = read_answer(&mut stream, &mut Vec::new()).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_with_all_events() {
        let single: serde_json::Value = serde_json::from_slice(&events_body(1, 20)).expect("it is JSON");
        assert_eq!(single["data"].as_str().map(str::len), Some(20));
        let batch: serde_json::Value = serde_json::from_slice(&events_body(3, 20)).expect("it is JSON");
        assert_eq!(batch["events"].as_array().map(Vec::len), Some(3));
    }
}
