//! What a channel costs that holds no event in memory: a log may have very many of them.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use anywire_log::{Batch, Channel, Engine, EventName, Payload, Publication, RetentionRules, SystemClock};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};

/// Counts what is allocated, as allocators give it: by sixteens.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does what is asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size().next_multiple_of(16), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size().next_multiple_of(16), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CHANNELS: usize = 200_000;
const BATCH: usize = 1000;
/// A name such as `prices:000123`, and one event on the disk.
const BYTES_MAX: usize = 250;

fn open(directory: &Path) -> EmbeddedEngine {
    let config = EmbeddedConfig::new(directory);
    EmbeddedEngine::open(config, RetentionRules::default(), Arc::new(SystemClock)).expect("a log")
}

async fn publish(engine: &EmbeddedEngine) {
    let name = EventName::new("x").expect("a name");
    for first in (0..CHANNELS).step_by(BATCH) {
        let publication = |number| Publication {
            channel: Channel::new(&format!("prices:{number:06}")).expect("a name"),
            name: name.clone(),
            payload: Payload::null(),
        };
        let batch = Batch::new((first..first + BATCH).map(publication).collect());
        engine.append(batch).await.expect("an append");
    }
}

fn check(what: &str, before: usize) {
    let each = ALLOCATED.load(Relaxed).saturating_sub(before) / CHANNELS;
    println!("{what}: {each} bytes a channel");
    assert!(each <= BYTES_MAX, "{what}: a channel takes {each} bytes, the most is {BYTES_MAX}");
}

#[tokio::test]
async fn a_channel_whose_events_are_on_the_disk_costs_little_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path());
    let before = ALLOCATED.load(Relaxed);
    publish(&engine).await;
    check("published", before);
    engine.close().await;
    drop(engine);
    let before = ALLOCATED.load(Relaxed);
    let engine = open(directory.path());
    check("opened again", before);
    engine.close().await;
}
