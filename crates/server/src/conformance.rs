//! The server as the official Socket.IO test suites expect it (`anywire serve --socketio-conformance`); for tests only.
//!
//! The Engine.IO suite wants its messages back on `/engine.io/`; the Socket.IO suite wants `message` and `message-with-ack` answered on `/` and
//! `/custom`. Sessions, sockets and codecs are those of every connection; only the answers and the times are the suites'.
//!
//! Knows: what the suites expect. Does not know: how it is served.

use std::sync::Arc;

use anywire_gateway::{Heard, SocketArgs, SocketHandler, SocketInfo};
use toml::{Table, Value};

use crate::{Anywire, ConfigError, Settings};

/// Where the Engine.IO suite connects.
const ECHO_PATH: &str = "/engine.io/";

/// The settings of both suites.
pub(crate) fn configure(settings: &mut Settings) -> Result<(), ConfigError> {
    let numbers = [
        ("ping_interval_ms", 300),
        ("ping_timeout_ms", 200),
        ("payload_bytes_max", 1_000_000),
        ("connect_timeout_ms", 1_500),
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
    anywire.gateway().handle_socketio(Arc::new(Echo));
}

struct Echo;

impl SocketHandler for Echo {
    fn connected(&self, _socket: &SocketInfo<'_>, auth: Option<&str>) -> Vec<(String, SocketArgs)> {
        let values = vec![auth.unwrap_or("{}").to_owned()];
        vec![("auth".to_owned(), SocketArgs { values, attachments: Vec::new() })]
    }

    fn heard(&self, _socket: &SocketInfo<'_>, name: &str, args: &SocketArgs) -> Option<Heard> {
        match name {
            "message" => {
                Some(Heard { emits: vec![("message-back".to_owned(), args.clone())], ..Heard::default() })
            }
            "message-with-ack" => Some(Heard { answer: Some(args.clone()), ..Heard::default() }),
            _ => None,
        }
    }
}
