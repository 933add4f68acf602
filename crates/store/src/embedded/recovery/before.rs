//! What a directory says before its segments are read: what it is, which segments belong to it, and what
//! those knew that are gone.
//!
//! Invariant: what the manifest names and the directory lacks is damage.

use std::path::{Path, PathBuf};

use anywire_log::Offset;

use super::{
    directory::{self, Listing},
    error::OpenError,
};
use crate::embedded::{
    checkpoint::{Checkpoint, Meta},
    config::EmbeddedConfig,
    manifest::{Listed, MANIFEST_FILE, Manifest},
    shared::CHECKPOINT_FILE,
};

/// What stands beside the segments.
pub(super) struct Before {
    pub(super) meta: Meta,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) manifest: Option<Manifest>,
    pub(super) listing: Listing,
    /// Segments that should be there.
    pub(super) missing: Vec<Listed>,
}

impl Before {
    /// Reads it. Where loss is accepted, what is damaged counts as missing.
    pub(super) fn read(config: &EmbeddedConfig) -> Result<Self, OpenError> {
        let directory = &config.directory;
        let accepts = config.accept_loss;
        let mut listing = directory::list(directory)?;
        let manifest_path = directory.join(MANIFEST_FILE);
        let is_new = listing.segments.is_empty() && !manifest_path.exists();
        let of_segments = directory::epoch_of_segments(&listing);
        let meta = match directory::meta(directory, is_new, of_segments) {
            Err(error @ OpenError::Damaged { .. }) if accepts => {
                let meta = Meta { epoch: of_segments.ok_or(error)?, has_manifest: true };
                directory::write_meta(directory, meta)?;
                meta
            }
            meta => meta?,
        };
        let manifest = Manifest::read(&manifest_path, meta.epoch).map_err(OpenError::from);
        let manifest = required(manifest, &manifest_path, meta.has_manifest && !is_new, accepts)?;
        let missing = missing(&mut listing, manifest.as_ref(), &manifest_path, accepts)?;
        listing.drop_strays()?;
        let checkpoint = checkpoint(directory, meta, manifest.as_ref(), &listing, accepts)?;
        Ok(Self { meta, checkpoint, manifest, listing, missing })
    }
}

/// What was read of a file that has to be there.
fn required<T>(
    read: Result<Option<T>, OpenError>,
    path: &Path,
    is_required: bool,
    accepts: bool,
) -> Result<Option<T>, OpenError> {
    let missing = || OpenError::Damaged { path: path.to_owned(), at: 0, detail: "it is missing" };
    match read {
        Ok(None) if is_required => accept(missing(), accepts),
        Err(error @ OpenError::Damaged { .. }) => accept(error, accepts),
        read => read,
    }
}

fn accept<T>(error: OpenError, accepts: bool) -> Result<Option<T>, OpenError> {
    if !accepts {
        return Err(error);
    }
    tracing::warn!(%error, "going on without it");
    Ok(None)
}

/// The segments that are missing.
fn missing(
    listing: &mut Listing,
    manifest: Option<&Manifest>,
    path: &Path,
    accepts: bool,
) -> Result<Vec<Listed>, OpenError> {
    let Some(manifest) = manifest else {
        listing.drop_replaced()?;
        return Ok(Vec::new());
    };
    let missing = match listing.hold_to(manifest, path) {
        // The manifest is an older copy: what is there is more than it knows of.
        Err(OpenError::Damaged { .. }) if accepts => Vec::new(),
        missing => missing?,
    };
    let Some(first) = missing.first() else { return Ok(missing) };
    if !accepts {
        let path = path.with_file_name(first.file_name());
        return Err(OpenError::Damaged { path, at: 0, detail: "it is missing" });
    }
    listing.drop_replaced()?;
    let is_replaced = |one: &Listed| listing.stands_for(one.base);
    Ok(missing.into_iter().filter(|one| !is_replaced(one)).collect())
}

/// The checkpoint, which must not be older than the manifest.
fn checkpoint(
    directory: &Path,
    meta: Meta,
    manifest: Option<&Manifest>,
    listing: &Listing,
    accepts: bool,
) -> Result<Option<Checkpoint>, OpenError> {
    let path: PathBuf = directory.join(CHECKPOINT_FILE);
    let known = manifest.map_or(0, |manifest| manifest.checkpoint);
    let read = Checkpoint::read(&path, meta.epoch).map_err(OpenError::from);
    let read = read.and_then(|read| match read {
        Some(read) if read.number < known => {
            let detail = "it is an older copy";
            Err(OpenError::Damaged { path: path.clone(), at: 0, detail })
        }
        read => Ok(read),
    });
    let was_there = read.as_ref().is_ok_and(Option::is_some);
    let read = required(read, &path, known > 0, accepts)?;
    if read.is_some() || was_there || known == 0 {
        return Ok(read);
    }
    // What removed segments held is not known any more: everything before the first one counts as trimmed.
    let first = listing.segments.first().map_or(0, |segment| segment.base.saturating_sub(1));
    Ok(Some(Checkpoint { number: known, floor: Offset::new(first), ..Checkpoint::default() }))
}
