//! Removes segments of which nothing is kept.

use std::{
    fs, io,
    sync::{Arc, atomic::Ordering},
};

use crate::embedded::{
    manifest::{self, Listed},
    segment::file::Segment,
    shared::Shared,
};

/// Removes segments that nobody needs any more.
pub(crate) fn remove(shared: &Shared, dead: &[Arc<Segment>]) -> io::Result<()> {
    let unlist = |listed: &mut Vec<Listed>| {
        listed.retain(|one| !dead.iter().any(|segment| segment.header.salt == one.salt));
    };
    manifest::write_changed(shared, unlist, || {
        let mut index = shared.index.write();
        for segment in dead {
            index.segments.remove(&segment.header.base);
            segment.retired.store(true, Ordering::Release);
        }
    })?;
    for segment in dead {
        remove_files(shared, segment);
    }
    Ok(())
}

pub(crate) fn remove_files(shared: &Shared, segment: &Segment) {
    shared.files.forget(segment.id);
    for path in [segment.path.clone(), segment.index_path()] {
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // The next start finds nothing kept in it and tries again.
            tracing::warn!(path = %path.display(), %error, "a file that is not needed stays");
        }
    }
}
