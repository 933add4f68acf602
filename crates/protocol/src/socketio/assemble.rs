//! Packets with their attachments: text first, then as many binary messages as it announced.
//!
//! Invariants:
//! - Between packets nothing is held; while attachments are due, at most [`AssemblerLimits::bytes_max`] of
//!   them.
//! - The same messages give the same packets, whatever carried them.

use std::borrow::Cow;

use anywire_log::Batch;
use bytes::Bytes;

use super::{
    DEFAULT_NAMESPACE,
    args::{Args, placeholders_fit},
    packet::{Body, ClientPacket, PacketError, Values, parse},
};
use crate::{Refusal, publish::PublishLimits};

/// Limits of what one client may send. Every limit is finite.
#[derive(Debug, Clone, Copy)]
pub struct AssemblerLimits {
    /// Bytes of one packet's attachments, all together.
    pub bytes_max: usize,
    /// Whether a packet may have attachments at all.
    pub attachments: bool,
    /// What one publication may hold.
    pub publish: PublishLimits,
}

/// The name of a namespace; the one that every client has is not copied.
pub type NamespaceName = Cow<'static, str>;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// It wants to join a namespace.
    Connect {
        /// Which.
        namespace: NamespaceName,
        /// Its `auth`, a JSON object.
        auth: Option<String>,
    },
    /// It leaves a namespace.
    Disconnect {
        /// Which.
        namespace: NamespaceName,
    },
    /// It emits an event.
    Event {
        /// Where.
        namespace: NamespaceName,
        /// The id of the acknowledgement it wants.
        ack: Option<u64>,
        /// The event's name.
        name: String,
        /// What comes with it.
        args: Args,
    },
    /// It publishes: the event [`PUBLISH`](super::PUBLISH) with one object and no attachments, read in the
    /// same pass.
    Publish {
        /// Where.
        namespace: NamespaceName,
        /// The id of the acknowledgement it wants.
        ack: Option<u64>,
        /// What it publishes, or why it is refused.
        batch: Result<Batch, Refusal>,
    },
    /// It answers an event of the server.
    Ack {
        /// Where.
        namespace: NamespaceName,
        /// The id that came with the event.
        ack: u64,
        /// The answer.
        args: Args,
    },
}

/// Puts packets together. Eight bytes, and no heap memory between packets.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: Option<Box<Pending>>,
}

#[derive(Debug)]
struct Pending {
    incoming: Incoming,
    missing: usize,
    text_bytes: usize,
    bytes: usize,
}

impl Assembler {
    /// Takes a text message.
    ///
    /// # Errors
    /// [`PacketError`]: the session has to end.
    pub fn text(&mut self, text: &str, limits: &AssemblerLimits) -> Result<Option<Incoming>, PacketError> {
        if self.pending.is_some() {
            return Err(PacketError::Turn);
        }
        let packet = parse(text, &limits.publish)?;
        let missing = packet.attachments;
        if missing > 0 && !limits.attachments {
            return Err(PacketError::Early);
        }
        let incoming = incoming(packet)?;
        if missing == 0 {
            return Ok(Some(incoming));
        }
        let pending = Pending { incoming, missing, text_bytes: text.len(), bytes: 0 };
        self.pending = Some(Box::new(pending));
        Ok(None)
    }

    /// How many bytes it keeps, of a packet whose attachments are due.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.pending.as_deref().map_or(0, |pending| pending.text_bytes + pending.bytes)
    }

    /// Takes an attachment.
    ///
    /// # Errors
    /// [`PacketError`]: the session has to end.
    pub fn binary(
        &mut self,
        bytes: &[u8],
        limits: &AssemblerLimits,
    ) -> Result<Option<Incoming>, PacketError> {
        let pending = self.pending.as_deref_mut().ok_or(PacketError::Turn)?;
        pending.bytes += bytes.len();
        if pending.bytes > limits.bytes_max {
            return Err(PacketError::TooLarge);
        }
        if let Incoming::Event { args, .. } | Incoming::Ack { args, .. } = &mut pending.incoming {
            args.attachments.push(Bytes::copy_from_slice(bytes));
        }
        pending.missing -= 1;
        if pending.missing > 0 {
            return Ok(None);
        }
        Ok(self.pending.take().map(|pending| pending.incoming))
    }
}

fn incoming(packet: ClientPacket<'_>) -> Result<Incoming, PacketError> {
    let namespace = match packet.namespace {
        DEFAULT_NAMESPACE => Cow::Borrowed(DEFAULT_NAMESPACE),
        other => Cow::Owned(other.to_owned()),
    };
    let attachments = packet.attachments;
    let args = |values: Values<'_>| {
        let fits = placeholders_fit(&values, attachments);
        let values = values.into_iter().map(str::to_owned).collect();
        if fits { Ok(Args { values, attachments: Vec::new() }) } else { Err(PacketError::Payload) }
    };
    Ok(match (packet.body, packet.ack) {
        (Body::Connect(auth), _) => Incoming::Connect { namespace, auth: auth.map(str::to_owned) },
        (Body::Disconnect, _) => Incoming::Disconnect { namespace },
        (Body::Event { name, args: values }, ack) => {
            Incoming::Event { namespace, ack, name: name.into_owned(), args: args(values)? }
        }
        (Body::Publish(batch), ack) => Incoming::Publish { namespace, ack, batch },
        (Body::Ack(values), Some(ack)) => Incoming::Ack { namespace, ack, args: args(values)? },
        (Body::Ack(_), None) => return Err(PacketError::Payload),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AssemblerLimits = AssemblerLimits {
        bytes_max: 8,
        attachments: true,
        publish: PublishLimits { message_bytes_max: 100, batch_events_max: 3 },
    };

    #[test]
    fn a_packet_waits_for_its_attachments() {
        let mut assembler = Assembler::default();
        let text = r#"52-7["x",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;
        assert_eq!(assembler.text(text, &LIMITS), Ok(None));
        assert_eq!(assembler.binary(&[1, 2], &LIMITS), Ok(None));
        let Ok(Some(Incoming::Event { ack, name, args, .. })) = assembler.binary(&[3], &LIMITS) else {
            panic!("an event")
        };
        assert_eq!((ack, name.as_str(), args.values.len()), (Some(7), "x", 2));
        assert_eq!(args.attachments, [Bytes::from_static(&[1, 2]), Bytes::from_static(&[3])]);
        assert!(matches!(assembler.text("1", &LIMITS), Ok(Some(Incoming::Disconnect { .. }))));
    }

    #[test]
    fn before_a_namespace_is_joined_nothing_is_kept() {
        let limits = AssemblerLimits { attachments: false, ..LIMITS };
        let mut assembler = Assembler::default();
        for text in [r#"51-["x",{"_placeholder":true,"num":0}]"#, "61-1[]"] {
            assert_eq!(assembler.text(text, &limits), Err(PacketError::Early), "{text}");
        }
        assert_eq!(assembler.kept_bytes(), 0);
        let text = r#"52-["x",{"_placeholder":true,"num":0}]"#;
        assert_eq!(assembler.text(text, &LIMITS), Ok(None));
        assert_eq!(assembler.binary(&[1, 2, 3], &LIMITS), Ok(None));
        assert_eq!(assembler.kept_bytes(), text.len() + 3);
    }

    #[test]
    fn half_packets_and_stray_bytes_are_refused() {
        let text = r#"51-["x",{"_placeholder":true,"num":0}]"#;
        let mut assembler = Assembler::default();
        assert_eq!(assembler.binary(&[1], &LIMITS), Err(PacketError::Turn));
        assert_eq!(assembler.text(text, &LIMITS), Ok(None));
        assert_eq!(assembler.text("1", &LIMITS), Err(PacketError::Turn));
        let mut assembler = Assembler::default();
        assert_eq!(assembler.text(text, &LIMITS), Ok(None));
        assert_eq!(assembler.binary(&[0; 9], &LIMITS), Err(PacketError::TooLarge));
        for forged in [
            r#"51-["x",{"_placeholder":true,"num":1}]"#,
            r#"51-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        ] {
            assert_eq!(Assembler::default().text(forged, &LIMITS), Err(PacketError::Payload));
        }
    }
}
