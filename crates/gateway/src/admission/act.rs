//! What is limited by a rate.

/// What is limited, each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Publishing, in events.
    Publish,
    /// Asking for channels, in channels named.
    Subscribe,
    /// Becoming a member, in channels.
    Presence,
    /// Saying what was received.
    Ack,
    /// Beginning a WebSocket or a Socket.IO session.
    Handshake,
    /// Having a Socket.IO client's channels kept for its return, in bytes.
    Recovery,
}

impl Act {
    /// Every act there is.
    pub(crate) const ALL: [Self; 6] =
        [Self::Publish, Self::Subscribe, Self::Presence, Self::Ack, Self::Handshake, Self::Recovery];

    /// The name, as metrics have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Presence => "presence",
            Self::Ack => "ack",
            Self::Handshake => "handshake",
            Self::Recovery => "recovery",
        }
    }

    /// What is counted, and the settings of its rate and burst.
    pub(super) const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Publish => ("events", "limits.publish_per_second", "limits.publish_burst"),
            Self::Subscribe => {
                ("channels asked for", "limits.subscribe_per_second", "limits.subscribe_burst")
            }
            Self::Presence => ("members made", "limits.presence_per_second", "limits.presence_burst"),
            Self::Ack => ("acks", "limits.ack_per_second", "limits.ack_burst"),
            Self::Handshake => ("handshakes", "limits.handshake_per_second", "limits.handshake_burst"),
            Self::Recovery => (
                "bytes kept for coming back",
                "limits.recovery_bytes_per_second",
                "limits.recovery_burst_bytes",
            ),
        }
    }
}
