//! The gateway: what every connection shares, and how a connection is let in.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use anywire_log::{Batch, Channel, Clock, Log};
use anywire_protocol::{Code, Refusal, publish::PublishLimits, request::StreamQuery};
use parking_lot::RwLock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::{
        auth::{Credentials, Gate, Principal},
        limits::{Connections, Publishers},
    },
    config::GatewayConfig,
    delivery::Delivery,
    http1::reply::Recipient,
    lab::Lab,
    metrics::Metrics,
    readers::{Admitted, Readers},
    transports::socketio::state::SocketIo,
};

/// What every connection shares.
pub struct Gateway {
    pub(crate) config: GatewayConfig,
    pub(crate) log: Arc<Log>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate: Gate,
    pub(crate) readers: Arc<Readers>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lab: Arc<Lab>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) publishers: Publishers,
    pub(crate) socketio: SocketIo,
    /// Cancelled when the gateway stops: nobody is let in any more.
    pub(crate) closing: CancellationToken,
    /// Every connection's task.
    pub(crate) tasks: TaskTracker,
    /// Channels that only the server's own applications write to.
    pub(crate) kept: RwLock<Vec<Channel>>,
}

/// What a request for a stream brings.
pub(crate) struct StreamRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) query: &'a str,
    pub(crate) last_event_id: Option<&'a str>,
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
        &self.gate
    }

    pub(crate) fn publish_limits(&self) -> PublishLimits {
        PublishLimits {
            message_bytes_max: self.config.limits.message_bytes_max,
            batch_events_max: self.config.limits.batch_events_max,
        }
    }

    /// Lets a request for a stream in, or says why not.
    pub(crate) fn admit(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        self.admit_as(request, |credentials| self.gate.principal(credentials))
    }

    /// The same for a WebSocket, whose token may come in its first frame: until then it may do nothing.
    pub(crate) fn admit_for_now(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        self.admit_as(request, |credentials| match self.gate.principal(credentials) {
            Err(_) if !credentials.are_given() => Ok(Principal::nobody()),
            principal => principal,
        })
    }

    fn admit_as(
        &self,
        request: &StreamRequest<'_>,
        identify: impl Fn(&Credentials<'_>) -> Result<Principal, Refusal>,
    ) -> Result<Admitted, Refusal> {
        // First, as for every other route: who may not ask learns nothing else.
        let origin = self.gate.check_place(&request.credentials)?.map(str::to_owned);
        if self.closing.is_cancelled() {
            return Err(self.shutting_down());
        }
        let query = StreamQuery::parse(request.query, self.config.limits.channels_max)?;
        let query = query.with_last_event_id(request.last_event_id)?;
        let credentials = Credentials { token: query.token.as_deref(), ..request.credentials };
        let principal = identify(&credentials)?;
        principal.may_subscribe(&query.channels)?;
        let credentials = credentials.are_given();
        Ok(Admitted { principal, origin, query, credentials })
    }

    /// From now on nobody outside may publish to this channel: an application's state is built from it.
    pub fn keep_for_server(&self, channel: &str) {
        self.kept.write().extend(Channel::new(channel));
    }

    /// Refuses publications that somebody may not make.
    pub(crate) fn check_publish(&self, principal: &Principal, batch: &Batch) -> Result<(), Refusal> {
        principal.may_publish(batch.publications.iter().map(|publication| &publication.channel))?;
        let kept = self.kept.read();
        let mut channels = batch.publications.iter().map(|publication| &publication.channel);
        match channels.find(|channel| kept.contains(channel)) {
            None => Ok(()),
            Some(channel) => {
                let message =
                    format!("channel {channel} is written by the server's own application; use another one");
                Err(Refusal::new(Code::Forbidden, message))
            }
        }
    }

    /// Refuses what a client publishes over HTTP too fast; back ends may publish as fast as the log takes it.
    pub(crate) fn check_rate(
        &self,
        principal: &Principal,
        address: IpAddr,
        count: usize,
    ) -> Result<(), Refusal> {
        if principal.is_backend() {
            return Ok(());
        }
        let publisher = principal.user().map_or_else(|| address.to_string(), |user| format!("user {user}"));
        let taken = self.publishers.take(&publisher, count, &self.config.limits, self.delivery.now_ms());
        taken.map_err(|retry_ms| self.too_fast(retry_ms))
    }

    /// A refusal for those who publish too fast.
    pub(crate) fn too_fast(&self, retry_ms: u32) -> Refusal {
        self.metrics.rate_limited.fetch_add(1, Relaxed);
        let rate = self.config.limits.publish_per_second;
        let message =
            format!("more than {rate} events a second (limits.publish_per_second); wait {retry_ms} ms");
        Refusal::new(Code::RateLimited, message).retry_after_ms(retry_ms)
    }

    /// Who reads an answer on a socket: a page of this origin, if any. While the gateway stops, every answer
    /// is a connection's last.
    pub(crate) fn recipient<'a>(&'a self, origin: Option<&'a str>) -> Recipient<'a> {
        let recipient = Recipient::new(&self.delivery.cors, origin);
        if self.closing.is_cancelled() { recipient.last() } else { recipient }
    }

    /// A refusal for those who come while the gateway stops.
    pub(crate) fn shutting_down(&self) -> Refusal {
        let message = "the server is restarting; come back after the time given";
        Refusal::new(Code::ShuttingDown, message).retry_after_ms(self.spread_ms())
    }

    /// A time to come back, spread over the restart window so that not all come at once.
    pub(crate) fn spread_ms(&self) -> u32 {
        const SOONEST_MS: u32 = 500;
        let random = getrandom::u32().unwrap_or(0);
        SOONEST_MS + ((u64::from(random) * u64::from(self.config.restart_window_ms)) >> 32) as u32
    }
}

/// The address where none is known: behind somebody's own server.
pub(crate) const UNKNOWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
