//! What looking at this machine costs: half a minute of samples, one a second.
//!
//! ```sh
//! cargo run --release -p anywire-monitor --example collector
//! ```

use std::time::{Duration, Instant};

use anywire_monitor::Collector;

const LOOKS: u32 = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut collector = Collector::new()?;
    let (mut cpu, mut dearest) = (0.0, 0.0_f64);
    let mut next = Instant::now();
    for _ in 0..LOOKS {
        next += Duration::from_secs(1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let before = cpu_ms()?;
        let sample = collector.collect(0, 1000, None);
        // As the server and a reporter do.
        let json = serde_json::to_vec(&sample)?;
        let one = cpu_ms()? - before;
        cpu += one;
        dearest = dearest.max(one);
        std::hint::black_box(json);
    }
    let each = cpu / f64::from(LOOKS);
    // A millisecond a second is a tenth of a percent.
    println!(
        "{each:.2} ms of processor time a look, {dearest:.2} the dearest: {:.2} % of a core at one a second",
        each / 10.0
    );
    Ok(())
}

/// Processor time of this thread so far, to the nanosecond (`schedstat`, first field): ticks of 10 ms are too
/// coarse here.
fn cpu_ms() -> Result<f64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("no schedstat")?.parse::<f64>()? / 1e6)
}
