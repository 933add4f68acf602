//! One poll on a socket that the gateway owns: answered at once, or left to the fan-out.

use std::{io, net::IpAddr, sync::Arc};

use anywire_log::Channel;
use bytes::BytesMut;
use tokio::net::TcpStream;

use super::{
    connection::say_last_words,
    reply::{Rendered, render},
    waiting::watch_socket,
};
use crate::{
    Gateway,
    admission::entry::Admitted,
    delivery::{Mode, Outcome, PollTerms, Reader, SocketSink, Wire},
    metrics::Transport,
    pollers::Polled,
    readers::OpenReader,
    reply::Reply,
    transports::poll::Poll,
};

/// One poll on a connection that the gateway owns.
pub(super) struct PollRequest<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) stream: &'a Arc<TcpStream>,
    pub(super) address: IpAddr,
    pub(super) admitted: Box<Admitted>,
    /// `If-None-Match`.
    pub(super) known_tags: Option<Box<str>>,
}

impl PollRequest<'_> {
    /// Answers it; whether the connection goes on.
    pub(super) async fn serve(&self, poller: &mut Option<OpenReader>, bytes: &mut BytesMut) -> bool {
        let query = &self.admitted.query;
        let log = &self.gateway.log;
        let mut poll = Poll::begin(log, &query.channels, query.after.unwrap_or_default(), query.limit);
        let answer = match self.read(&mut poll).await {
            None if query.wait_s > 0 => return self.wait(poll, poller, bytes).await.is_ok(),
            None => {
                self.record(poll.idle_cursor(log).offset, 0, false);
                self.render(poll.reply_idle(log, &self.admitted, self.known_tags.as_deref()))
            }
            Some(answer) => answer,
        };
        answer.send(self.stream).await
    }

    /// The answer, if there is anything.
    async fn read(&self, poll: &mut Poll) -> Option<Rendered> {
        match poll.read(&self.gateway.log).await {
            Ok(None) => None,
            Ok(Some(answer)) => {
                self.record(answer.cursor.offset, poll.delivered(), poll.told_gap());
                Some(self.render(Reply::events(answer, self.admitted.credentials)))
            }
            Err(refusal) => Some(self.render(refusal)),
        }
    }

    fn render(&self, reply: impl Into<Reply>) -> Rendered {
        let recipient = self.gateway.admission.recipient(self.admitted.origin.as_deref());
        render(&self.gateway.metrics, reply, recipient)
    }

    fn record(&self, offset: anywire_log::Offset, events: usize, gap: bool) {
        let query = &self.admitted.query;
        self.gateway.record_poll(&Polled {
            address: self.address,
            client: query.client.as_deref(),
            channels: &query.channels,
            offset,
            events,
            gap,
            waits: query.wait_s > 0,
        });
    }

    /// Waits until there is something, or the time is over. The fan-out answers; this task only sees to the
    /// socket.
    async fn wait(
        &self,
        poll: Poll,
        poller: &mut Option<OpenReader>,
        bytes: &mut BytesMut,
    ) -> io::Result<()> {
        let reader = self.poller(poller);
        let now_ms = self.gateway.delivery.now_ms();
        let terms = PollTerms {
            origin: self.admitted.origin.as_deref().map(Into::into),
            credentials: self.admitted.credentials,
            limit: poll.limit(),
            caching: poll.caching(),
            deadline_ms: now_ms + self.gateway.admission.wait_ms(&self.admitted),
            cursor: poll.idle_cursor(&self.gateway.log),
        };
        reader.wake_on_answer(false);
        if !reader.begin_poll(poll.subscription, terms) {
            return Err(Box::pin(self.end()).await);
        }
        loop {
            match reader.drain(&self.gateway.delivery, &mut SocketSink(self.stream), None) {
                Outcome::Answered => return Ok(()),
                Outcome::Full => self.stream.writable().await?,
                Outcome::Live | Outcome::More => {}
                // In boxes of their own, like all that is rare: a poll that waits is as large as its largest
                // step.
                Outcome::Behind(_) => {
                    if Box::pin(self.catch_up(&reader)).await? {
                        return Ok(());
                    }
                }
                Outcome::Broken => {
                    // It was told why it ends, unless the connection is broken.
                    Box::pin(say_last_words(&reader, self.stream)).await;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            }
            let waits = || reader.mode() == Mode::Live;
            while waits() {
                watch_socket(self.stream, bytes, &reader, waits).await?;
            }
            if reader.mode() == Mode::Idle {
                return Ok(());
            }
        }
    }

    /// Reads from the engine what the poll waits for; whether that was answered.
    async fn catch_up(&self, reader: &Reader) -> io::Result<bool> {
        let Some((subscription, terms)) = reader.take_poll() else { return Ok(true) };
        let mut poll = Poll::resume(subscription, terms.limit, terms.caching, terms.cursor);
        if let Some(answer) = self.read(&mut poll).await {
            let kept = answer.send(self.stream).await;
            return if kept { Ok(true) } else { Err(io::ErrorKind::ConnectionAborted.into()) };
        }
        match reader.begin_poll(poll.subscription, terms) {
            true => Ok(false),
            false => Err(self.end().await),
        }
    }

    /// The connection's reader has ended: its client hears when to come back.
    async fn end(&self) -> io::Error {
        let recipient = self.gateway.admission.recipient(self.admitted.origin.as_deref());
        let refusal = self.gateway.why_ended(&self.admitted.principal);
        render(&self.gateway.metrics, refusal, recipient.last()).send(self.stream).await;
        io::ErrorKind::ConnectionAborted.into()
    }

    /// The connection's reader, watching the request's channels.
    fn poller(&self, poller: &mut Option<OpenReader>) -> Arc<Reader> {
        let open = || {
            let wire = Wire::Direct(Arc::clone(self.stream));
            self.gateway.readers.open(Transport::LongPoll, &self.admitted, self.address, wire)
        };
        let fresh = poller.is_none();
        let reader = poller.get_or_insert_with(open);
        // Each request says anew whose it is.
        reader.set_principal(&self.admitted.principal);
        let wanted = &self.admitted.query.channels;
        let known: Vec<Channel> =
            if fresh { vec![] } else { reader.stats(anywire_log::Offset::ZERO).channels };
        for channel in known.iter().filter(|channel| !wanted.contains(channel)) {
            self.gateway.readers.fanout.unwatch_reader(reader, channel);
        }
        let missing: Vec<Channel> =
            wanted.iter().filter(|channel| !known.contains(channel)).cloned().collect();
        self.gateway.readers.watch(reader, &missing);
        Arc::clone(&**reader)
    }
}
