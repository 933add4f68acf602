//! Channels that belong to the server's own applications.

use anywire_log::{Channel, ChannelPattern};
use anywire_protocol::{Code, Refusal};

/// Channels of one application.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) application: &'static str,
    pub(crate) pattern: ChannelPattern,
    /// Back ends may not publish to them either.
    pub(crate) by_server_alone: bool,
}

/// Refuses a channel that belongs to an application.
pub(super) fn check(kept: &[Kept], channel: &Channel, is_backend: bool) -> Result<(), Refusal> {
    let refuses = |one: &&Kept| (one.by_server_alone || !is_backend) && one.pattern.matches(channel.as_str());
    let Some(owner) = kept.iter().find(refuses) else { return Ok(()) };
    let way_out = if owner.by_server_alone { "use another one" } else { "ask its API, or use another one" };
    let message = format!("channel {channel} belongs to the application {}; {way_out}", owner.application);
    Err(Refusal::new(Code::Forbidden, message))
}
