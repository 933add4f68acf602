//! Who takes part: Anywire, and Socket.IO on Node beside it.

use super::way::Way;
use crate::failure::{Failure, Outcome};
use crate::peers::Peer;

/// A server whose clients can come back for what they missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Contender {
    /// This project.
    Anywire,
    /// Socket.IO on Node, with its connection state recovery.
    Socketio,
}

impl Contender {
    pub(crate) fn peer(self) -> Peer {
        match self {
            Self::Anywire => Peer::Anywire,
            Self::Socketio => Peer::Socketio,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.peer().name()
    }

    /// The transports among which its clients switch.
    pub(crate) fn ways(self) -> &'static [Way] {
        match self {
            Self::Anywire => &Way::ALL,
            Self::Socketio => &[Way::Socketio, Way::SocketioPolling],
        }
    }

    /// # Errors
    /// If it does not speak this transport.
    pub(crate) fn check(self, way: Way) -> Outcome<()> {
        if self.ways().contains(&way) {
            return Ok(());
        }
        let ways: Vec<&str> = self.ways().iter().map(|way| way.name()).collect();
        let (name, wanted, ways) = (self.name(), way.name(), ways.join(" and "));
        Err(Failure::new(format!(
            "{name} does not speak {wanted}, only {ways}: choose one of these with --transport, let clients move among them \
             with --switch, or leave {name} out of --peers"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_that_a_server_does_not_speak_is_refused_with_those_it_does() {
        for way in Way::ALL {
            assert!(Contender::Anywire.check(way).is_ok(), "{}", way.name());
        }
        assert!(Contender::Socketio.check(Way::SocketioPolling).is_ok());
        let refused = Contender::Socketio.check(Way::Sse).map_err(|failure| failure.to_string());
        let refused = refused.expect_err("Socket.IO has no server-sent events");
        assert!(refused.contains("socketio does not speak sse, only socketio and socketio-polling"));
        assert!(refused.contains("--transport") && refused.contains("--peers"), "{refused}");
    }
}
