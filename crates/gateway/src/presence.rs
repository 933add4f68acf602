//! Presence: who is on a channel (PROTOCOL.md, section 9).
//!
//! Joining and leaving are events of the log on `$presence:<channel>`, so they reach every transport like any other.
//!
//! Knows: members of channels that keep presence. Does not know: transports.
//!
//! Invariants:
//! - A member is counted once a connection; the `leave` comes [`LINGER`] after its last connection ended, if none came since.
//! - At most [`MEMBERS_MAX`] members in all; who comes after that is subscribed, but not a member.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use anywire_log::{Batch, Channel, Clock, Cursor, EventName, Log, Payload, Publication};
use anywire_protocol::native::{Member, write_member};
use parking_lot::Mutex;

use crate::fanout::ReaderInfo;

/// How long a client that dropped stays a member: a change of transport is not a leave and a join.
const LINGER: Duration = Duration::from_secs(5);
const MEMBERS_MAX: usize = 100_000;

type Members = HashMap<Channel, BTreeMap<Box<str>, Here>>;

struct Here {
    member: Member,
    connections: u32,
    /// Raised whenever the count changes, so that a lingering leave knows whether it still holds.
    turn: u64,
}

/// Who is where.
pub(crate) struct Presence {
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    members: Mutex<(Members, usize)>,
}

impl Presence {
    pub(crate) fn new(log: Arc<Log>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { log, clock, members: Mutex::default() })
    }

    /// The channel on which joins and leaves of a channel are published.
    fn companion(channel: &Channel) -> Option<Channel> {
        Channel::new(&format!("$presence:{channel}")).ok()
    }

    /// Whether a channel keeps presence.
    pub(crate) fn is_kept(&self, channel: &Channel) -> bool {
        self.log.rules().of(channel).presence
    }

    /// A connection of a client has subscribed with presence.
    pub(crate) fn join(self: &Arc<Self>, info: &ReaderInfo, channels: &[Channel]) {
        for channel in channels.iter().filter(|channel| self.is_kept(channel)) {
            let mut guard = self.members.lock();
            let (members, count) = &mut *guard;
            let here = members.entry(channel.clone()).or_default();
            if let Some(known) = here.get_mut(&info.client) {
                known.connections += 1;
                known.turn += 1;
                continue;
            }
            if *count >= MEMBERS_MAX {
                continue;
            }
            *count += 1;
            let user = info.user.as_deref().map(str::to_owned);
            let member = Member { client: info.client.to_string(), user, joined_at: self.clock.now() };
            here.insert(info.client.clone(), Here { member: member.clone(), connections: 1, turn: 0 });
            drop(guard);
            self.publish(channel, "join", &member);
        }
    }

    /// A connection of a client has ended, or does not follow these channels any more.
    pub(crate) fn leave(self: &Arc<Self>, info: &ReaderInfo, channels: &[Channel]) {
        for channel in channels {
            let mut guard = self.members.lock();
            let Some(known) = guard.0.get_mut(channel).and_then(|here| here.get_mut(&info.client)) else {
                continue;
            };
            known.connections = known.connections.saturating_sub(1);
            known.turn += 1;
            let (gone, turn) = (known.connections == 0, known.turn);
            drop(guard);
            if gone {
                let (presence, channel, client) = (Arc::clone(self), channel.clone(), info.client.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(LINGER).await;
                    presence.remove_if_gone(&channel, &client, turn);
                });
            }
        }
    }

    /// A connection of a client has ended.
    pub(crate) fn leave_all(self: &Arc<Self>, info: &ReaderInfo) {
        let guard = self.members.lock();
        if guard.1 == 0 {
            return;
        }
        let channels: Vec<Channel> = guard
            .0
            .iter()
            .filter(|(_, here)| here.get(&info.client).is_some_and(|known| known.connections > 0))
            .map(|(channel, _)| channel.clone())
            .collect();
        drop(guard);
        self.leave(info, &channels);
    }

    fn remove_if_gone(&self, channel: &Channel, client: &str, turn: u64) {
        let mut guard = self.members.lock();
        let (members, count) = &mut *guard;
        let Some(here) = members.get_mut(channel) else { return };
        if !here.get(client).is_some_and(|known| known.connections == 0 && known.turn == turn) {
            return;
        }
        let Some(known) = here.remove(client) else { return };
        *count -= 1;
        if here.is_empty() {
            members.remove(channel);
        }
        drop(guard);
        self.publish(channel, "leave", &known.member);
    }

    /// Who is on a channel, and the cursor from which joins and leaves follow.
    pub(crate) fn members(&self, channel: &Channel) -> (Cursor, Vec<Member>) {
        // The cursor first: a join between the two is told twice rather than not at all.
        let cursor = self.log.tail_cursor();
        let guard = self.members.lock();
        let here = guard.0.get(channel).into_iter().flat_map(BTreeMap::values);
        (cursor, here.map(|known| known.member.clone()).collect())
    }

    fn publish(&self, channel: &Channel, name: &str, member: &Member) {
        let (Some(channel), Ok(name)) = (Self::companion(channel), EventName::new(name)) else { return };
        let mut data = Vec::new();
        write_member(&mut data, member);
        let batch = Batch::one(Publication { channel, name, payload: Payload::Json(data.into()) });
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            if let Err(error) = log.append(batch).await {
                tracing::warn!(%error, "a join or leave was not published");
            }
        });
    }
}
