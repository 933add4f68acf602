//! Presence: who is on a channel (PROTOCOL.md, section 9).
//!
//! Joining and leaving are events of the log on `$presence:<channel>`, so they reach every transport like any
//! other.
//!
//! Invariants:
//! - A connection counts for its client on the channels that it joined itself, once each; other connections
//!   by the same name change nothing.
//! - The `leave` comes [`LINGER`] after a member's last connection ended, if none came since.
//! - Joins and leaves of a member are in the log in the order in which they happened.
//! - At most [`MEMBERS_MAX`] members in all; who comes after that is subscribed, but not a member.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use anywire_log::{AppendError, Batch, Channel, Clock, Cursor, EventName, Log, Payload, Publication};
use anywire_protocol::native::{Member, write_member};
use parking_lot::Mutex;

use crate::delivery::Reader;

/// How long a client that dropped stays a member: a change of transport is not a leave and a join.
const LINGER: Duration = Duration::from_secs(5);
const MEMBERS_MAX: usize = 100_000;

struct Here {
    member: Member,
    connections: u32,
    /// Raised whenever the count changes, so that a lingering leave knows whether it still holds.
    turn: u64,
}

#[derive(Default)]
struct State {
    members: HashMap<Channel, BTreeMap<Box<str>, Here>>,
    count: usize,
    /// On which channels each connection is counted. Only those that joined one are here.
    joined: HashMap<ConnectionId, Vec<Channel>>,
}

/// Which connection: the place of its reader, which is held until it has left.
type ConnectionId = usize;

fn id(reader: &Arc<Reader>) -> ConnectionId {
    Arc::as_ptr(reader) as usize
}

/// Who is where.
pub(crate) struct Presence {
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Presence {
    pub(crate) fn new(log: Arc<Log>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { log, clock, state: Mutex::default() })
    }

    /// The channel on which joins and leaves of a channel are published.
    fn companion(channel: &Channel) -> Option<Channel> {
        Channel::new(&format!("$presence:{channel}")).ok()
    }

    /// Whether a channel keeps presence.
    pub(crate) fn is_kept(&self, channel: &Channel) -> bool {
        self.log.rules().of(channel).presence
    }

    /// Of how many of these channels a client would become a member; one without a name of its own is none
    /// yet.
    pub(crate) fn count_new(&self, client: Option<&str>, channels: &[Channel]) -> usize {
        let kept = channels.iter().filter(|channel| self.is_kept(channel));
        let Some(client) = client else { return kept.count() };
        let state = self.state.lock();
        let is_member =
            |channel: &&Channel| state.members.get(*channel).is_some_and(|here| here.contains_key(client));
        kept.filter(|channel| !is_member(channel)).count()
    }

    /// A connection of a client has subscribed with presence.
    pub(crate) fn join(&self, reader: &Arc<Reader>, channels: &[Channel]) {
        for channel in channels.iter().filter(|channel| self.is_kept(channel)) {
            let mut state = self.state.lock();
            let counted = state.joined.get(&id(reader)).is_some_and(|joined| joined.contains(channel));
            if !counted && self.count_in(&mut state, reader, channel) {
                state.joined.entry(id(reader)).or_default().push(channel.clone());
            }
        }
    }

    /// Counts a connection; false if there is no room for a member more.
    fn count_in(&self, state: &mut State, reader: &Reader, channel: &Channel) -> bool {
        let client = &reader.info().client;
        if let Some(known) = state.members.get_mut(channel).and_then(|here| here.get_mut(client)) {
            known.connections += 1;
            known.turn += 1;
            return true;
        }
        if state.count >= MEMBERS_MAX {
            return false;
        }
        state.count += 1;
        let user = reader.user().map(Into::into);
        let member = Member { client: client.to_string(), user, joined_at: self.clock.now() };
        self.publish(channel, "join", &member);
        let here = state.members.entry(channel.clone()).or_default();
        here.insert(client.clone(), Here { member, connections: 1, turn: 0 });
        true
    }

    /// A connection does not follow these channels any more.
    pub(crate) fn leave(self: &Arc<Self>, reader: &Arc<Reader>, channels: &[Channel]) {
        let mut state = self.state.lock();
        let Some(joined) = state.joined.get_mut(&id(reader)) else { return };
        let left = joined.extract_if(.., |channel| channels.contains(channel)).collect();
        if joined.is_empty() {
            state.joined.remove(&id(reader));
        }
        self.count_out(&mut state, reader, left);
    }

    /// A connection has ended.
    pub(crate) fn leave_all(self: &Arc<Self>, reader: &Arc<Reader>) {
        let mut state = self.state.lock();
        if let Some(left) = state.joined.remove(&id(reader)) {
            self.count_out(&mut state, reader, left);
        }
    }

    /// A connection becomes somebody else's: where it alone was a member, that one has left, at once. Returns
    /// where it was counted.
    pub(crate) fn leave_as_another(&self, reader: &Arc<Reader>) -> Vec<Channel> {
        let mut state = self.state.lock();
        let left = state.joined.remove(&id(reader)).unwrap_or_default();
        let client = &reader.info().client;
        for channel in &left {
            let Some(known) = state.members.get_mut(channel).and_then(|here| here.get_mut(client)) else {
                continue;
            };
            known.connections = known.connections.saturating_sub(1);
            known.turn += 1;
            let turn = known.turn;
            self.remove_now(&mut state, channel, client, turn);
        }
        left
    }

    fn count_out(self: &Arc<Self>, state: &mut State, reader: &Reader, channels: Vec<Channel>) {
        let client = &reader.info().client;
        for channel in channels {
            let Some(known) = state.members.get_mut(&channel).and_then(|here| here.get_mut(client)) else {
                continue;
            };
            known.connections = known.connections.saturating_sub(1);
            known.turn += 1;
            if known.connections == 0 {
                let (presence, client, turn) = (Arc::clone(self), client.clone(), known.turn);
                tokio::spawn(async move {
                    tokio::time::sleep(LINGER).await;
                    presence.remove_if_gone(&channel, &client, turn);
                });
            }
        }
    }

    fn remove_if_gone(&self, channel: &Channel, client: &str, turn: u64) {
        self.remove_now(&mut self.state.lock(), channel, client, turn);
    }

    fn remove_now(&self, state: &mut State, channel: &Channel, client: &str, turn: u64) {
        let Some(here) = state.members.get_mut(channel) else { return };
        if !here.get(client).is_some_and(|known| known.connections == 0 && known.turn == turn) {
            return;
        }
        let Some(known) = here.remove(client) else { return };
        if here.is_empty() {
            state.members.remove(channel);
        }
        state.count -= 1;
        self.publish(channel, "leave", &known.member);
    }

    /// Who is on a channel, and the cursor from which joins and leaves follow.
    pub(crate) fn members(&self, channel: &Channel) -> (Cursor, Vec<Member>) {
        // The cursor first: a join between the two is told twice rather than not at all.
        let cursor = self.log.tail_cursor();
        let state = self.state.lock();
        let here = state.members.get(channel).into_iter().flat_map(BTreeMap::values);
        (cursor, here.map(|known| known.member.clone()).collect())
    }

    /// Called under the lock, and handed to the engine at once: else a leave could overtake the join after
    /// it.
    fn publish(&self, channel: &Channel, name: &str, member: &Member) {
        let (Some(channel), Ok(name)) = (Self::companion(channel), EventName::new(name)) else { return };
        let mut data = Vec::new();
        write_member(&mut data, member);
        let batch = Batch::one(Publication { channel, name, payload: Payload::Json(data.into()) });
        let appended = self.log.engine().append(batch);
        tokio::spawn(async move {
            match appended.await {
                // Who watches hears of the restart, and asks anew.
                Ok(_) | Err(AppendError::Closed) => {}
                Err(error) => tracing::warn!(%error, "a join or leave was not published"),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use anywire_log::{
        ChannelPattern, MemoryEngine, Position, Retention, RetentionRule, RetentionRules, Subscription,
        SystemClock, TailConfig, Timestamp,
    };

    use super::*;
    use crate::{
        delivery::{ReaderInfo, Wire},
        metrics::Transport,
    };

    fn presence() -> Arc<Presence> {
        let retention = Retention { presence: true, ..Retention::default() };
        let rule = RetentionRule { pattern: ChannelPattern::new("room"), retention };
        let rules = RetentionRules::new(vec![rule], Retention::default());
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("randomness");
        Presence::new(Log::start(Arc::new(engine), rules, TailConfig::default()), Arc::new(SystemClock))
    }

    fn reader(client: &str) -> Arc<Reader> {
        let info = ReaderInfo {
            client: client.into(),
            address: [127, 0, 0, 1].into(),
            connected_at: Timestamp::default(),
        };
        Reader::new(Transport::WebSocket, info, 0, Wire::Woken, 0)
    }

    fn connections(presence: &Presence, client: &str) -> Option<u32> {
        let state = presence.state.lock();
        state.members.get("room").and_then(|here| here.get(client)).map(|known| known.connections)
    }

    #[tokio::test]
    async fn a_member_leaves_with_the_connections_that_joined_and_no_others() {
        let presence = presence();
        let room = [Channel::new("room").expect("a name")];
        let (first, second, other) = (reader("ann"), reader("ann"), reader("ann"));
        presence.join(&first, &room);
        presence.join(&first, &room);
        assert_eq!(connections(&presence, "ann"), Some(1), "a connection counts once");
        // Another tab or transport of the same client, which never joined.
        presence.leave(&other, &room);
        presence.leave_all(&other);
        assert_eq!(connections(&presence, "ann"), Some(1));
        presence.join(&second, &room);
        presence.leave_all(&first);
        assert_eq!(connections(&presence, "ann"), Some(1));
        presence.leave(&second, &room);
        presence.leave_all(&second);
        assert_eq!(connections(&presence, "ann"), Some(0));
        assert!(presence.state.lock().joined.is_empty());
    }

    #[tokio::test]
    async fn joins_and_leaves_are_in_the_log_in_the_order_in_which_they_happened() {
        let presence = presence();
        let room = [Channel::new("room").expect("a name")];
        let companion = Presence::companion(&room[0]).expect("a name");
        let mut subscription = Subscription::new();
        presence.log.subscribe(&mut subscription, std::slice::from_ref(&companion), Position::Oldest);
        for _ in 0..50 {
            let reader = reader("ann");
            presence.join(&reader, &room);
            presence.leave_all(&reader);
            let turn = presence.state.lock().members["room"]["ann"].turn;
            presence.remove_if_gone(&room[0], "ann", turn);
        }
        let mut events = Vec::new();
        let limit = anywire_log::ReadLimit { events_max: 1000, bytes_max: 1 << 20 };
        subscription.peek(&presence.log, limit, &mut events);
        let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["join", "leave"].repeat(50));
    }
}
