//! The server as the official Socket.IO test suites expect it (`anywire serve --socketio-conformance`); for
//! tests only.
//!
//! The Engine.IO suite wants its messages back on `/engine.io/`; the Socket.IO suite wants `message` and
//! `message-with-ack` answered on `/` and `/custom`. Sessions, sockets and codecs are those of every
//! connection; only the answers and the times are the suites'.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use anywire_gateway::{Gateway, HandlerReply, SocketArgs, SocketHandler, SocketInfo};
use anywire_log::EventName;
use toml::{Table, Value};

use crate::{Anywire, ConfigError, Settings};

/// Where the Engine.IO suite connects.
const ECHO_PATH: &str = "/engine.io/";
/// How long after its connection a client hears its own `auth`. The suite's first editions wait for one
/// message after the other, and miss the second of two that they read at once.
const AUTH_DELAY: Duration = Duration::from_millis(40);

/// The settings of both suites.
pub(crate) fn configure(settings: &mut Settings) -> Result<(), ConfigError> {
    let numbers = [
        ("ping_interval_ms", 300),
        ("ping_timeout_ms", 200),
        ("payload_bytes_max", 1_000_000),
        // Who answers no ping is let go before that; the suite's heartbeat cases join no namespace, and must
        // not run out of time on a busy machine.
        ("connect_timeout_ms", 5_000),
    ];
    for (key, number) in numbers {
        settings.set(&format!("socketio.{key}"), Value::Integer(number), "--socketio-conformance")?;
    }
    let namespace = |name: &str| Value::Table(Table::from_iter([("name".to_owned(), name.into())]));
    let namespaces = Value::Array(vec![namespace("/"), namespace("/custom")]);
    settings.set("socketio.namespaces", namespaces, "--socketio-conformance")
}

/// Puts the suites' answers in. Before the routes are made.
pub(crate) fn install(anywire: &Anywire) {
    anywire.gateway().echo_engineio(ECHO_PATH);
    anywire.gateway().handle_socketio(Arc::new(Echo(Arc::downgrade(anywire.gateway()))));
}

struct Echo(Weak<Gateway>);

impl SocketHandler for Echo {
    fn connected(&self, socket: &SocketInfo<'_>, auth: Option<&str>) -> Vec<(String, SocketArgs)> {
        let (gateway, socket) = (Weak::clone(&self.0), socket.socket.to_owned());
        let args = SocketArgs { values: vec![auth.unwrap_or("{}").to_owned()], attachments: Vec::new() };
        tokio::spawn(async move {
            tokio::time::sleep(AUTH_DELAY).await;
            if let (Some(gateway), Ok(name)) = (gateway.upgrade(), EventName::new("auth")) {
                // It may have left meanwhile.
                let _gone = gateway.emit_to_socket(&socket, &name, &args, false);
            }
        });
        Vec::new()
    }

    fn heard(&self, _socket: &SocketInfo<'_>, name: &str, args: &SocketArgs) -> Option<HandlerReply> {
        match name {
            "message" => Some(HandlerReply {
                emits: vec![("message-back".to_owned(), args.clone())],
                ..HandlerReply::default()
            }),
            "message-with-ack" => {
                Some(HandlerReply { answer: Some(args.clone()), ..HandlerReply::default() })
            }
            _ => None,
        }
    }
}
