//! What each transport says and does: one match a question. Everything else in delivery is the same for all
//! of them.

use anywire_log::{Cursor, Event, Gap};
use anywire_protocol::{
    native::{ServerFrame, event_frame},
    socketio::event_frames,
    sse,
    websocket::{close_frame, ping_frame},
};
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::context::Terms;
use crate::{lab::Lab, metrics::Transport};

/// The close code for "come back after the restart".
const RESTART: u16 = 1012;

/// Frames or blocks that go out together.
pub(super) type Told = SmallVec<[Bytes; 2]>;

impl Transport {
    /// Whether a delivery answers a request, after which nothing follows until the next one.
    pub(crate) fn answers_requests(self) -> bool {
        matches!(self, Self::LongPoll | Self::Poll)
    }

    /// Whether its peer answers pings of the native protocol.
    pub(super) fn answers_pings(self) -> bool {
        self == Self::WebSocket
    }

    /// Whether it has namespaces, and a heartbeat of its own.
    pub(crate) fn has_namespaces(self) -> bool {
        self == Self::SocketIo
    }

    /// Whether the network lab holds it back, as a buffering proxy does.
    pub(crate) fn is_held_back(self, lab: &Lab) -> bool {
        self == Self::Sse && lab.buffers_sse()
    }

    /// An event's bytes, as most readers of this transport get them: made once for all.
    #[inline]
    pub(super) fn event<'a>(self, event: &'a Event, terms: Terms<'_>) -> &'a Bytes {
        match self {
            Self::Sse => sse::event_block(event, terms.epoch),
            Self::SocketIo => event_frames(event, terms.own),
            Self::WebSocket | Self::LongPoll | Self::Poll => event_frame(event),
        }
    }

    /// A gap, for a connection without namespaces.
    pub(super) fn gap(self, gap: &Gap) -> Bytes {
        match self {
            Self::Sse => sse::gap_block(gap),
            _ => ServerFrame::Gap(gap).encode(),
        }
    }

    /// What a connection says after a silence.
    pub(super) fn heartbeat(self, cursor: Cursor, ping: bool) -> Told {
        match self {
            Self::Sse => smallvec![sse::heartbeat_block(cursor)],
            _ if ping => smallvec![ServerFrame::Heartbeat(cursor).encode(), ping_frame(b"")],
            _ => smallvec![ServerFrame::Heartbeat(cursor).encode()],
        }
    }

    /// The last words of a connection that ends because the server does.
    pub(crate) fn goodbye(self, retry_ms: u32) -> Told {
        let restart = || close_frame(RESTART, "restart");
        match self {
            Self::Sse => smallvec![sse::goodbye_block(retry_ms)],
            // Its clients come back by themselves, each after a time of its own.
            Self::SocketIo => smallvec![restart()],
            _ => smallvec![ServerFrame::Goodbye { retry_ms }.encode(), restart()],
        }
    }
}
