//! Which request writes to which upload: one at a time, the newest.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anywire_app::NamedLocks;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::domain::UploadId;

/// How long a newer request waits for the older one to end.
const HANDOVER_MAX: Duration = Duration::from_secs(5);

/// All writers.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    locks: NamedLocks,
    current: Mutex<HashMap<UploadId, CancellationToken>>,
    /// Uploads whose progress will be published soon.
    planned: Mutex<HashSet<UploadId>>,
}

/// The right to write to an upload; it ends when this is dropped, and should be given up when `stop` is
/// cancelled.
pub(crate) struct Writer<'a> {
    writers: &'a Writers,
    upload: UploadId,
    /// Somebody newer waits.
    pub(crate) stop: CancellationToken,
    _lock: OwnedMutexGuard<()>,
}

/// The older writer did not end in time.
#[derive(Debug)]
pub(crate) struct StillWriting;

impl Writers {
    /// Ends the writer of an upload and takes its place.
    pub(crate) async fn enter(&self, upload: UploadId) -> Result<Writer<'_>, StillWriting> {
        self.stop(upload);
        let name = upload.to_string();
        let lock =
            tokio::time::timeout(HANDOVER_MAX, self.locks.lock(&name)).await.map_err(|_| StillWriting)?;
        let stop = CancellationToken::new();
        self.current.lock().insert(upload, stop.clone());
        Ok(Writer { writers: self, upload, stop, _lock: lock })
    }

    /// Ends the writers of all uploads that are so.
    pub(crate) fn stop_where(&self, unwanted: impl Fn(UploadId) -> bool) {
        let current = self.current.lock();
        current.iter().filter(|(upload, _)| unwanted(**upload)).for_each(|(_, stop)| stop.cancel());
    }

    /// Plans to publish the progress of an upload; false if that is planned already.
    pub(crate) fn plan_report(&self, upload: UploadId) -> bool {
        self.planned.lock().insert(upload)
    }

    /// The planned publication begins.
    pub(crate) fn report_begun(&self, upload: UploadId) {
        self.planned.lock().remove(&upload);
    }

    /// Ends the writer of an upload, if there is one.
    pub(crate) fn stop(&self, upload: UploadId) {
        if let Some(current) = self.current.lock().get(&upload) {
            current.cancel();
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // Before the lock opens: nobody else has entered yet.
        self.writers.current.lock().remove(&self.upload);
    }
}
