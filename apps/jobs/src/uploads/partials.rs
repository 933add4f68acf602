//! Partial uploads: parts of a file that come side by side, until a final upload joins them (tus, extension
//! concatenation). They are no jobs and in no log.
//!
//! Invariants:
//! - They count among the unfinished uploads until they are joined or removed.
//! - One that nobody sends bytes for is removed like any other unfinished upload; a restart gives it that
//!   time anew.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::Path,
};

use anywire_log::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::files::Files;
use crate::{disk::blocking, domain::UploadId};

/// What a partial upload said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partial {
    /// How long it will be.
    pub(crate) size_bytes: u64,
    /// The `Upload-Metadata` it came with.
    pub(crate) metadata: String,
}

/// All partial uploads.
#[derive(Debug)]
pub(crate) struct Partials {
    pub(crate) files: Files,
    known: Mutex<HashMap<UploadId, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    partial: Partial,
    /// When a byte last came.
    heard_at: Timestamp,
    /// How many bytes came since the start.
    received_bytes: u64,
}

impl Known {
    fn at(partial: Partial, now: Timestamp) -> Self {
        Self { partial, heard_at: now, received_bytes: 0 }
    }
}

impl Partials {
    /// Those that are in the files; what is not whole there was never answered, and goes.
    pub(crate) fn open(data_dir: &Path, now: Timestamp) -> io::Result<Self> {
        let files = Files::partial(data_dir)?;
        let mut known = HashMap::new();
        for id in files.list()? {
            let text = std::fs::read(files.about(id)).unwrap_or_default();
            match serde_json::from_slice(&text) {
                Ok(partial) => drop(known.insert(id, Known::at(partial, now))),
                Err(_) => files.remove_now(id)?,
            }
        }
        Ok(Self { files, known: Mutex::new(known) })
    }

    /// Makes one without bytes.
    pub(crate) async fn create(&self, partial: Partial, now: Timestamp) -> io::Result<UploadId> {
        let id = UploadId::random();
        self.files.create(id).await?;
        let (about, text) = (self.files.about(id), serde_json::to_vec(&partial)?);
        let written = blocking(move || {
            let mut file = std::fs::File::create(about)?;
            file.write_all(&text)?;
            file.sync_all()
        });
        if let Err(error) = written.await {
            let _next_start = self.files.remove(id).await;
            return Err(error);
        }
        self.known.lock().insert(id, Known::at(partial, now));
        Ok(id)
    }

    /// One that is there.
    pub(crate) fn get(&self, id: UploadId) -> Option<Partial> {
        self.known.lock().get(&id).map(|known| known.partial.clone())
    }

    /// When a byte last came for one.
    pub(crate) fn heard_at(&self, id: UploadId) -> Option<Timestamp> {
        self.known.lock().get(&id).map(|known| known.heard_at)
    }

    /// One has so many bytes now.
    pub(crate) fn heard(&self, id: UploadId, received_bytes: u64, now: Timestamp) {
        if let Some(known) = self.known.lock().get_mut(&id) {
            known.heard_at = now;
            known.received_bytes = received_bytes;
        }
    }

    /// How many bytes they still miss together, as far as is known.
    pub(crate) fn missing_bytes(&self) -> u64 {
        let known = self.known.lock();
        known.values().map(|known| known.partial.size_bytes.saturating_sub(known.received_bytes)).sum()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.known.lock().len()
    }

    /// Those for which no byte came since.
    pub(crate) fn silent_since(&self, since: Timestamp) -> Vec<UploadId> {
        let known = self.known.lock();
        known.iter().filter(|(_, known)| known.heard_at < since).map(|(id, _)| *id).collect()
    }

    /// Removes one.
    pub(crate) async fn remove(&self, id: UploadId) -> io::Result<()> {
        self.known.lock().remove(&id);
        self.files.remove(id).await
    }
}
