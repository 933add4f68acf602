//! The sessions that poll, all of them: they are looked after, and end with the gateway.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use anywire_protocol::engineio::{CLOSE, HeartbeatTimes};

use super::handler::SocketHandler;
use crate::Gateway;

impl Gateway {
    /// Where Socket.IO clients connect, with a slash at the end; none if they are not served.
    #[must_use]
    pub fn socketio_path(&self) -> Option<&str> {
        let config = &self.socketio.config;
        config.enabled.then_some(config.path.as_str())
    }

    /// Lets an application answer Socket.IO clients in code; handlers are asked in the order they came.
    pub fn handle_socketio(&self, handler: Arc<dyn SocketHandler>) {
        self.socketio.handlers.write().push(handler);
    }

    /// Serves Engine.IO at this path too, with every message coming back; for the official test suite. Call
    /// it before [`Gateway::routes`].
    pub fn echo_engineio(&self, path: &str) {
        let _only_once = self.socketio.echo_path.set(path.to_owned());
    }

    /// Ends all sessions that poll; their clients come back by themselves.
    pub(crate) fn end_sessions(&self) {
        for session in self.socketio.snapshot() {
            session.close(self, CLOSE);
        }
    }
}

/// Looks after the sessions that poll, for as long as the gateway lives.
pub(crate) async fn tick_sessions(gateway: Weak<Gateway>, times: HeartbeatTimes) {
    let mut every = tokio::time::interval(Duration::from_millis(times.look_ms.into()));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        let now_ms = gateway.delivery.now_ms();
        for session in gateway.socketio.snapshot() {
            session.tick(&gateway, now_ms);
        }
    }
}
