//! Where things are stored, and what is told of the engine: its state in a line, and its metrics.

use std::{fmt, fs::DirBuilder, io, path::Path, sync::Arc};

use anywire_log::{Engine, Log};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

/// The log's folder within the data directory.
pub(crate) const LOG_FOLDER: &str = "log";

/// `ok`, or what is wrong with what is stored.
pub(crate) fn state(engine: &dyn Engine) -> String {
    if let Err(error) = engine.writable() {
        return error.to_string();
    }
    let damage = engine.damage();
    match damage.as_slice() {
        [] => "ok".to_owned(),
        [one] => format!("damaged: {}; readers are told of a gap", one.place),
        [first, ..] => format!(
            "damaged in {} places, the first: {}; readers are told of a gap",
            damage.len(),
            first.place
        ),
    }
}

/// Makes the directory for events and files, which nobody else on the machine may look into. One that is
/// there already stays as it is: who made it may have had a reason.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        if let Ok(there) = std::fs::metadata(path) {
            let mode = there.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                tracing::warn!(
                    data = %path.display(),
                    "other users of this machine may look into the data directory (mode {mode:o}); run chmod 700 on it"
                );
            }
            return Ok(());
        }
        builder.mode(0o700);
    }
    builder.create(path)
}

/// The metrics of the engine, for a registry.
pub(crate) struct StorageMetrics(pub(crate) Arc<Log>);

impl fmt::Debug for StorageMetrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("StorageMetrics")
    }
}

impl Collector for StorageMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let engine = self.0.engine();
        let channels = u64::try_from(engine.channel_count()).unwrap_or(u64::MAX);
        let places = u64::try_from(engine.damage().len()).unwrap_or(u64::MAX);
        for (name, help, value) in [
            ("anywire_storage_bytes", "Bytes of stored events", engine.stored_bytes()),
            ("anywire_ephemeral_bytes", "Memory of events of ephemeral channels", engine.ephemeral_bytes()),
            ("anywire_channels", "Channels that hold events", channels),
            ("anywire_storage_damaged_places", "Places that cannot be read any more", places),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_data_directory_is_the_server_s_own_and_one_that_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a directory");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let fresh = folder.path().join("deep").join("data");
        private_folder(&fresh).expect("made");
        assert_eq!(mode(&fresh), 0o700);
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o750)).expect("ours");
        private_folder(&fresh).expect("there");
        assert_eq!(mode(&fresh), 0o750);
    }
}
