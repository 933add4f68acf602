//! Rooms are channels: `subscribe`, `unsubscribe`, and emits that are publications.
//!
//! Invariants:
//! - Joining a channel in one namespace never changes what another namespace of the connection gets.

use std::sync::Arc;

use anywire_log::{Batch, Channel, Cursor, EventName, Gap, Log, Offset, Position, Publication, Subscription};
use anywire_protocol::{
    Code, Refusal,
    json::write_gap,
    names::Wanted,
    socketio::{Ack, Args, Emit, ServerPacket, publication_payload},
};
use serde_json::{Value, json};
use smallvec::SmallVec;

use super::{
    places::Room,
    recovery::{forget_socket, record_bytes, remember},
    state::Inbound,
};
use crate::{
    Gateway,
    admission::{act::Act, rights::Rights as _},
    delivery::{Namespaces, Reader},
    transports::publish::append,
};

/// What following channels came to.
pub(super) struct Followed {
    /// Delivery starts after this offset.
    pub(super) after: Offset,
    /// Channels the connection did not follow before, in any namespace.
    pub(super) fresh: Vec<Channel>,
    /// The gap that the position itself makes.
    pub(super) gap: Option<Gap>,
}

impl Followed {
    pub(super) fn nothing(log: &Log) -> Self {
        Self { after: log.tail_offset(), fresh: Vec::new(), gap: None }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.after = self.after.min(other.after);
        self.fresh.extend(other.fresh);
        self.gap = merge(self.gap.take(), other.gap);
    }
}

/// Adds channels to a namespace. Without a position they start at the tail, and those it follows already stay
/// where they are.
pub(super) fn follow(
    log: &Log,
    subscription: &mut Subscription,
    namespaces: &mut Namespaces,
    namespace: &str,
    channels: &[Channel],
    position: Option<Position>,
) -> Followed {
    let tail = log.tail_offset();
    let mut followed = Followed::nothing(log);
    for channel in channels {
        let standing = subscription.position(channel);
        let shared =
            namespaces.list.iter().any(|entry| &*entry.namespace != namespace && entry.follows(channel));
        let own = namespaces.find(namespace).is_some_and(|entry| entry.follows(channel));
        let from = match (standing, position) {
            (Some(_), None) if own => continue,
            // Another namespace may be behind: this one begins now.
            (Some(_), None) => tail,
            (standing, position) => {
                let position = position.unwrap_or(Position::After(log.cursor(tail)));
                let started = log.subscribe(subscription, std::slice::from_ref(channel), position);
                followed.after = followed.after.min(started.after);
                followed.gap = merge(followed.gap.take(), started.gap);
                match standing {
                    None => {
                        followed.fresh.push(channel.clone());
                        Offset::ZERO
                    }
                    Some(before) if shared && started.after > before => {
                        subscription.add(log.channel(channel), before);
                        started.after
                    }
                    Some(before) => {
                        hold_others(namespaces, namespace, channel, before);
                        Offset::ZERO
                    }
                }
            }
        };
        if let Some(entry) = namespaces.find(namespace) {
            entry.channels.retain(|(other, _)| other != channel);
            entry.channels.push((channel.clone(), from));
        }
    }
    followed
}

/// The subscription has moved back on a channel: other namespaces have had what lies between.
fn hold_others(namespaces: &mut Namespaces, namespace: &str, channel: &Channel, before: Offset) {
    for entry in namespaces.list.iter_mut().filter(|entry| &*entry.namespace != namespace) {
        for (other, from) in entry.channels.iter_mut().filter(|(other, _)| other == channel) {
            debug_assert_eq!(other, channel);
            *from = (*from).max(before);
        }
    }
}

fn merge(one: Option<Gap>, other: Option<Gap>) -> Option<Gap> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.to.offset = one.to.offset.min(other.to.offset);
            one.lost.extend(other.lost);
            Some(one)
        }
        (one, other) => one.or(other),
    }
}

/// The `gap` event for a namespace, if there is one to tell.
pub(super) fn gap_packets(namespace: &str, followed: &Followed) -> SmallVec<[ServerPacket; 1]> {
    let Some(gap) = &followed.gap else { return SmallVec::new() };
    let mut data = Vec::new();
    write_gap(&mut data, "", gap);
    let args = Args { values: vec![String::from_utf8(data).unwrap_or_default()], attachments: Vec::new() };
    Emit { namespace, name: "gap", ack: None, args: &args }.packets()
}

/// What `subscribe` and `unsubscribe` name.
fn wanted(gateway: &Gateway, args: &Args) -> Result<Wanted, Refusal> {
    let values: SmallVec<[&str; 2]> = args.values.iter().map(String::as_str).collect();
    Wanted::parse(&values, gateway.config.limits.channels_max)
}

impl Inbound {
    /// Joins channels; the answer is queued before what comes on them.
    pub(super) async fn subscribe(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        at: usize,
        ack: Option<u64>,
        args: &Args,
    ) -> Result<(), Refusal> {
        let Wanted { channels, position } = wanted(gateway, args)?;
        self.joined[at].principal.check_subscribe(&channels)?;
        Self::check_channels(reader, gateway, &channels)?;
        self.charge(gateway, at, Act::Subscribe, channels.len())?;
        let states = self.states(gateway, at, &channels, position);
        let places = channels.iter().zip(&states).map(|(channel, (_, place))| room(gateway, channel, *place));
        self.keep_rooms(gateway, reader, at, places.collect(), &[]).await?;
        let joined = &self.joined[at];
        let done = reader.change_namespaces(|subscription, namespaces| {
            let mut followed = Followed::nothing(&gateway.log);
            let mut told: SmallVec<[ServerPacket; 2]> = SmallVec::new();
            for (channel, (packets, position)) in channels.iter().zip(states) {
                let one = std::slice::from_ref(channel);
                let next = follow(&gateway.log, subscription, namespaces, &joined.path, one, position);
                told.extend(gap_packets(&joined.path, &next));
                told.extend(packets);
                followed.add(next);
            }
            let mut packets = answer(&joined.path, ack, &channels, gateway.log.cursor(followed.after));
            packets.extend(told);
            (followed, packets)
        });
        if let Some(followed) = done {
            gateway.readers.record_start(reader, position.unwrap_or_default(), followed.gap.is_some());
            gateway.readers.watch(reader, &followed.fresh);
            reader.nudge(&gateway.delivery);
        }
        Ok(())
    }

    /// Where recovery is on: keeps what the socket is about to follow, before it is told so.
    async fn keep_rooms(
        &mut self,
        gateway: &Gateway,
        reader: &Reader,
        at: usize,
        joins: Vec<Room>,
        leaves: &[Channel],
    ) -> Result<(), Refusal> {
        let joined = &mut self.joined[at];
        let Some(recovery) = joined.recovery.as_deref_mut() else { return Ok(()) };
        let (pid, rooms) = recovery;
        let bytes = record_bytes(rooms) + joins.iter().map(Room::bytes).sum::<usize>();
        gateway.admission.charge(joined.account.as_deref(), Act::Recovery, bytes)?;
        rooms.retain(|room| !leaves.contains(&room.channel));
        for join in joins {
            let known = rooms.iter_mut().find(|room| room.channel == join.channel);
            match known {
                // Joining again without saying where changes nothing.
                Some(known) if join.named => *known = join,
                Some(_) => {}
                None => rooms.push(join),
            }
        }
        let user = joined.principal.user();
        remember(&gateway.log, pid, &joined.path, &joined.socket, user, rooms).await;
        if reader.namespace_of(&joined.socket).is_none() {
            // The server has put it out meanwhile: what it forgot then must not come back.
            forget_socket(&gateway.log, pid).await;
        }
        Ok(())
    }

    /// For each channel the state that a client gets at once, and where it goes on from.
    fn states(
        &self,
        gateway: &Gateway,
        at: usize,
        channels: &[Channel],
        position: Option<Position>,
    ) -> Vec<(SmallVec<[ServerPacket; 1]>, Option<Position>)> {
        let joined = &self.joined[at];
        let handlers = gateway.socketio.handlers();
        let info = joined.info(&self.handshake);
        let state_of = |channel: &Channel| {
            if position.is_some() {
                return (SmallVec::new(), position);
            }
            if let Some((name, args, cursor)) = handlers.iter().find_map(|one| one.state_of(&info, channel)) {
                let emit = Emit { namespace: &joined.path, name: &name, ack: None, args: &args };
                return (emit.packets(), Some(Position::After(cursor)));
            }
            let newest =
                joined.namespace.newest_first(channel).then(|| newest(&gateway.log, channel)).flatten();
            (SmallVec::new(), newest)
        };
        channels.iter().map(state_of).collect()
    }

    /// Leaves channels.
    pub(super) async fn unsubscribe(
        &mut self,
        gateway: &Gateway,
        reader: &Arc<Reader>,
        at: usize,
        args: &Args,
    ) -> Result<Value, Refusal> {
        let Wanted { channels, .. } = wanted(gateway, args)?;
        self.keep_rooms(gateway, reader, at, Vec::new(), &channels).await?;
        self.leave_rooms(gateway, reader, &self.joined[at].path, &channels);
        Ok(json!({ "ok": true, "channels": names(&channels) }))
    }

    /// Takes channels away from a namespace.
    pub(super) fn leave_rooms(
        &self,
        gateway: &Gateway,
        reader: &Arc<Reader>,
        namespace: &str,
        channels: &[Channel],
    ) {
        let left = reader.change_namespaces(|subscription, namespaces| {
            let mut left = Vec::new();
            if let Some(entry) = namespaces.find(namespace) {
                entry.channels.retain(|(channel, _)| {
                    let stays = !channels.contains(channel);
                    left.extend((!stays).then(|| channel.clone()));
                    stays
                });
            }
            left.retain(|channel| !namespaces.list.iter().any(|entry| entry.follows(channel)));
            for channel in &left {
                subscription.remove(channel);
            }
            (left, SmallVec::new())
        });
        for channel in left.unwrap_or_default() {
            gateway.readers.fanout.unwatch_reader(reader, &channel);
        }
    }

    /// `publish`: the members of a publication, as over HTTP.
    pub(super) async fn publish(
        &mut self,
        gateway: &Arc<Gateway>,
        at: usize,
        batch: Result<Batch, Refusal>,
    ) -> Result<Value, Refusal> {
        self.append(gateway, at, batch?).await
    }

    /// Any other event, where the namespace says to which channel it goes.
    pub(super) async fn emit(
        &mut self,
        gateway: &Arc<Gateway>,
        at: usize,
        name: &str,
        args: Args,
    ) -> Result<Value, Refusal> {
        let joined = &self.joined[at];
        let Some(channel) = joined.namespace.emit_to.clone() else {
            let message = format!(
                "event {name:?} means nothing on namespace {:?}; emit \"publish\" with {{channel, event, data}}, or set emit_to for it",
                &*joined.path
            );
            return Err(Refusal::new(Code::InvalidEvent, message));
        };
        let name =
            EventName::new(name).map_err(|error| Refusal::new(Code::InvalidEvent, error.to_string()))?;
        let payload = publication_payload(args);
        let (bytes, limit) = (payload.as_bytes().len(), gateway.config.limits.message_bytes_max);
        if bytes > limit {
            let message = format!(
                "event {:?} has {bytes} bytes, the limit is {limit} (limits.message_bytes_max)",
                name.as_str()
            );
            return Err(Refusal::new(Code::TooLarge, message));
        }
        self.append(gateway, at, Batch::one(Publication { channel, name, payload })).await
    }

    async fn append(&mut self, gateway: &Arc<Gateway>, at: usize, batch: Batch) -> Result<Value, Refusal> {
        gateway.admission.check_publish(&self.joined[at].principal, &batch)?;
        self.charge(gateway, at, Act::Publish, batch.publications.len())?;
        let (principal, address) = (&self.joined[at].principal, self.handshake.address);
        let appended = append(gateway, principal, address, batch).await?;
        let offsets: Vec<u64> = appended.offsets().map(Offset::get).collect();
        let cursor = gateway.log.cursor(appended.last()).to_string();
        Ok(match appended.duplicate {
            true => json!({ "ok": true, "cursor": cursor, "offsets": offsets, "duplicate": true }),
            false => json!({ "ok": true, "cursor": cursor, "offsets": offsets }),
        })
    }
}

/// Just before the newest event of a channel, if it holds one.
fn newest(log: &Log, channel: &Channel) -> Option<Position> {
    let state = log.engine().channel_state(channel).filter(|state| state.events > 0)?;
    Some(Position::After(log.cursor(state.last.previous())))
}

fn answer(
    namespace: &str,
    ack: Option<u64>,
    channels: &[Channel],
    cursor: Cursor,
) -> SmallVec<[ServerPacket; 2]> {
    let Some(id) = ack else { return SmallVec::new() };
    let value = json!({ "ok": true, "channels": names(channels), "cursor": cursor.to_string() });
    let args = Args { values: vec![value.to_string()], attachments: Vec::new() };
    Ack { namespace, id, args: &args }.packets().into_iter().collect()
}

fn names(channels: &[Channel]) -> Vec<&str> {
    channels.iter().map(Channel::as_str).collect()
}

/// A channel as it is remembered, that is joined now at a position.
pub(super) fn room(gateway: &Gateway, channel: &Channel, position: Option<Position>) -> Room {
    let from = match position {
        Some(Position::After(cursor)) => cursor.offset,
        Some(Position::Oldest) => Offset::ZERO,
        Some(Position::Tail) | None => gateway.log.tail_offset(),
    };
    Room { channel: channel.clone(), from, named: position.is_some() }
}
