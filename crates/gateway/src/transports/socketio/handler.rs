//! What an application may do with Socket.IO clients in code, beside the configuration.

use anywire_log::{Channel, Cursor};
use anywire_protocol::socketio::Args;

/// A client in a namespace.
#[derive(Debug, Clone, Copy)]
pub struct SocketInfo<'a> {
    /// The name of the listener it came by; `main` if it has no other.
    pub listener: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// Its public id.
    pub socket: &'a str,
    /// The `sub` of its token.
    pub user: Option<&'a str>,
}

/// What a handler makes of an event that a client emitted.
#[derive(Debug, Default)]
pub struct HandlerReply {
    /// The answer, if the client wanted one.
    pub answer: Option<Args>,
    /// Events for this client alone.
    pub emits: Vec<(String, Args)>,
}

/// An application's handler. Each function is called on the connection's own task and has to return quickly.
pub trait SocketHandler: Send + Sync + 'static {
    /// A client has joined a namespace: events for it alone. `auth` is what it said, a JSON object.
    fn connected(&self, _socket: &SocketInfo<'_>, _auth: Option<&str>) -> Vec<(String, Args)> {
        Vec::new()
    }

    /// A client emitted an event that is none of the server's own; `None` leaves it to the next handler.
    fn heard(&self, _socket: &SocketInfo<'_>, _name: &str, _args: &Args) -> Option<HandlerReply> {
        None
    }

    /// A client joined a channel without a cursor: the state it gets at once, and the cursor from which it
    /// then gets what changes.
    fn state_of(&self, _socket: &SocketInfo<'_>, _channel: &Channel) -> Option<(String, Args, Cursor)> {
        None
    }
}
