//! The addresses that front ends were written for before there was one server: `--classic-ports`.
//!
//! | port | who listened there |
//! |---|---|
//! | 3000 | the producers of the pipeline |
//! | 3001 | its consumers; whoever connects by Socket.IO is greeted and hears everything, without asking |
//! | 5000 | progress of jobs |
//! | 8000 | the API of the monitor |
//! | 8050 | its dashboard |
//!
//! Every one of them serves everything; only Socket.IO's default namespace on port 3001 is another.

use std::net::SocketAddr;

use anywire_gateway::{MAIN_LISTENER, NamespaceSection};
use anywire_pipeline::PIPELINE_CHANNEL;

use crate::config::{Config, ListenerSection};

const PORTS: [u16; 5] = [3000, 3001, 5000, 8000, 8050];
const CONSUMERS_PORT: u16 = 3001;
const GREETING: &str = r#"{"message":"Connected to Consumer Service WebSocket","timestamp":"$now"}"#;

/// Adds the listeners, on the address of the main one, and the namespace.
pub(crate) fn open(config: &mut Config) {
    let main = config.server.listen;
    let others = PORTS.into_iter().filter(|port| *port != main.port());
    config.server.listeners.extend(
        others.map(|port| ListenerSection { name: name(port), listen: SocketAddr::new(main.ip(), port) }),
    );
    let listener =
        if main.port() == CONSUMERS_PORT { MAIN_LISTENER.to_owned() } else { name(CONSUMERS_PORT) };
    let consumers = NamespaceSection {
        name: "/".to_owned(),
        listener: Some(listener),
        channels: vec![PIPELINE_CHANNEL.to_owned()],
        welcome_event: Some("connection-success".to_owned()),
        welcome_data: Some(GREETING.to_owned()),
        ..NamespaceSection::default()
    };
    // The first that fits is a client's.
    config.gateway.socketio.namespaces.insert(0, consumers);
}

fn name(port: u16) -> String {
    format!("classic-{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_classic_port_is_open_once_and_the_consumers_greet() {
        let mut config = crate::config::Settings::default().finish().expect("defaults");
        open(&mut config);
        let mut ports: Vec<u16> =
            config.server.listeners.iter().map(|section| section.listen.port()).collect();
        ports.push(config.server.listen.port());
        ports.sort_unstable();
        assert_eq!(ports, PORTS);
        let first = &config.gateway.socketio.namespaces[0];
        assert_eq!(first.listener.as_deref(), Some("classic-3001"));
        assert_eq!(first.channels, ["pipeline"]);
    }
}
