//! How many lines of a kind there may be: clients and damage can cause any number.
//!
//! A kind is the place in the program that writes the line. Most may write one line a second; those whose
//! lines name a thing of the server's own (a job, a segment) may write more at once, since each line is about
//! another. What is left out is counted, and the next line of the kind has the count. Lines of the levels
//! `debug` and `trace` are not limited: who turns them on wants all.
//!
//! Cost: a line that is left out takes one lock. Memory: a kind is as large as its message, and there are as
//! many as there are places in the program.

use std::{collections::HashMap, fmt, sync::Arc, time::Instant};

use parking_lot::Mutex;
use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use crate::logging::line;

/// The target of lines that tell what was left out; they are not limited.
const REPORTS: &str = "anywire::left_out";
/// A kind that has been silent for so long is told of by a line of its own.
const SILENT_MS: u64 = 2_000;
/// How much of a message names its kind.
const MESSAGE_CHARS_MAX: usize = 120;

/// Fields that name a thing of the server's own. A line with one of them may come for many things at once.
const OWN_THINGS: [&str; 9] =
    ["session_id", "segment", "path", "place", "first", "consumer", "topic", "name", "rule"];

/// How many lines a kind may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    at_once: u64,
    every_ms: u64,
}

const ONE_A_SECOND: Quota = Quota { at_once: 1, every_ms: 1_000 };
const ABOUT_OWN_THINGS: Quota = Quota { at_once: 100, every_ms: 100 };

impl Quota {
    fn of(metadata: &Metadata<'_>) -> Self {
        let about_own = metadata.fields().iter().any(|field| OWN_THINGS.contains(&field.name()));
        if about_own { ABOUT_OWN_THINGS } else { ONE_A_SECOND }
    }
}

/// One kind of line.
struct Kind {
    level: Level,
    /// When all its lines would be there again, in milliseconds since the start.
    full_at_ms: u64,
    left_out: u64,
    left_out_at_ms: u64,
    /// What it says, as the first one did that was left out.
    message: String,
}

impl Kind {
    /// Whether one more line may be written now.
    fn take(&mut self, quota: Quota, now_ms: u64) -> bool {
        let full_at_ms = self.full_at_ms.max(now_ms) + quota.every_ms;
        let is_allowed = full_at_ms - now_ms <= quota.at_once * quota.every_ms;
        if is_allowed {
            self.full_at_ms = full_at_ms;
        }
        is_allowed
    }
}

/// What was written and what was left out of each kind.
pub(super) struct Throttle {
    /// The time in milliseconds, from any beginning.
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

impl Default for Throttle {
    fn default() -> Self {
        let started = Instant::now();
        Self::by(move || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl Throttle {
    fn by(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), kinds: Mutex::default() }
    }

    fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Whether a line may be written at a time; if so, the count of those before it goes with it.
    fn allows(&self, event: &Event<'_>, now_ms: u64) -> bool {
        let metadata = event.metadata();
        let (level, key) = (*metadata.level(), metadata.callsite());
        if level > Level::INFO || metadata.target() == REPORTS {
            return true;
        }
        let mut kinds = self.kinds.lock();
        let kind = kinds.entry(key).or_insert_with(|| Kind {
            level,
            full_at_ms: now_ms,
            left_out: 0,
            left_out_at_ms: now_ms,
            message: String::new(),
        });
        if kind.take(Quota::of(metadata), now_ms) {
            line::after(std::mem::take(&mut kind.left_out));
            return true;
        }
        if kind.left_out == 0 {
            kind.message = message_of(event);
        }
        kind.left_out += 1;
        kind.left_out_at_ms = now_ms;
        false
    }

    /// Tells of the kinds that have fallen silent.
    pub(super) fn report(&self) {
        self.report_silent_since(self.now_ms().saturating_sub(SILENT_MS));
    }

    /// Tells of everything that was left out.
    pub(super) fn report_all(&self) {
        self.report_silent_since(u64::MAX);
    }

    fn report_silent_since(&self, since_ms: u64) {
        let mut kinds = self.kinds.lock();
        let silent = kinds.values_mut().filter(|kind| kind.left_out > 0 && kind.left_out_at_ms <= since_ms);
        let told: Vec<_> = silent
            .map(|kind| (kind.level, std::mem::take(&mut kind.left_out), std::mem::take(&mut kind.message)))
            .collect();
        drop(kinds);
        for (level, left_out, like) in told {
            tell(level, left_out, &like);
        }
    }
}

fn tell(level: Level, left_out: u64, like: &str) {
    match level {
        Level::ERROR => tracing::error!(target: REPORTS, left_out, like, "more lines of one kind"),
        Level::WARN => tracing::warn!(target: REPORTS, left_out, like, "more lines of one kind"),
        _ => tracing::info!(target: REPORTS, left_out, like, "more lines of one kind"),
    }
}

/// Keeps lines back before anything formats them.
pub(super) struct Limit(pub(super) Arc<Throttle>);

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        self.0.allows(event, self.0.now_ms())
    }
}

fn message_of(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}").chars().take(MESSAGE_CHARS_MAX).collect();
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the lines at these times are written.
    fn written(quota: Quota, times_ms: impl IntoIterator<Item = u64>) -> usize {
        let mut kind = Kind {
            level: Level::WARN,
            full_at_ms: 0,
            left_out: 0,
            left_out_at_ms: 0,
            message: String::new(),
        };
        times_ms.into_iter().filter(|now_ms| kind.take(quota, *now_ms)).count()
    }

    #[test]
    fn a_kind_has_one_line_a_second_however_many_there_are() {
        assert_eq!(written(ONE_A_SECOND, (0..5_000).step_by(1)), 5);
        assert_eq!(written(ONE_A_SECOND, [0, 999, 1_000, 1_001, 60_000]), 3);
    }

    #[test]
    fn lines_about_things_of_the_servers_own_may_come_at_once() {
        assert_eq!(written(ABOUT_OWN_THINGS, [7; 500]), 100);
        assert_eq!(written(ABOUT_OWN_THINGS, (0..10_000).step_by(1)), 199);
    }

    #[test]
    fn what_is_left_out_is_counted_and_told() {
        use std::{io, sync::Mutex as StdMutex};
        use tracing_subscriber::layer::SubscriberExt as _;

        #[derive(Clone, Default)]
        struct Out(Arc<StdMutex<Vec<u8>>>);
        impl io::Write for Out {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("no panic").write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let out = Out::default();
        let to = out.clone();
        let throttle = Arc::new(Throttle::by(|| 0));
        let text = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .fmt_fields(crate::logging::escape::Escaped)
            .with_writer(line::Lines::text(move || to.clone()));
        let subscriber = tracing_subscriber::registry().with(Limit(Arc::clone(&throttle))).with(text);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..1_000 {
                tracing::warn!(address = %format!("10.0.0.{number}\nERROR forged"), "a connection was refused");
            }
            throttle.report_all();
            throttle.report_all();
        });
        let text = String::from_utf8(out.0.lock().expect("no panic").clone()).expect("text");
        let lines: Vec<_> = text.lines().collect();
        let target = module_path!();
        assert_eq!(
            lines,
            [
                format!(" WARN {target}: a connection was refused address=10.0.0.0\\nERROR forged").as_str(),
                " WARN anywire::left_out: more lines of one kind left_out=999 like=\"a connection was refused\"",
            ],
            "{text}"
        );
    }
}
