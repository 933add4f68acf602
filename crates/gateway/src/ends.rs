//! Connections that end while the server goes on: because somebody's rights ended, or an operator wants it.
//!
//! Nothing of this costs a delivery: readers keep whose they are, and are looked through when somebody's
//! rights end.

use std::sync::Arc;

use anywire_access::Principal;
use anywire_protocol::{Code, Refusal, native::ServerFrame, websocket::close_frame};
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use smallvec::{SmallVec, smallvec};

use crate::{Gateway, delivery::Reader, metrics::Transport};

/// Whose connections are to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of a user: the `sub` of a token, or the name of an account.
    User(String),
    /// Of a client, by the name it gave itself or was given.
    Client(String),
    /// Of a session at the console, by its id.
    Session(String),
}

impl Whose {
    fn is(&self, reader: &Reader, principal: Option<&Principal>) -> bool {
        match self {
            Self::Client(client) => *reader.info().client == **client,
            Self::User(user) => principal.and_then(Principal::user) == Some(user),
            Self::Session(id) => principal.and_then(Principal::session) == Some(id),
        }
    }
}

/// What a connection is told at its end.
#[derive(Clone, Copy)]
enum Why {
    /// Its token or session is not taken any more.
    TakenBack,
    /// An operator ended it; it may come back.
    Operator,
}

impl Why {
    fn refusal(self, gateway: &Gateway) -> Refusal {
        match self {
            Self::TakenBack => taken_back(),
            Self::Operator => {
                let message = "an operator ended this connection; come back after the time given";
                Refusal::new(Code::Busy, message).retry_after_ms(gateway.admission.spread_ms())
            }
        }
    }

    fn words(self, transport: Transport, refusal: &Refusal) -> SmallVec<[Bytes; 2]> {
        match (self, transport) {
            // A browser's own stream comes back by itself, and is told then.
            (Self::TakenBack, Transport::Sse) => SmallVec::new(),
            (Self::TakenBack, _) => {
                let code = refusal.code.close_code().unwrap_or_default();
                let told = ServerFrame::Error { id: None, refusal }.encode();
                smallvec![told, close_frame(code, refusal.code.as_str())]
            }
            (Self::Operator, transport) => transport.goodbye(refusal.retry_ms.unwrap_or_default()),
        }
    }
}

fn taken_back() -> Refusal {
    let message =
        "the token or session was taken back, or has other rights now; sign in again, or get a new token";
    Refusal::new(Code::Unauthorized, message)
}

impl Gateway {
    /// Ends the connections of everybody who is not any more who they were when they came; returns how many.
    ///
    /// Cost: one look at every reader.
    pub fn end_revoked(self: &Arc<Self>) -> usize {
        self.ends.send_modify(|ends| *ends += 1);
        let gate = &self.admission.gate;
        self.end_where(Why::TakenBack, |_, principal| principal.is_some_and(|one| !gate.stands(one)))
    }

    /// Ends somebody's connections, on every transport; returns how many. Whoever may, comes back.
    ///
    /// Cost: one look at every reader.
    pub fn disconnect_clients(self: &Arc<Self>, whose: &Whose) -> usize {
        self.end_where(Why::Operator, |reader, principal| whose.is(reader, principal))
    }

    fn end_where(self: &Arc<Self>, why: Why, ends: impl Fn(&Reader, Option<&Principal>) -> bool) -> usize {
        let mut count = 0;
        self.readers.fanout.for_each_reader(|reader| {
            if reader.transport().has_namespaces() {
                let namespaces = reader.namespaces_where(|principal| ends(reader, Some(principal)));
                count += usize::from(!namespaces.is_empty());
                for namespace in namespaces {
                    self.put_out(reader, &namespace);
                }
            } else if reader.is_of(|principal| ends(reader, principal)) {
                count += 1;
                self.end(reader, why);
            }
        });
        count
    }

    fn end(&self, reader: &Arc<Reader>, why: Why) {
        let refusal = why.refusal(self);
        if reader.transport().answers_requests() {
            reader.dismiss_poller(&self.delivery, &(&refusal).into());
        } else {
            reader.say_goodbye(&self.delivery, why.words(reader.transport(), &refusal));
        }
    }

    /// What somebody is told whose connection ended under way.
    pub(crate) fn why_ended(&self, principal: &Principal) -> Refusal {
        match self.admission.gate.stands(principal) {
            false => taken_back(),
            true if self.admission.closing.is_cancelled() => self.admission.shutting_down(),
            true => Why::Operator.refusal(self),
        }
    }

    /// A stream of an application, for as long as whoever asked for it is who they were.
    pub(crate) fn while_standing(self: &Arc<Self>, body: Body, principal: Principal) -> Body {
        let (gateway, mut ends) = (Arc::clone(self), self.ends.subscribe());
        let over =
            async move { while gateway.admission.gate.stands(&principal) && ends.changed().await.is_ok() {} };
        Body::from_stream(body.into_data_stream().take_until(Box::pin(over)))
    }
}
