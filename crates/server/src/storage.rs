//! What is told of the engine: its state in a line, and its metrics.

use std::{fmt, sync::Arc};

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
            ("anywire_channels", "Channels that hold events", channels),
            ("anywire_storage_damaged_places", "Places that cannot be read any more", places),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
