//! Who is connected, for the console.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::atomic::Ordering::Relaxed,
};

use anywire_log::{Channel, Cursor, Offset, Timestamp};

use crate::{
    Gateway,
    delivery::{ConnectedNamespace, Mode, Reader, ReaderStats},
    metrics::Transport,
    pollers::{Polled, Poller},
};

/// One connected client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its name.
    pub client: String,
    /// How it is connected.
    pub transport: Transport,
    /// From where.
    pub address: IpAddr,
    /// The `sub` of its token.
    pub user: Option<String>,
    /// What it follows.
    pub channels: Vec<Channel>,
    /// Where it stands.
    pub cursor: Cursor,
    /// What its application said it has dealt with.
    pub acked: Option<Cursor>,
    /// How many offsets of the log lie between it and the tail; 0 when it is live.
    pub lag: u64,
    /// `live`, `blocked`, `waiting` (a long-poll) or `polling`.
    pub state: &'static str,
    /// Since when.
    pub connected_at: Timestamp,
    /// Subscriptions that began with a cursor.
    pub resumes: u32,
    /// Gaps it was told of.
    pub gaps: u32,
    /// Events written to it.
    pub delivered: u64,
    /// Bytes written to it.
    pub bytes: u64,
    /// What carries a Socket.IO client's packets: `websocket` or `polling`.
    pub carrier: Option<&'static str>,
    /// A Socket.IO client's namespaces.
    pub namespaces: Vec<ConnectedNamespace>,
}

impl Gateway {
    /// Up to `limit` connected clients, and how many there are. Cost: O(clients), for the console only.
    #[must_use]
    pub fn clients(&self, limit: usize) -> (usize, Vec<Client>) {
        let tail = self.log.tail_offset();
        let mut pollers: HashMap<_, _> = self.only_pollers().into_iter().collect();
        let mut clients = Vec::new();
        let mut total = 0;
        self.readers.fanout.for_each_reader(|reader| {
            total += 1;
            let info = reader.info();
            let polled = match reader.transport() {
                Transport::LongPoll => pollers.remove(&(info.address, info.client.to_string())),
                _ => None,
            };
            if clients.len() < limit {
                clients.push(self.connected(reader, polled.as_ref(), tail));
            }
        });
        total += pollers.len();
        let room = limit.saturating_sub(clients.len());
        clients.extend(pollers.into_iter().take(room).map(|(key, poller)| self.poller(key, poller)));
        (total, clients)
    }

    /// A reader, with what the same client got in polls before this one.
    fn connected(&self, reader: &Reader, polled: Option<&Poller>, tail: Offset) -> Client {
        let (stats, info) = (reader.stats(tail), reader.info());
        let transport = reader.transport();
        let socketio = transport.has_namespaces();
        let carrier = if reader.polls() { "polling" } else { "websocket" };
        let token = stats.namespaces.iter().find_map(|namespace| namespace.user.clone());
        Client {
            client: info.client.to_string(),
            transport,
            address: info.address,
            user: stats.user.as_deref().map(str::to_owned).or(token),
            carrier: socketio.then_some(carrier),
            cursor: self.log.cursor(if stats.behind { stats.cursor } else { tail.max(stats.cursor) }),
            acked: stats.acked,
            lag: if stats.behind { tail.get().saturating_sub(stats.cursor.get()) } else { 0 },
            state: state_of(transport, &stats, reader.polls()),
            connected_at: polled.map_or(info.connected_at, |poller| poller.first),
            resumes: stats.resumes,
            gaps: stats.gaps + polled.map_or(0, |poller| poller.gaps),
            delivered: stats.delivered + polled.map_or(0, |poller| poller.delivered),
            bytes: stats.bytes,
            channels: match polled {
                Some(poller) if stats.channels.is_empty() => poller.channels.clone(),
                _ => stats.channels,
            },
            namespaces: stats.namespaces,
        }
    }

    pub(crate) fn record_poll(&self, polled: &Polled<'_>) {
        let metrics = &self.metrics;
        metrics.polls.fetch_add(1, Relaxed);
        metrics.deliveries.fetch_add(polled.events as u64, Relaxed);
        metrics.gaps.fetch_add(u64::from(polled.gap), Relaxed);
        self.readers.pollers.record(polled, self.clock.now());
    }

    /// How many distinct clients polled without waiting in the last 30 s.
    #[must_use]
    pub fn pollers(&self) -> usize {
        self.only_pollers().iter().filter(|(_, poller)| !poller.waits).count()
    }

    /// Those who poll and do nothing else. A client also polls once while its connection opens, and that poll
    /// may arrive after the connection did: whoever has one is forgotten here. Cost: O(readers), and only
    /// while somebody polls.
    fn only_pollers(&self) -> Vec<((IpAddr, String), Poller)> {
        let mut pollers = self.readers.pollers.list(self.clock.now());
        let names: HashSet<&str> = pollers.iter().map(|((_, client), _)| client.as_str()).collect();
        let mut connected = HashSet::new();
        if !names.is_empty() {
            self.readers.fanout.for_each_reader(|reader| {
                let info = reader.info();
                if !reader.transport().answers_requests() && names.contains(&*info.client) {
                    connected.insert((info.address, info.client.to_string()));
                }
            });
        }
        for (address, client) in &connected {
            self.readers.pollers.forget(*address, client);
        }
        pollers.retain(|(key, _)| !connected.contains(key));
        pollers
    }

    /// How many readers follow a channel.
    #[must_use]
    pub fn subscribers(&self, channel: &Channel) -> usize {
        self.readers.fanout.watchers(channel)
    }

    fn poller(&self, (address, client): (IpAddr, String), poller: Poller) -> Client {
        Client {
            client,
            transport: if poller.waits { Transport::LongPoll } else { Transport::Poll },
            address,
            user: None,
            channels: poller.channels,
            cursor: self.log.cursor(poller.offset),
            acked: None,
            lag: 0,
            state: if poller.waits { "waiting" } else { "polling" },
            connected_at: poller.first,
            resumes: 0,
            gaps: poller.gaps,
            delivered: poller.delivered,
            bytes: 0,
            carrier: None,
            namespaces: Vec::new(),
        }
    }
}

fn state_of(transport: Transport, stats: &ReaderStats, polls: bool) -> &'static str {
    match (transport, stats.mode) {
        (Transport::LongPoll, _) => "waiting",
        (_, Mode::Live) if polls => "waiting",
        _ if polls => "polling",
        _ if stats.behind => "blocked",
        _ => "live",
    }
}
