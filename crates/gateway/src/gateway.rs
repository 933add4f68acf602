//! The gateway: what every connection shares. Each part has its owner; this only holds them together.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use anywire_log::{ChannelPattern, Clock, Log};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{
    admission::{auth::Gate, entry::Admission, kept::Kept},
    config::GatewayConfig,
    delivery::Delivery,
    lab::Lab,
    metrics::Metrics,
    readers::Readers,
    transports::socketio::state::SocketIo,
};

/// What every connection shares.
pub struct Gateway {
    pub(crate) config: GatewayConfig,
    pub(crate) log: Arc<Log>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) admission: Admission,
    pub(crate) readers: Arc<Readers>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lab: Arc<Lab>,
    pub(crate) socketio: SocketIo,
    /// The headers of which there is one, with those of applications.
    pub(crate) single_headers: Vec<&'static str>,
    /// Counts the times at which somebody's rights ended.
    pub(crate) ends: watch::Sender<u64>,
    /// Every connection's task.
    pub(crate) tasks: TaskTracker,
}

impl Gateway {
    /// The log behind it.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Its figures.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The network lab.
    #[must_use]
    pub fn lab(&self) -> &Arc<Lab> {
        &self.lab
    }

    /// Who gets in.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.admission.gate
    }

    /// From now on no client may publish to these channels: they belong to an application. `by_server_alone`
    /// keeps back ends from them too.
    pub fn keep_channels(&self, application: &'static str, pattern: ChannelPattern, by_server_alone: bool) {
        self.admission.keep_channels(Kept { application, pattern, by_server_alone });
    }
}

/// The address where none is known: behind somebody's own server.
pub(crate) const UNKNOWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
