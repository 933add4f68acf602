//! How a gateway is put together: what is wired to what, and which tasks run from the start.

use std::sync::Arc;

use anywire_log::{Clock, Log};
use anywire_settings::OutOfRange;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{
    Gateway,
    admission::{
        auth::{AuthError, Gate},
        cors::{Cors, PageHeaders},
        entry::Admission,
        proxies::{Proxies, ProxyError},
        single,
    },
    config::GatewayConfig,
    delivery::{Delivery, Fanout},
    lab::Lab,
    metrics::Metrics,
    presence::Presence,
    readers::Readers,
    transports::socketio::{SocketIoError, sessions::tick_sessions, state::SocketIo},
};

/// Why a gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A setting is outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
    /// Authorization is not sound.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A trusted proxy is none.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Socket.IO is not sound.
    #[error(transparent)]
    SocketIo(#[from] SocketIoError),
}

impl Gateway {
    /// A gateway in front of a log. Must be called inside a tokio runtime: the fan-out's tasks start at once.
    ///
    /// # Errors
    /// [`GatewayError`] names the setting.
    pub fn start(
        log: Arc<Log>,
        config: GatewayConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, GatewayError> {
        let gate = Gate::new(&config.auth, Arc::clone(&clock))?;
        Self::start_for(log, config, clock, &PageHeaders::default(), gate)
    }

    /// The same with a gate, and where applications have routes behind it, whose headers pages may send and
    /// read.
    ///
    /// # Errors
    /// [`GatewayError`] names the setting.
    pub fn start_for(
        log: Arc<Log>,
        config: GatewayConfig,
        clock: Arc<dyn Clock>,
        headers: &PageHeaders,
        gate: Gate,
    ) -> Result<Arc<Self>, GatewayError> {
        config.check()?;
        warn_if_open(&gate, config.auth.open_behind_proxy);
        let proxies = Proxies::parse(&config.limits.trusted_proxies)?;
        if gate.is_open() && gate.origins().allow_every_page() {
            tracing::warn!(
                "auth.origins lets every page in and there are no keys: whatever a browser on this machine opens may read and publish"
            );
        }
        let metrics = Arc::new(Metrics::default());
        let lab = Arc::new(Lab::default());
        let delivery = Delivery::new(
            Arc::clone(&log),
            Arc::clone(&metrics),
            Arc::clone(&lab),
            config.limits.drain_bytes_max,
            u64::from(config.heartbeat_ms),
            SocketIo::times(&config.socketio),
            Cors::new(headers, gate.origins().clone()),
        );
        let delivery = Arc::new(delivery.keeping(SocketIo::own_names(&config.socketio)));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shards = if config.shards == 0 { cores } else { config.shards as usize };
        let fanout = Fanout::new(Arc::clone(&delivery), shards);
        fanout.run();
        let presence = Presence::new(Arc::clone(&log), Arc::clone(&clock));
        let readers = Readers::new(Arc::clone(&clock), Arc::clone(&delivery), fanout, Arc::clone(&presence));
        let gateway = Arc::new(Self {
            socketio: SocketIo::new(&config.socketio)?,
            single_headers: single::with_others(&headers.allowed),
            admission: Admission::new(
                gate,
                proxies,
                &config,
                Arc::clone(&clock),
                Arc::clone(&delivery),
                presence,
            ),
            readers,
            ends: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            config,
            log,
            clock,
            delivery,
            metrics,
            lab,
        });
        tokio::spawn(tick_sessions(Arc::downgrade(&gateway), gateway.delivery.times));
        Ok(gateway)
    }
}

/// Says at the start whom a server without keys lets in.
fn warn_if_open(gate: &Gate, behind_proxy: bool) {
    match (gate.is_open(), behind_proxy) {
        (false, _) => {}
        (true, false) => tracing::warn!(
            "there are no accounts and no keys: the server is open to this machine, where everybody may do everything; add an account (anywire user add anna --role admin) or set auth.api_keys to ask who they are"
        ),
        (true, true) => tracing::warn!(
            "there are no keys and auth.open_behind_proxy is set: the server is open to this machine and to everybody who reaches a proxy in front of it"
        ),
    }
}
