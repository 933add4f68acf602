//! The floor of publishing: a plain program that appends bytes to a file and syncs them.

use crate::failure::{Context, Outcome};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often in a second `bytes` bytes can be appended and synced, measured for `time`.
pub(crate) fn appends_per_second(folder: &Path, bytes: usize, time: Duration) -> Outcome<f64> {
    let path = folder.join("plain.log");
    let mut file = File::create(&path).context(format_args!("cannot create {}", path.display()))?;
    let block = vec![b'x'; bytes];
    let started = Instant::now();
    let mut count = 0u64;
    while started.elapsed() < time {
        file.write_all(&block).and_then(|()| file.sync_data()).context("cannot append")?;
        count += 1;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
