//! The entry: who is let in, what they may publish and how fast, and what they are told who are not.

use std::{net::IpAddr, sync::Arc};

use anywire_access::Principal;
use anywire_log::{Batch, Channel, Clock};
use anywire_protocol::{
    Code, Refusal,
    head::{HEAD_BYTES_MAX, HEADERS_MAX},
    native::FrameLimits,
    publish::PublishLimits,
    request::StreamQuery,
};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::{
    act::Act,
    auth::Gate,
    channels::NewChannels,
    credentials::{Credentials, client_address},
    kept::{self, Kept},
    limits::{Connections, Counted},
    proxies::Proxies,
    rates::{Account, Payer, Rates},
    rights::Rights as _,
    unfinished::Unfinished,
};
use crate::{
    config::{GatewayConfig, LimitsConfig},
    delivery::Delivery,
    http1::reply::Recipient,
    presence::Presence,
};

/// What a request for a stream brings.
pub(crate) struct StreamRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) query: &'a str,
    pub(crate) last_event_id: Option<&'a str>,
    pub(crate) address: IpAddr,
}

/// A request that was let in.
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
    /// To whom is charged what it does; none without a limit.
    pub(crate) account: Option<Arc<Account>>,
    /// The origin to name in CORS headers.
    pub(crate) origin: Option<String>,
    pub(crate) query: StreamQuery,
    pub(crate) credentials: bool,
}

/// Decides about every request before a transport serves it.
pub(crate) struct Admission {
    pub(crate) gate: Gate,
    proxies: Proxies,
    pub(crate) connections: Arc<Connections>,
    /// Cancelled when the gateway stops: nobody is let in any more.
    pub(crate) closing: CancellationToken,
    /// What is kept of requests that have not come whole.
    pub(crate) unfinished: Arc<Unfinished>,
    rates: Rates,
    new_channels: NewChannels,
    presence: Arc<Presence>,
    /// Channels that belong to the server's own applications.
    kept: RwLock<Vec<Kept>>,
    limits: LimitsConfig,
    restart_window_ms: u32,
    clock: Arc<dyn Clock>,
    delivery: Arc<Delivery>,
}

impl Admission {
    pub(crate) fn new(
        gate: Gate,
        proxies: Proxies,
        config: &GatewayConfig,
        clock: Arc<dyn Clock>,
        delivery: Arc<Delivery>,
        presence: Arc<Presence>,
    ) -> Self {
        Self {
            gate,
            proxies,
            connections: Connections::new(&config.limits),
            closing: CancellationToken::new(),
            unfinished: Unfinished::new(&config.limits, Arc::clone(&delivery.metrics)),
            rates: Rates::new(&config.limits, Arc::clone(&delivery.metrics)),
            new_channels: NewChannels::new(&config.limits),
            presence,
            kept: RwLock::default(),
            limits: config.limits.clone(),
            restart_window_ms: config.restart_window_ms,
            clock,
            delivery,
        }
    }

    /// Counts the connection of a peer, or refuses it.
    pub(crate) fn count(&self, peer: IpAddr) -> Result<Counted, Refusal> {
        if self.proxies.trust(peer) { self.connections.count_proxy() } else { self.connections.count(peer) }
    }

    /// The client that a request came from, by way of the proxies that are trusted.
    pub(crate) fn client<'a>(
        &self,
        peer: IpAddr,
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> IpAddr {
        client_address(&self.proxies, peer, lines)
    }

    /// Lets a request for a stream in, or says why not.
    pub(crate) fn admit(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        self.admit_as(request, |credentials| self.gate.principal(credentials))
    }

    /// The same for a WebSocket, whose token may come in its first frame: until then it may do nothing.
    fn admit_for_now(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        self.admit_as(request, |credentials| {
            // Whatever it is asked by: what comes over it may change something.
            let credentials = Credentials { reads: false, ..*credentials };
            match self.gate.principal(&credentials) {
                Err(_) if credentials.given().is_none() => Ok(Principal::nobody()),
                principal => principal,
            }
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
        let query = StreamQuery::parse(request.query, self.limits.channels_max)?;
        let query = query.with_last_event_id(request.last_event_id)?;
        let credentials = Credentials { token: query.token.as_deref(), ..request.credentials };
        let principal = identify(&credentials)?;
        principal.check_subscribe(&query.channels)?;
        let account = self.account(&principal, request.address);
        self.charge_channels(account.as_deref(), query.client.as_deref(), &query.channels, query.presence)?;
        let credentials = credentials.are_personal();
        Ok(Admitted { principal, account, origin, query, credentials })
    }

    /// The same for a stream of events, which has to name its channels.
    pub(crate) fn admit_sse(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        let admitted = self.admit(request)?;
        admitted.query.require_channels()?;
        Ok(admitted)
    }

    /// Lets a WebSocket in.
    pub(crate) fn admit_websocket(&self, request: &StreamRequest<'_>) -> Result<Admitted, Refusal> {
        self.gate.check_place(&request.credentials)?;
        if self.delivery.lab.blocks_websocket() {
            let message = "the network lab blocks WebSocket; use SSE, or lift the block";
            return Err(Refusal::new(Code::TransportBlocked, message));
        }
        self.charge_handshake(request.address)?;
        self.admit_for_now(request)
    }

    /// How long a token lasts, in milliseconds; `None` for ever.
    pub(crate) fn token_left_ms(&self, principal: &Principal) -> Option<u64> {
        principal.expires_at().map(|at| at.millis_since(self.clock.now()))
    }

    /// How long a poll waits: as it asked, but not beyond its token.
    pub(crate) fn wait_ms(&self, admitted: &Admitted) -> u64 {
        let asked_ms = u64::from(admitted.query.wait_s) * 1000;
        self.token_left_ms(&admitted.principal).map_or(asked_ms, |left_ms| asked_ms.min(left_ms))
    }

    /// From now on these channels belong to an application.
    pub(crate) fn keep_channels(&self, kept: Kept) {
        self.kept.write().push(kept);
    }

    pub(crate) fn publish_limits(&self) -> PublishLimits {
        PublishLimits {
            message_bytes_max: self.limits.message_bytes_max,
            batch_events_max: self.limits.batch_events_max,
        }
    }

    /// The longest message of somebody who may publish nothing, or has not said yet who they are. Those need
    /// far less, and should not be able to fill our memory.
    pub(crate) fn small_message_bytes_max(&self) -> usize {
        /// What a message needs beside names of channels: a token, mostly.
        const WORDS_BYTES_MAX: usize = 64 << 10;
        const CHANNEL_BYTES_MAX: usize = 512;
        WORDS_BYTES_MAX + self.limits.channels_max * CHANNEL_BYTES_MAX
    }

    pub(crate) fn frame_limits(&self) -> FrameLimits {
        FrameLimits { publish: self.publish_limits(), channels_max: self.limits.channels_max }
    }

    /// Refuses publications that somebody may not make.
    pub(crate) fn check_publish(&self, principal: &Principal, batch: &Batch) -> Result<(), Refusal> {
        principal.check_publish(batch.publications.iter().map(|publication| &publication.channel))?;
        let kept = self.kept.read();
        let mut channels = batch.publications.iter().map(|publication| &publication.channel);
        channels.try_for_each(|channel| kept::check(&kept, channel, principal.is_backend()))
    }

    /// Refuses publications that would make too many channels.
    pub(crate) fn check_new_channels(
        &self,
        principal: &Principal,
        address: IpAddr,
        batch: &Batch,
    ) -> Result<(), Refusal> {
        self.new_channels.check(&self.delivery.log, principal, address, batch, self.delivery.now_ms())
    }

    /// To whom is charged what somebody does from an address; none if there is no limit. To be asked once a
    /// connection or request.
    pub(crate) fn account(&self, principal: &Principal, address: IpAddr) -> Option<Arc<Account>> {
        let payer = match principal.is_backend() {
            false => principal.payer(address),
            true if self.limits.backends_limited => Payer::Address(address),
            true => return None,
        };
        Some(self.rates.account(payer, self.delivery.now_ms()))
    }

    /// Charges an act, or refuses it.
    pub(crate) fn charge(&self, account: Option<&Account>, act: Act, count: usize) -> Result<(), Refusal> {
        match account.filter(|_| count > 0) {
            Some(account) => self.rates.charge(account, act, count, self.delivery.now_ms()),
            None => Ok(()),
        }
    }

    /// Charges what it takes to follow channels; `client` is by what name, if it has one, with `presence` as
    /// a member.
    pub(crate) fn charge_channels(
        &self,
        account: Option<&Account>,
        client: Option<&str>,
        channels: &[Channel],
        presence: bool,
    ) -> Result<(), Refusal> {
        if account.is_none() {
            return Ok(());
        }
        let members = if presence { self.presence.count_new(client, channels) } else { 0 };
        self.charge(account, Act::Presence, members)?;
        self.charge(account, Act::Subscribe, channels.len())
    }

    /// Charges the beginning of a connection that lasts; before it is known who it is.
    pub(crate) fn charge_handshake(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.gate.is_open() && !self.limits.backends_limited {
            return Ok(());
        }
        let now_ms = self.delivery.now_ms();
        let account = self.rates.account(Payer::Address(address), now_ms);
        self.rates.charge(&account, Act::Handshake, 1, now_ms)
    }

    /// Who reads an answer on a socket: a page of this origin, if any. While the gateway stops, every answer
    /// is a connection's last.
    pub(crate) fn recipient<'a>(&'a self, origin: Option<&'a str>) -> Recipient<'a> {
        let recipient = Recipient::new(&self.delivery.cors, origin);
        if self.closing.is_cancelled() { recipient.last() } else { recipient }
    }

    /// A refusal for a request with too long an address, or too many headers.
    pub(crate) fn head_too_large() -> Refusal {
        let message = format!(
            "the request's address and headers have more than {HEAD_BYTES_MAX} bytes together, or there \
             are more than {HEADERS_MAX} headers; subscribe to fewer channels in one address, or over a WebSocket"
        );
        Refusal::new(Code::HeadTooLarge, message)
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
        SOONEST_MS + ((u64::from(random) * u64::from(self.restart_window_ms)) >> 32) as u32
    }

    /// The refusal of a request whose body has `bytes`.
    pub(crate) fn body_too_large(&self, bytes: &dyn std::fmt::Display) -> Refusal {
        let limit = self.limits.request_bytes_max;
        let message =
            format!("the request has {bytes} bytes, the limit is {limit} (limits.request_bytes_max)");
        Refusal::new(Code::TooLarge, message)
    }
}
