//! Which channels belong to an application.

use anywire_log::{Channel, ChannelPattern};

/// Channels that an application writes to, and who else may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Which.
    pub pattern: ChannelPattern,
    /// Whether back ends may not write to them either.
    pub by_server_alone: bool,
}

impl Owned {
    /// Channels from which the application's state is built, or that speak for the server: nobody outside
    /// writes to them.
    #[must_use]
    pub fn state(pattern: &str) -> Self {
        Self { pattern: ChannelPattern::new(pattern), by_server_alone: true }
    }

    /// Channels that only show what the application knows. A back end could drive the application itself, so
    /// it may write to them; a client may not, whatever its token says.
    #[must_use]
    pub fn shown(pattern: &str) -> Self {
        Self { pattern: ChannelPattern::new(pattern), by_server_alone: false }
    }

    /// Whether a channel is one of them that somebody may not write to.
    #[must_use]
    pub fn refuses(&self, channel: &Channel, is_backend: bool) -> bool {
        (self.by_server_alone || !is_backend) && self.pattern.matches(channel.as_str())
    }
}
