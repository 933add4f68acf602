//! Joining a namespace: who is it, what do they follow from the start, where do they go on.

use std::sync::Arc;

use anywire_access::Principal;
use anywire_log::{Channel, Position};
use anywire_protocol::{
    Code, Refusal,
    json::iso_time,
    socketio::{Args, ConnectAuth, Emit, ServerPacket},
};
use serde_json::json;
use smallvec::{SmallVec, smallvec};

use super::{
    inbound::refused,
    namespaces::Namespace,
    places::Room,
    recovery::{forget_socket, recall, record_bytes, remember},
    rooms::{Followed, follow, gap_packets, room},
    state::{Inbound, Joined, random_id},
};
use crate::{
    Gateway,
    admission::{act::Act, credentials::Credentials, rates::Account, rights::Rights as _},
    delivery::{NamespaceSession, Reader},
    http1::socket::Flow,
};

/// Somebody who may join.
struct Admitted {
    namespace: Arc<Namespace>,
    principal: Principal,
    account: Option<Arc<Account>>,
    wishes: ConnectAuth,
    channels: Vec<Channel>,
}

/// What somebody is to follow from the start.
type Wants = Vec<(Channel, Option<Position>)>;

impl Inbound {
    /// Joins a namespace, or says why not. Joining one twice ends the session.
    pub(super) async fn connect(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        path: &str,
        auth: Option<&str>,
    ) -> Flow {
        if self.joined.iter().any(|joined| *joined.path == *path) {
            return Flow::End;
        }
        let Some(namespace) = gateway.socketio.namespaces.find(&self.handshake.listener, path) else {
            // The message that every client has.
            return send_packet(
                gateway,
                reader,
                &ServerPacket::connect_error(path, "Invalid namespace", None),
            );
        };
        match self.admit(gateway, reader, Arc::clone(namespace), auth) {
            Ok(admitted) => self.join(gateway, reader, path, auth, admitted).await,
            Err(refusal) => {
                gateway.metrics.refusals.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tracing::debug!(client = %reader.info().client, path, %refusal, "joining a namespace was refused");
                send_packet(gateway, reader, &refused(path, &refusal))
            }
        }
    }

    fn admit(
        &self,
        gateway: &Gateway,
        reader: &Reader,
        namespace: Arc<Namespace>,
        auth: Option<&str>,
    ) -> Result<Admitted, Refusal> {
        let limit = gateway.socketio.config.namespaces_max;
        if self.joined.len() >= limit {
            let message = format!(
                "{limit} namespaces on one connection, the limit (socketio.namespaces_max); open another connection"
            );
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
        let wishes = ConnectAuth::parse(auth, gateway.config.limits.channels_max)?;
        let principal = self.principal(gateway, wishes.token.as_deref())?;
        let mut channels = namespace.channels(principal.user());
        channels.extend(wishes.channels.iter().cloned());
        let mut seen = std::collections::HashSet::new();
        channels.retain(|channel| seen.insert(channel.clone()));
        principal.check_subscribe(&channels)?;
        Self::check_channels(reader, gateway, &channels)?;
        let account = gateway.admission.account(&principal, self.handshake.address);
        gateway.admission.charge(account.as_deref(), Act::Subscribe, channels.len())?;
        Ok(Admitted { namespace, principal, account, wishes, channels })
    }

    /// Who it is: by the token in `auth`, or else by what came with the first request.
    fn principal(&self, gateway: &Gateway, token: Option<&str>) -> Result<Principal, Refusal> {
        if let Some(token) = token {
            return gateway.admission.gate.principal_of(token);
        }
        let handshake = &self.handshake;
        let credentials = Credentials {
            authorization: handshake.authorization.as_deref(),
            token: handshake.token.as_deref(),
            ..Credentials::default()
        };
        let gate = &gateway.admission.gate;
        match handshake.session.as_ref().filter(|session| gate.stands(session)) {
            Some(session) if credentials.given().is_none() => Ok(session.clone()),
            _ => gate.principal(&credentials),
        }
    }

    async fn join(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        path: &str,
        auth: Option<&str>,
        admitted: Admitted,
    ) -> Flow {
        let with_cursor = admitted.namespace.recovery || admitted.wishes.recover;
        let (joined, wants) = match with_cursor {
            true => match self.come_back(gateway, path, admitted).await {
                Ok(back) => back,
                Err(refusal) => return send_packet(gateway, reader, &refused(path, &refusal)),
            },
            false => (first_time(path, &admitted), wants_of(&admitted)),
        };
        let pid = joined.recovery.as_ref().map(|recovery| recovery.0.clone());
        let mut packets: SmallVec<[ServerPacket; 2]> =
            smallvec![ServerPacket::connected(path, &joined.socket, pid.as_deref())];
        packets.extend(self.welcome(gateway, &joined, auth));
        let entry = NamespaceSession {
            namespace: Arc::clone(&joined.path),
            socket: joined.socket.clone(),
            principal: joined.principal.clone(),
            with_cursor,
            recovery: pid.clone(),
            channels: SmallVec::new(),
        };
        self.joined.reserve_exact(1);
        self.joined.push(joined);
        self.pending = None;
        let ends_ms = self.ends_ms(gateway);
        let followed = reader.change_namespaces(|subscription, namespaces| {
            namespaces.list.push(entry);
            namespaces.ends_ms = ends_ms;
            let mut all = Followed::nothing(&gateway.log);
            for (channel, position) in &wants {
                let one = std::slice::from_ref(channel);
                all.add(follow(&gateway.log, subscription, namespaces, path, one, *position));
            }
            packets.extend(gap_packets(path, &all));
            (all, packets)
        });
        let Some(followed) = followed else { return Flow::End };
        let begun = wants.iter().find_map(|(_, position)| *position).unwrap_or_default();
        if with_cursor && matches!(begun, Position::After(_)) {
            reader.set_returned();
        }
        gateway.readers.record_start(reader, begun, followed.gap.is_some());
        gateway.readers.watch(reader, &followed.fresh);
        let limit = gateway.socketio.config.recoveries_max;
        let evicted = pid.map(|pid| gateway.readers.places.connected(&pid, reader, limit));
        reader.nudge(&gateway.delivery);
        for pid in evicted.into_iter().flatten() {
            forget_socket(&gateway.log, &pid).await;
        }
        Flow::Go
    }

    /// Somebody who wants to be able to come back, or does.
    async fn come_back(
        &self,
        gateway: &Gateway,
        path: &str,
        admitted: Admitted,
    ) -> Result<(Joined, Wants), Refusal> {
        let mut joined = first_time(path, &admitted);
        let mut wants = wants_of(&admitted);
        let mut rooms: Vec<Room> = Vec::new();
        let mut pid = random_id();
        let user = admitted.principal.user();
        if let Some(known) = &admitted.wishes.pid
            && let Some(back) = recall(&gateway.readers, known, path, user).await
        {
            joined.socket.clone_from(&back.socket);
            pid = known.as_str().into();
            for (room, position) in back.rooms(&gateway.log, admitted.wishes.offset.as_deref()) {
                // What the token does not allow any more is left behind.
                if admitted.principal.check_subscribe(std::slice::from_ref(&room.channel)).is_ok() {
                    wants.retain(|(channel, _)| *channel != room.channel);
                    wants.push((room.channel.clone(), Some(position)));
                    rooms.push(room);
                }
            }
            wants.truncate(gateway.config.limits.channels_max);
        }
        for (channel, position) in &wants {
            if !rooms.iter().any(|room| room.channel == *channel) {
                rooms.push(room(gateway, channel, *position));
            }
        }
        gateway.admission.charge(joined.account.as_deref(), Act::Recovery, record_bytes(&rooms))?;
        remember(&gateway.log, &pid, path, &joined.socket, user, &rooms).await;
        joined.recovery = Some(Box::new((pid, rooms)));
        Ok((joined, wants))
    }

    /// What everybody hears who joins.
    fn welcome(&self, gateway: &Gateway, joined: &Joined, auth: Option<&str>) -> Vec<ServerPacket> {
        let info = joined.info(&self.handshake);
        let mut emits = Vec::new();
        if let Some((name, data)) = &joined.namespace.welcome {
            let now = format!("\"{}\"", iso_time(gateway.clock.now()));
            let values = vec![data.replace("\"$now\"", &now)];
            emits.push((name.as_str().to_owned(), Args { values, attachments: Vec::new() }));
        }
        for handler in gateway.socketio.handlers() {
            emits.extend(handler.connected(&info, auth));
        }
        let packets = emits
            .iter()
            .flat_map(|(name, args)| Emit { namespace: &joined.path, name, ack: None, args }.packets());
        packets.collect()
    }

    /// When the connection's first token runs out, on the gateway's coarse clock.
    fn ends_ms(&self, gateway: &Gateway) -> Option<u64> {
        let ends = self.joined.iter().filter_map(|joined| joined.principal.expires_at()).min()?;
        Some(gateway.delivery.now_ms() + ends.millis_since(gateway.clock.now()))
    }

    /// Takes a new token for a namespace.
    pub(super) fn renew(
        &mut self,
        gateway: &Gateway,
        reader: &Arc<Reader>,
        at: usize,
        args: &Args,
    ) -> Result<serde_json::Value, Refusal> {
        let first = args.values.first().map_or("null", String::as_str);
        let value: serde_json::Value = serde_json::from_str(first).unwrap_or_default();
        let token = value.as_str().or_else(|| value["token"].as_str());
        let Some(token) = token else {
            let message = "\"auth\" needs a token, such as emit(\"auth\", {token})";
            return Err(Refusal::new(Code::InvalidRequest, message));
        };
        self.charge(gateway, at, Act::Handshake, 1)?;
        let principal = gateway.admission.gate.principal_of(token)?;
        let path = Arc::clone(&self.joined[at].path);
        let rooms = reader.rooms(&path);
        principal.check_subscribe(&rooms)?;
        let expires_at = principal.expires_at().map(iso_time);
        self.joined[at].account = gateway.admission.account(&principal, self.handshake.address);
        self.joined[at].principal = principal.clone();
        let ends_ms = self.ends_ms(gateway);
        reader.change_namespaces(|_, namespaces| {
            if let Some(entry) = namespaces.find(&path) {
                entry.principal = principal;
            }
            namespaces.ends_ms = ends_ms;
            ((), SmallVec::new())
        });
        Ok(json!({ "ok": true, "expires_at": expires_at }))
    }
}

fn first_time(path: &str, admitted: &Admitted) -> Joined {
    let (namespace, principal) = (Arc::clone(&admitted.namespace), admitted.principal.clone());
    let account = admitted.account.clone();
    Joined { path: path.into(), socket: random_id(), namespace, principal, account, recovery: None }
}

fn wants_of(admitted: &Admitted) -> Wants {
    // A text that is no cursor is no reason to keep a client out: it starts afresh.
    let position = admitted.wishes.after.as_deref().and_then(|text| text.parse::<Position>().ok());
    admitted.channels.iter().map(|channel| (channel.clone(), position)).collect()
}

fn send_packet(gateway: &Gateway, reader: &Reader, packet: &ServerPacket) -> Flow {
    if reader.send_packets(&gateway.delivery, std::slice::from_ref(packet)) { Flow::Go } else { Flow::End }
}
