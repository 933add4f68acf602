//! The log of the process: where lines go, how they look, and how many there may be.

mod escape;
mod line;
mod throttle;

use std::{
    io::{IsTerminal as _, Stderr},
    sync::Arc,
    time::Duration,
};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    config::{LogFormat, LoggingSection},
    logging::{escape::Escaped, line::Lines, throttle::Throttle},
};

/// How often it is told what was left out and is not going on.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What was left out of the log and is not told yet.
pub(crate) struct LeftOut(Arc<Throttle>);

/// Starts the log of the process.
///
/// # Errors
/// When `logging.level` is no filter.
pub(crate) fn start(section: &LoggingSection) -> Result<LeftOut, String> {
    let filter = EnvFilter::try_new(&section.level)
        .map_err(|error| format!("logging.level is {:?}: {error}", section.level))?;
    let throttle = Arc::new(Throttle::default());
    let fmt = tracing_subscriber::fmt::layer();
    let limited = tracing_subscriber::registry().with(filter).with(throttle::Limit(Arc::clone(&throttle)));
    let stderr: fn() -> Stderr = std::io::stderr;
    match section.format {
        LogFormat::Text => {
            // Colours are for people: in a file or a journal they are noise.
            let colours = std::io::stderr().is_terminal();
            let text = fmt.with_ansi(colours).fmt_fields(Escaped).with_writer(Lines::text(stderr));
            limited.with(text).init();
        }
        LogFormat::Json => limited.with(fmt.json().with_writer(Lines::json(stderr))).init(),
    }
    Ok(LeftOut(throttle))
}

impl LeftOut {
    /// Tells of lines that were left out before their kind fell silent, until the runtime ends.
    pub(crate) async fn report(self: Arc<Self>) {
        let mut every = tokio::time::interval(REPORT_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.0.report();
        }
    }

    /// Tells of all of them: the process ends.
    pub(crate) fn report_all(&self) {
        self.0.report_all();
    }
}
