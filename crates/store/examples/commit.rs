//! How fast the embedded engine commits: `cargo run --release -p anywire-store --example commit [DIRECTORY
//! [ALLOCATED AHEAD, MiB]]`.
//!
//! Two loads with 256-byte payloads: single events from 100 publishers, and batches of 100 from 8. Each
//! prints events a second, the time of one append (p50, p99, maximum), and the processor time an event cost
//! this process in everything: publishing, committing, telling the follower. After each, the directory is
//! opened again and one channel is read from its beginning.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anywire_log::{
    Batch, Channel, Engine, Event, EventName, Follower, Offset, Payload, Publication, ReadRequest,
    RetentionRules, SystemClock,
};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};
use bytes::Bytes;

const PAYLOAD_BYTES: usize = 256;
const SECONDS: u64 = 5;

/// Counts what it is told.
#[derive(Default)]
struct Counter(AtomicU64);

impl Follower for Counter {
    fn committed(&self, events: &[Arc<Event>], _through: Offset) {
        self.0.fetch_add(events.len() as u64, Ordering::Relaxed);
    }

    fn trimmed(&self, _channel: &Channel, _through: Offset) {}
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = arguments.first().map_or_else(|| PathBuf::from("target/bench/commit"), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!(
        "{:>8} {:>10} {:>12} {:>9} {:>9} {:>9} {:>9}",
        "batch", "publishers", "events/s", "p50 ms", "p99 ms", "max ms", "cpu µs"
    );
    for (batch, publishers) in [(1, 100), (100, 8), (100, 32), (2000, 4)] {
        let _absent = std::fs::remove_dir_all(&directory);
        let mut config = EmbeddedConfig::new(&directory);
        if let Some(mebibytes) = arguments.get(1).and_then(|text| text.parse::<u64>().ok()) {
            config.preallocate_bytes = mebibytes << 20;
        }
        runtime.block_on(measure(config, batch, publishers));
    }
    let _absent = std::fs::remove_dir_all(&directory);
}

async fn measure(config: EmbeddedConfig, batch: usize, publishers: usize) {
    let engine = EmbeddedEngine::open(config.clone(), RetentionRules::default(), Arc::new(SystemClock))
        .expect("it opens");
    let engine = Arc::new(engine);
    let counter = Arc::new(Counter::default());
    engine.follow(Arc::clone(&counter) as Arc<dyn Follower>);
    let (start, processor) = (Instant::now(), processor_time());
    let until = start + Duration::from_secs(SECONDS);
    let tasks: Vec<_> = (0..publishers)
        .map(|number| tokio::spawn(publish(Arc::clone(&engine), number, batch, until)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a publisher ends well"));
    }
    let (seconds, processor) = (start.elapsed().as_secs_f64(), processor_time() - processor);
    let events = counter.0.load(Ordering::Relaxed);
    engine.close().await;
    drop(engine);
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "{batch:>8} {publishers:>10} {:>12.0} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
        events as f64 / seconds,
        at(0.5),
        at(0.99),
        at(1.0),
        processor.as_secs_f64() * 1e6 / events as f64,
    );
    read_back(config).await;
}

async fn read_back(config: EmbeddedConfig) {
    let start = Instant::now();
    let engine =
        EmbeddedEngine::open(config, RetentionRules::default(), Arc::new(SystemClock)).expect("it opens");
    let (opened, start) = (start.elapsed(), Instant::now());
    let mut request = ReadRequest {
        channels: vec![Channel::new("bench_0").expect("a name")],
        after: Offset::ZERO,
        through: Offset::MAX,
        events_max: 256,
        bytes_max: 256 << 10,
    };
    let mut events = 0;
    loop {
        let batch = engine.read(request.clone()).await.expect("a read succeeds");
        if batch.events.is_empty() {
            break;
        }
        events += batch.events.len();
        request.after = batch.through;
    }
    println!(
        "{:>8} opened {} MiB in {:.0} ms, read {events} events back at {:.0} a second",
        "",
        engine.stored_bytes() >> 20,
        opened.as_secs_f64() * 1000.0,
        events as f64 / start.elapsed().as_secs_f64(),
    );
}

async fn publish(engine: Arc<EmbeddedEngine>, number: usize, batch: usize, until: Instant) -> Vec<Duration> {
    let channel = Channel::new(&format!("bench_{number}")).expect("a name");
    let name = EventName::new("tick").expect("a name");
    let payload = Bytes::from(format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2)));
    let mut times = Vec::new();
    while Instant::now() < until {
        let publication = Publication {
            channel: channel.clone(),
            name: name.clone(),
            payload: Payload::Json(payload.clone()),
        };
        let start = Instant::now();
        engine.append(Batch::new(vec![publication; batch])).await.expect("an append succeeds");
        times.push(start.elapsed());
    }
    times
}

/// Processor time this process has used, in all its threads.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let own = stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let all = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(all.sum::<u64>().max(own))
}
