//! What the listener and the writer share.

use std::sync::Arc;

use anywire_app::AppContext;

use crate::{config::RedisConfig, emission::Mapping, metrics::Metrics};

/// The settings, and what they make of a message.
pub(crate) struct Shared {
    pub(crate) context: AppContext,
    pub(crate) config: RedisConfig,
    pub(crate) mapping: Mapping,
    pub(crate) metrics: Arc<Metrics>,
}
