//! From messages to the log: what waits is decoded and appended together, so that many messages share one
//! sync.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use anywire_log::{Batch, Publication};
use tokio::sync::mpsc;

use crate::{
    emission::Refused,
    listen::{Received, Source, listen},
    node, python,
    shared::Shared,
};

/// Messages that wait for the log at most; their bytes are bounded beside this.
const WAITING_MAX: usize = 1024;
/// Messages that are taken together.
const TAKEN_MAX: usize = 256;
/// Events that are appended together.
const BATCH_EVENTS_MAX: usize = 1000;
/// Refusals are logged at most this often; the counter has all of them.
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);

/// Listens and appends until the server stops.
pub(crate) async fn run(emitters: Arc<Shared>) {
    let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
    let listener = {
        let (emitters, runtime) = (Arc::clone(&emitters), tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || listen(&emitters, &sender, &runtime))
    };
    let mut complaints = Complaints::default();
    let mut taken = Vec::new();
    // Ends when the listener does, and everything it read has been dealt with.
    while receiver.recv_many(&mut taken, TAKEN_MAX).await > 0 {
        let publications = decode(&emitters, &taken, &mut complaints);
        if !append(&emitters, publications).await {
            break;
        }
        taken.clear();
    }
    drop((receiver, taken));
    if listener.await.is_err() {
        tracing::error!("the listener to Redis ended by a bug");
    }
}

fn decode(emitters: &Shared, taken: &[Received], complaints: &mut Complaints) -> Vec<Publication> {
    let mut publications = Vec::new();
    for message in taken {
        match publications_of(emitters, message) {
            Ok(new) => publications.extend(new),
            Err(refused) => {
                emitters.metrics.refused.fetch_add(1, Relaxed);
                complaints.record(message.source, &refused);
            }
        }
    }
    publications
}

fn publications_of(emitters: &Shared, message: &Received) -> Result<Vec<Publication>, Refused> {
    let (bytes, max) = (message.bytes.len(), emitters.mapping.message_bytes_max());
    if bytes > max {
        return Err(Refused::TooLarge { bytes, max });
    }
    let emission = match message.source {
        Source::Node => node::read(&message.bytes)?,
        Source::Python => python::read(&message.bytes)?,
    };
    emitters.mapping.publications(&emission)
}

/// Appends, and tries again while the log is too busy or has no room. Answers whether to go on.
async fn append(emitters: &Shared, mut publications: Vec<Publication>) -> bool {
    while !publications.is_empty() {
        let rest = publications.split_off(publications.len().min(BATCH_EVENTS_MAX));
        let batch = Batch::new(std::mem::replace(&mut publications, rest));
        if !append_one(emitters, batch).await {
            return false;
        }
    }
    true
}

async fn append_one(emitters: &Shared, batch: Batch) -> bool {
    let Shared { context, metrics, .. } = emitters;
    let appended = context.log.append_until_stopped(batch, context.shutdown.cancelled()).await;
    // Of a batch without a key and an expectation the log says no only at the end, and logs it.
    appended.is_ok_and(|appended| {
        metrics.published.fetch_add(u64::from(appended.count), Relaxed);
        true
    })
}

/// Says why messages were refused, without filling the log.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    fn record(&mut self, source: Source, refused: &Refused) {
        if self.last.is_some_and(|last| last.elapsed() < COMPLAIN_EVERY) {
            self.unsaid += 1;
            return;
        }
        let more = std::mem::take(&mut self.unsaid);
        self.last = Some(Instant::now());
        tracing::warn!(?source, more, "a message of an emitter was refused: {refused}");
    }
}
