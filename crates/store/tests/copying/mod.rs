//! Copies of a running engine's directory, for tests of a crash.

use std::{collections::BTreeMap, ffi::OsString, os::unix::fs::MetadataExt, path::Path};

/// Copies a directory as a crash at one moment would leave it: anew if anything in it changed meanwhile.
pub(crate) fn copy_at_rest(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        for name in before.keys() {
            let _gone_meanwhile = std::fs::copy(from.join(name), to.join(name));
        }
        if listing(from) == before {
            return;
        }
        for name in listing(to).keys() {
            std::fs::remove_file(to.join(name)).expect("it can be removed");
        }
    }
}

/// The files of a directory with what tells whether they changed.
fn listing(directory: &Path) -> BTreeMap<OsString, (u64, u64, i64, i64)> {
    let entries =
        std::fs::read_dir(directory).expect("it can be listed").map(|entry| entry.expect("an entry"));
    let facts = entries.filter_map(|entry| {
        let facts = entry.metadata().ok()?;
        Some((entry.file_name(), (facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())))
    });
    facts.collect()
}
