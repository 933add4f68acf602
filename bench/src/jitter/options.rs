//! What `jitter` is asked for on the command line.

use super::contender::Contender;
use super::way::Way;
use crate::failure::Outcome;
use crate::setup::Setup;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Clients of one channel.
    #[arg(long, default_value_t = 2000)]
    pub(super) clients: usize,
    /// How they connect: socketio and socketio-polling are spoken by every server.
    #[arg(long, default_value = "websocket")]
    pub(super) transport: Way,
    /// The servers, one after the other through the same schedule: anywire, and socketio (Socket.IO on Node
    /// with its connection state recovery). Only anywire has to deliver everything; what socketio loses is
    /// shown.
    #[arg(long, value_delimiter = ',', default_values = ["anywire"])]
    pub(super) peers: Vec<Contender>,
    /// Reconnect on another transport each time, among those the server speaks: all of anywire's, both of
    /// socketio's.
    #[arg(long)]
    pub(super) switch: bool,
    /// How long messages are published.
    #[arg(long, default_value_t = 60)]
    pub(super) seconds: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 2)]
    pub(super) rate: u64,
    /// Mean seconds a connection lives.
    #[arg(long, default_value_t = 15.0)]
    pub(super) lives: f64,
    /// Mean seconds a client is away.
    #[arg(long, default_value_t = 2.0)]
    pub(super) away: f64,
    /// Kill the server with SIGKILL in the middle and start it again on the same address. socketio keeps
    /// nothing on disk.
    #[arg(long)]
    pub(super) restart: bool,
    /// Seed of the disconnections.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Do not bind server and load to processors of their own.
    #[arg(long)]
    pub(super) no_pin: bool,
    #[command(flatten)]
    pub(super) setup: Setup,
}

impl Options {
    pub(super) fn effective(&self) -> Self {
        let mut options = self.clone();
        if self.setup.smoke {
            options.clients = options.clients.min(50);
            (options.seconds, options.rate) = (6, 5);
            (options.lives, options.away) = (1.5, 0.3);
        }
        options
    }

    /// Every server has to speak the transport, unless clients move among those it speaks.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.switch {
            return Ok(());
        }
        self.peers.iter().try_for_each(|server| server.check(self.transport))
    }

    pub(super) fn messages(&self) -> u64 {
        self.seconds * self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        options: Options,
    }

    fn typed(words: &[&str]) -> Options {
        let words = ["jitter"].iter().chain(words);
        Typed::try_parse_from(words).expect("the words are options").options
    }

    #[test]
    fn without_peers_only_anywire_takes_part() {
        assert_eq!(typed(&[]).peers, [Contender::Anywire]);
        let both = typed(&["--peers", "anywire,socketio", "--transport", "socketio-polling"]);
        assert_eq!(both.peers, [Contender::Anywire, Contender::Socketio]);
        assert!(both.check().is_ok());
    }

    #[test]
    fn a_peer_takes_part_only_on_transports_it_speaks() {
        assert!(typed(&["--peers", "anywire,socketio"]).check().is_err(), "the default is WebSocket");
        assert!(typed(&["--peers", "anywire,socketio", "--switch"]).check().is_ok());
        assert!(typed(&["--transport", "sse"]).check().is_ok());
    }
}
