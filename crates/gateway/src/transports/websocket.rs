//! One native WebSocket connection: frames become commands, commands become answers.
//!
//! Invariants:
//! - Answers go through the reader, so they never interleave with events.
//! - `subscribed` is queued before the first event of the subscription.
//! - Nothing follows a close frame.

use std::{collections::VecDeque, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use anywire_access::Principal;
use anywire_log::{Batch, Channel, Position};
use anywire_protocol::{
    Code, Refusal,
    native::{ClientFrame, Command, FrameError, ServerFrame, parse_frame},
    request::check_channels,
    websocket::{Limits, Received, Receiver, Violation, close_frame, close_reply_frame, pong_frame},
};
use bytes::Bytes;
use smallvec::smallvec;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Sleep,
};

use crate::{
    Gateway,
    admission::entry::Admitted,
    admission::{act::Act, rates::Account, rights::Rights as _, unfinished::Kept},
    delivery::{Reader, UNSENT_BYTES_MAX, Wire},
    http::connection::drive_woken,
    http1::connection::{Input, drive},
    http1::socket::Flow,
    metrics::Transport,
    transports::publish::append,
};

/// How long before its end a client hears that its token runs out.
const EXPIRY_WARNING: Duration = Duration::from_secs(10);
/// How long a client without a token may take to send one.
const AUTH_TIME: Duration = Duration::from_secs(10);
/// The close code for a message over its limit.
const TOO_LARGE: u16 = 1009;
/// The close code where there is no room for a message at the moment.
pub(crate) const TRY_AGAIN_LATER: u16 = 1013;

/// Serves a connection whose socket the gateway owns; the answer to the upgrade has been queued or sent.
pub(crate) async fn serve_direct(
    gateway: Arc<Gateway>,
    stream: Arc<TcpStream>,
    admitted: Box<Admitted>,
    address: IpAddr,
) {
    let wire = Wire::Direct(Arc::clone(&stream));
    let reader = gateway.readers.open(Transport::WebSocket, &admitted, address, wire);
    let mut session =
        Session::new(Arc::clone(&gateway), Arc::clone(&reader), admitted.principal, admitted.account);
    drive(&gateway, &reader, &stream, &mut session).await;
}

/// Serves a connection over any stream: TLS, or another server's.
pub(crate) async fn serve_woken<S>(gateway: Arc<Gateway>, stream: S, admitted: Box<Admitted>, address: IpAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let reader = gateway.readers.open(Transport::WebSocket, &admitted, address, Wire::Woken);
    let mut session =
        Session::new(Arc::clone(&gateway), Arc::clone(&reader), admitted.principal, admitted.account);
    drive_woken(&gateway, &reader, stream, &mut session).await;
}

/// What came in one read.
enum Arrived {
    Frame(Result<ClientFrame, FrameError>),
    Ping(Bytes),
    Close(Bytes),
    /// The beginning of a message was given up.
    GivenUp(Refusal),
}

struct Session {
    gateway: Arc<Gateway>,
    reader: Arc<Reader>,
    principal: Principal,
    receiver: Receiver,
    kept: Kept,
    /// To whom is charged what it does; none without a limit.
    account: Option<Arc<Account>>,
    arrived: VecDeque<Arrived>,
    expiry: Option<Pin<Box<Sleep>>>,
    warned: bool,
}

impl Input for Session {
    fn receive(&mut self, bytes: &mut [u8]) -> Flow {
        self.reader.record_heard(self.gateway.delivery.now_ms());
        let limits = self.gateway.admission.frame_limits();
        let message_bytes_max = self.message_bytes_max();
        let arrived = &mut self.arrived;
        let received = self.receiver.receive(bytes, &Limits { message_bytes_max }, &mut |received| {
            arrived.extend(match received {
                Received::Text(text) => Some(Arrived::Frame(parse_frame(text, &limits))),
                Received::Binary(_) => Some(Arrived::Close(close_frame(1003, "frames are text"))),
                Received::Ping(payload) => Some(Arrived::Ping(pong_frame(payload))),
                Received::Pong(_) => None,
                Received::Close { code, .. } => Some(Arrived::Close(close_reply_frame(code))),
            });
        });
        if let Err(violation) = received {
            let frame = self.violation_frame(&violation, message_bytes_max);
            self.arrived.push_back(Arrived::Close(frame));
        }
        if let Err(refusal) = self.kept.set(self.receiver.kept_bytes()) {
            self.receiver = Receiver::new();
            self.arrived.push_back(Arrived::GivenUp(refusal));
        }
        Flow::Go
    }

    fn waits(&self) -> bool {
        !self.arrived.is_empty()
    }

    async fn act(&mut self) -> Flow {
        while let Some(arrived) = self.arrived.pop_front() {
            let flow = match arrived {
                Arrived::Frame(Ok(frame)) => Box::pin(self.command(frame)).await,
                Arrived::Frame(Err(error)) => self.refuse(error.id, &error.refusal),
                Arrived::Ping(pong) => self.send(pong),
                Arrived::Close(frame) => self.close(frame),
                Arrived::GivenUp(refusal) => {
                    self.refuse(None, &refusal);
                    self.close(close_frame(TRY_AGAIN_LATER, refusal.code.as_str()))
                }
            };
            if flow == Flow::End {
                return Flow::End;
            }
            // One read may bring thousands: others have their turn between them.
            tokio::task::consume_budget().await;
            // A few bytes may ask for many: the rest waits until the answers have left.
            if self.waits() && self.reader.unsent_bytes() >= UNSENT_BYTES_MAX {
                return Flow::Go;
            }
        }
        // An idle connection keeps no buffer.
        self.arrived = VecDeque::new();
        Flow::Go
    }

    async fn timer(&mut self) -> Flow {
        match &mut self.expiry {
            Some(sleep) => sleep.as_mut().await,
            None => std::future::pending().await,
        }
        self.token_runs_out()
    }
}

impl Session {
    fn new(
        gateway: Arc<Gateway>,
        reader: Arc<Reader>,
        principal: Principal,
        account: Option<Arc<Account>>,
    ) -> Self {
        let kept = gateway.admission.unfinished.keep_nothing();
        let mut session = Self {
            kept,
            gateway,
            reader,
            principal,
            receiver: Receiver::new(),
            account,
            arrived: VecDeque::new(),
            expiry: None,
            warned: false,
        };
        if session.principal.is_nobody() {
            // Who does not say who they are is not kept.
            session.warned = true;
            session.expiry = Some(Box::pin(tokio::time::sleep(AUTH_TIME)));
        } else {
            session.set_expiry();
        }
        session
    }

    fn send(&self, frame: Bytes) -> Flow {
        if self.reader.send(&self.gateway.delivery, frame) { Flow::Go } else { Flow::End }
    }

    fn close(&self, frame: Bytes) -> Flow {
        self.reader.say_goodbye(&self.gateway.delivery, [frame]);
        Flow::End
    }

    /// A message is a publication and some words around it; a batch may hold several.
    fn message_bytes_max(&self) -> usize {
        let small = self.gateway.admission.small_message_bytes_max();
        let most = if self.principal.publishes() { usize::MAX } else { small };
        self.gateway.config.limits.request_bytes_max.min(most)
    }

    fn violation_frame(&self, violation: &Violation, message_bytes_max: usize) -> Bytes {
        if violation.close_code != TOO_LARGE {
            return close_frame(violation.close_code, violation.reason);
        }
        let limited = message_bytes_max < self.gateway.config.limits.request_bytes_max;
        let why = if limited { "who may publish nothing needs no more" } else { "limits.request_bytes_max" };
        close_frame(TOO_LARGE, &format!("a message has more than {message_bytes_max} bytes ({why})"))
    }

    fn refuse(&self, id: Option<u64>, refusal: &Refusal) -> Flow {
        self.gateway.metrics.refusals.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(ServerFrame::Error { id, refusal }.encode());
        match refusal.code.close_code() {
            // A wrong publication is the client's mistake, not the connection's end; only authorization ends
            // it.
            Some(code) if matches!(refusal.code, Code::Unauthorized | Code::TokenExpired) => {
                self.close(close_frame(code, refusal.code.as_str()))
            }
            _ => Flow::Go,
        }
    }

    async fn command(&mut self, frame: ClientFrame) -> Flow {
        let id = frame.id;
        let done = match frame.command {
            Command::Subscribe { channels, position, presence } => {
                self.subscribe(id, channels, position, presence)
            }
            Command::Unsubscribe(channels) => {
                self.unsubscribe(id, &channels);
                Ok(Flow::Go)
            }
            Command::Publish(batch) => self.publish(id, batch).await,
            Command::Presence(channel) => self.presence(id, &channel),
            Command::Auth(token) => self.authorize(id, &token),
            Command::Ack(cursor) => self.charge(Act::Ack, 1).map(|()| {
                self.reader.record_ack(cursor);
                Flow::Go
            }),
            Command::Ping => Ok(self.send(ServerFrame::Pong { id }.encode())),
        };
        done.unwrap_or_else(|refusal| self.refuse(id, &refusal))
    }

    fn subscribe(
        &self,
        id: Option<u64>,
        mut channels: Vec<Channel>,
        position: Position,
        presence: bool,
    ) -> Result<Flow, Refusal> {
        let mut seen = std::collections::HashSet::new();
        channels.retain(|channel| seen.insert(channel.clone()));
        self.principal.check_subscribe(&channels)?;
        let tail = self.gateway.log.tail_offset();
        let known = self.reader.stats(tail).channels;
        let fresh: Vec<Channel> =
            channels.iter().filter(|channel| !known.contains(channel)).cloned().collect();
        check_channels(known.len() + fresh.len(), self.gateway.config.limits.channels_max)?;
        let gateway = &self.gateway;
        let client = Some(&*self.reader.info().client);
        gateway.admission.charge_channels(self.account.as_deref(), client, &channels, presence)?;
        let mut gap = false;
        self.reader.change(|subscription| {
            // What it follows already stays where it is, unless it asks for a place: it may be behind, and
            // must not lose what lies between.
            let moved = if position == Position::Tail { &fresh } else { &channels };
            subscription.move_to_tail(&gateway.log);
            let started = gateway.log.subscribe(subscription, moved, position);
            let positions = channels.iter().filter_map(|channel| subscription.position(channel));
            let cursor = gateway.log.cursor(positions.min().unwrap_or(started.after));
            let heartbeat_ms = gateway.config.heartbeat_ms;
            let mut frames =
                smallvec![ServerFrame::Subscribed { id, channels: &channels, cursor, heartbeat_ms }.encode()];
            if let Some(found) = &started.gap {
                frames.push(ServerFrame::Gap(found).encode());
                gap = true;
            }
            frames
        });
        gateway.readers.record_start(&self.reader, position, gap);
        gateway.readers.watch(&self.reader, &fresh);
        if presence {
            gateway.readers.presence.join(&self.reader, &channels);
        }
        Ok(Flow::Go)
    }

    /// Charges an act, or refuses it.
    fn charge(&self, act: Act, count: usize) -> Result<(), Refusal> {
        self.gateway.admission.charge(self.account.as_deref(), act, count)
    }

    fn unsubscribe(&self, id: Option<u64>, channels: &[Channel]) {
        self.reader.change(|subscription| {
            for channel in channels {
                subscription.remove(channel);
            }
            smallvec![ServerFrame::Unsubscribed { id, channels }.encode()]
        });
        for channel in channels {
            self.gateway.readers.fanout.unwatch_reader(&self.reader, channel);
        }
        self.gateway.readers.presence.leave(&self.reader, channels);
    }

    async fn publish(&mut self, id: Option<u64>, batch: Batch) -> Result<Flow, Refusal> {
        self.gateway.admission.check_publish(&self.principal, &batch)?;
        self.charge(Act::Publish, batch.publications.len())?;
        let address = self.reader.info().address;
        let appended = append(&self.gateway, &self.principal, address, batch).await?;
        let offsets: Vec<u64> = appended.offsets().map(anywire_log::Offset::get).collect();
        let cursor = self.gateway.log.cursor(appended.last());
        let duplicate = appended.duplicate;
        Ok(self.send(ServerFrame::Published { id, cursor, offsets: &offsets, duplicate }.encode()))
    }

    fn presence(&self, id: Option<u64>, channel: &Channel) -> Result<Flow, Refusal> {
        self.principal.check_subscribe(std::slice::from_ref(channel))?;
        self.charge(Act::Subscribe, 1)?;
        let (cursor, members) = self.gateway.readers.presence.members(channel);
        Ok(self.send(ServerFrame::Presence { id, channel, cursor, members: &members }.encode()))
    }

    fn authorize(&mut self, id: Option<u64>, token: &str) -> Result<Flow, Refusal> {
        // Who has a token may show it again and again, and each time it is verified.
        self.charge(Act::Handshake, 1)?;
        let principal = self.gateway.admission.gate.principal_of(token)?;
        let channels = self.reader.stats(self.gateway.log.tail_offset()).channels;
        principal.check_subscribe(&channels)?;
        let (presence, reader) = (&self.gateway.readers.presence, &self.reader);
        let is_another = reader.user().as_deref() != principal.user();
        let left = if is_another { presence.leave_as_another(reader) } else { Vec::new() };
        reader.set_principal(&principal);
        self.account = self.gateway.admission.account(&principal, self.reader.info().address);
        if !left.is_empty() {
            // Who it is now comes, as far as that one may.
            let (account, client) = (self.account.as_deref(), None);
            if self.gateway.admission.charge_channels(account, client, &left, true).is_ok() {
                self.gateway.readers.presence.join(&self.reader, &left);
            }
        }
        self.principal = principal;
        self.set_expiry();
        let expires_at = self.principal.expires_at();
        Ok(self.send(ServerFrame::Authorized { id, expires_at }.encode()))
    }

    fn set_expiry(&mut self) {
        self.warned = false;
        self.expiry = self.token_left().map(|left| {
            let until_warning = left.saturating_sub(EXPIRY_WARNING);
            Box::pin(tokio::time::sleep(until_warning))
        });
    }

    fn token_left(&self) -> Option<Duration> {
        self.gateway.admission.token_left_ms(&self.principal).map(Duration::from_millis)
    }

    fn token_runs_out(&mut self) -> Flow {
        let refusal = match self.principal.is_nobody() {
            true => Refusal::new(Code::Unauthorized, "no token came in time; send \"auth\" with one first"),
            false => Refusal::new(Code::TokenExpired, "the token runs out; send \"auth\" with a new one"),
        };
        if std::mem::replace(&mut self.warned, true) {
            return self.refuse(None, &refusal);
        }
        let left = self.token_left().unwrap_or_default();
        self.expiry = Some(Box::pin(tokio::time::sleep(left)));
        self.send(ServerFrame::Error { id: None, refusal: &refusal }.encode())
    }
}
