//! Files that are served whole are what they were: checked against their sha256 before the first byte.
//!
//! A hash beside the copy would tell when the bytes are out already, and a client that does not look at
//! trailers would keep them. What was checked is taken for sound for ten minutes while its inode, length and
//! time of change stay the same, so that a file that many fetch is read twice only now and then.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anywire_app::http::ApiError;
use anywire_codes::Code;
use anywire_csv_report::{StepError, Ticker, checksum};
use anywire_log::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{disk::blocking, domain::Job};

/// How many files are known to be sound; of more the oldest go.
const KNOWN_MAX: usize = 1024;
/// How long a file that was checked counts as sound, in milliseconds.
const SOUND_MS: u64 = 600_000;

/// What a job's report and the file that it is made of should be.
#[derive(Default, Deserialize)]
pub(crate) struct Sums {
    /// Of the uploaded file.
    pub(crate) sha256: Option<String>,
    /// Of the report; none where an earlier release made it.
    pub(crate) report_sha256: Option<String>,
}

impl Sums {
    /// As the job's result has them.
    pub(crate) fn of(job: &Job) -> Self {
        let result = job.result.as_ref().map(|result| serde_json::from_str(result.get()));
        result.and_then(Result::ok).unwrap_or_default()
    }
}

/// Which file it was, and how it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// What is known of files, and how often one was not what it was.
#[derive(Debug, Default)]
pub(crate) struct Integrity {
    sound: Mutex<HashMap<PathBuf, (Identity, Timestamp)>>,
    pub(crate) damaged: AtomicU64,
}

impl Integrity {
    /// Checks a file before it is served. One that is gone is for whoever opens it.
    ///
    /// # Errors
    /// `storage_failed` with its name where it is another than it was.
    pub(crate) async fn check(
        &self,
        path: &Path,
        what: &str,
        sha256: &str,
        way_out: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let Ok(found) = tokio::fs::metadata(path).await else { return Ok(()) };
        let changed = (found.ctime(), found.ctime_nsec());
        let identity = Identity { inode: found.ino(), length: found.len(), changed };
        let known = self.sound.lock().get(path).copied();
        if known.is_some_and(|(known, at)| known == identity && now.millis_since(at) < SOUND_MS) {
            return Ok(());
        }
        let file = path.to_owned();
        let read = blocking(move || checksum(&file, &Ticker::default()).map_err(into_io)).await;
        let read = read.map_err(|error| {
            let message = format!("checking {what} failed: {error}; see the server's disk");
            ApiError::new(Code::StorageFailed, message)
        })?;
        if read != sha256 {
            return Err(self.is_damaged(what, sha256, &read, way_out));
        }
        let mut sound = self.sound.lock();
        if sound.len() >= KNOWN_MAX {
            sound.retain(|_, (_, at)| now.millis_since(*at) < SOUND_MS / 2);
        }
        if sound.len() < KNOWN_MAX {
            sound.insert(path.to_owned(), (identity, now));
        }
        Ok(())
    }

    /// As [`Integrity::check`], for bytes that were read already.
    pub(crate) fn check_bytes(
        &self,
        bytes: &[u8],
        what: &str,
        sha256: &str,
        way_out: &str,
    ) -> Result<(), ApiError> {
        let read = hex(&Sha256::digest(bytes));
        if read == sha256 { Ok(()) } else { Err(self.is_damaged(what, sha256, &read, way_out)) }
    }

    fn is_damaged(&self, what: &str, expected: &str, found: &str, way_out: &str) -> ApiError {
        self.damaged.fetch_add(1, Ordering::Relaxed);
        tracing::error!(what, expected, found, "a stored file is damaged and is not served");
        let message = format!(
            "{what} is damaged: its sha256 is {found} and was {expected}; {way_out}, and see the server's disk"
        );
        ApiError::new(Code::StorageFailed, message)
    }
}

fn into_io(error: StepError) -> std::io::Error {
    match error {
        StepError::Io(error) => error,
        other => std::io::Error::other(other),
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
