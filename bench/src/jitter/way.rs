//! The transports over which a client comes back.

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// WebSocket.
    Websocket,
    /// Server-sent events.
    Sse,
    /// One pending request at a time.
    Longpoll,
    /// A request four times a second.
    Poll,
    /// Socket.IO over a WebSocket.
    Socketio,
    /// Socket.IO over polling.
    SocketioPolling,
}

impl Way {
    pub(crate) const ALL: [Self; 6] =
        [Self::Websocket, Self::Sse, Self::Longpoll, Self::Poll, Self::Socketio, Self::SocketioPolling];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Sse => "sse",
            Self::Longpoll => "longpoll",
            Self::Poll => "poll",
            Self::Socketio => "socketio",
            Self::SocketioPolling => "socketio-polling",
        }
    }
}
