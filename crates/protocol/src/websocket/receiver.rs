//! The receiving side of one connection: bytes of a client in any split, whole messages out.
//!
//! ```text
//!            header complete, allowed              payload complete
//!  Header ──────────────────────────▶ Payload ──────────────────────▶ Header
//!     │                                  │
//!     └───── violation, or a close ──────┴──────▶ Closed
//! ```
//!
//! A frame that lies whole in the input and is a whole message is unmasked where it lies and handed out from
//! there. Everything else goes through one buffer, which holds the message's fragments and, behind them, a
//! control frame that arrived in pieces:
//!
//! ```text
//!  buffer:  | finished fragments | frame in progress |
//!           0                    fragments_len       len
//! ```
//!
//! Invariants:
//! - Between messages the buffer has no capacity.
//! - The buffer grows with what was really received (at most doubled), whatever a header claims.
//! - Text is checked as it arrives: the first byte that can't be UTF-8 ends the connection, not the end of
//!   the message.

use std::mem;

use super::{
    close,
    frame::{FrameHeader, HEADER_BYTES_MAX, Opcode, Violation, unmask},
};

/// Limits of one receiving side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, all fragments together, in bytes of payload. Control frames don't count.
    pub message_bytes_max: usize,
}

/// One complete item from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The client's last frame.
    Close {
        /// The code, if it sent one.
        code: Option<u16>,
        /// The reason, often empty.
        reason: &'a str,
    },
}

/// Decodes what one client sends. 64 bytes, and no heap memory between messages.
#[derive(Debug, Default)]
pub struct Receiver {
    /// Finished fragments, then the frame in progress.
    buffer: Vec<u8>,
    /// How much of the buffer is finished fragments; a control frame between them starts here.
    fragments_len: usize,
    phase: Phase,
    /// The kind of the message whose fragments are coming; `Text` or `Binary`.
    fragmented: Option<Opcode>,
    /// How many bytes at the end of the text so far are the beginning of a character.
    unfinished_char_len: u8,
}

const _: () = assert!(size_of::<Receiver>() <= 64, "a million idle connections pay for every byte");

#[derive(Debug)]
enum Phase {
    Header(PartialHeader),
    Payload(Frame),
    Closed,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Header(PartialHeader::default())
    }
}

/// The frame whose payload is arriving.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// What is still to come.
    remaining: usize,
    /// Turned so that its first byte belongs to the next byte to come.
    mask: [u8; 4],
    /// Never `Continuation`: that has become the opcode of its message.
    opcode: Opcode,
    fin: bool,
}

impl Receiver {
    /// A receiver at the start of a connection, right after the handshake.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they came from the socket and hands each complete item to `take`, in order.
    ///
    /// Unmasks in place, so `input` is scratch afterwards. After a close or an error, further input is
    /// ignored.
    ///
    /// Cost: O(input); a whole unfragmented frame in `input` is not copied.
    ///
    /// # Errors
    /// A [`Violation`] for the first thing that breaks RFC 6455 or `limits`; what came before it was handed
    /// out.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        limits: &Limits,
        take: &mut dyn FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        let outcome = self.advance(input, limits, take);
        if outcome.is_err() || matches!(self.phase, Phase::Closed) {
            *self = Self { phase: Phase::Closed, ..Self::default() };
        }
        outcome
    }

    /// Whether a close or a violation has ended this side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// How many bytes of memory it keeps, for a message of which some is here.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn advance(
        &mut self,
        mut input: &mut [u8],
        limits: &Limits,
        take: &mut dyn FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        loop {
            match &mut self.phase {
                Phase::Header(partial) => {
                    let Some((header, used)) = partial.fill(input)? else { return Ok(()) };
                    input = &mut input[used..];
                    self.phase = Phase::Payload(self.admit(header, limits)?);
                }
                Phase::Payload(frame) => {
                    if input.is_empty() && frame.remaining > 0 {
                        return Ok(());
                    }
                    let (payload, rest) = input.split_at_mut(frame.remaining.min(input.len()));
                    input = rest;
                    unmask(payload, &mut frame.mask);
                    frame.remaining -= payload.len();
                    let frame = *frame;
                    if frame.remaining == 0 {
                        self.phase = Phase::default();
                    }
                    self.payload(frame, payload, take)?;
                }
                Phase::Closed => return Ok(()),
            }
        }
    }

    /// Checks a header against the message in progress and the limits, before anything of its payload is
    /// kept.
    fn admit(&mut self, header: FrameHeader, limits: &Limits) -> Result<Frame, Violation> {
        let FrameHeader { fin, opcode, mask, payload_len } = header;
        let opcode = match (opcode, self.fragmented) {
            (Opcode::Continuation, Some(kind)) => kind,
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol("continuation without a message"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::protocol("new message inside a fragmented one"));
            }
            (opcode, _) => opcode,
        };
        let too_large = Violation::too_large("message is over the limit");
        let remaining = usize::try_from(payload_len).map_err(|_| too_large)?;
        if !opcode.is_control() {
            let room = limits.message_bytes_max.saturating_sub(self.fragments_len);
            if remaining > room {
                return Err(too_large);
            }
            self.fragmented = if fin { None } else { Some(opcode) };
        }
        Ok(Frame { remaining, mask, opcode, fin })
    }

    /// Deals with a piece of payload, the last of its frame if `frame.remaining` is zero.
    fn payload(
        &mut self,
        frame: Frame,
        payload: &[u8],
        take: &mut dyn FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        let frame_ends = frame.remaining == 0;
        if frame.opcode.is_control() {
            if frame_ends && self.buffer.len() == self.fragments_len {
                return self.control(frame.opcode, payload, take);
            }
            self.buffer.extend_from_slice(payload);
            if frame_ends {
                return self.control_from_buffer(frame.opcode, take);
            }
            return Ok(());
        }
        let message_ends = frame_ends && frame.fin;
        if message_ends && self.buffer.is_empty() {
            return hand_out(frame.opcode, payload, take);
        }
        self.buffer.extend_from_slice(payload);
        if frame.opcode == Opcode::Text {
            self.check_text(payload.len())?;
        }
        if frame_ends {
            self.fragments_len = self.buffer.len();
        }
        if message_ends { self.finish_message(frame.opcode, take) } else { Ok(()) }
    }

    /// Checks the newest `added` bytes of a text, with the character they may go on.
    fn check_text(&mut self, added: usize) -> Result<(), Violation> {
        let start = self.buffer.len() - added - usize::from(self.unfinished_char_len);
        let unchecked = &self.buffer[start..];
        self.unfinished_char_len = match std::str::from_utf8(unchecked) {
            Ok(_) => 0,
            // Less than a character, so at most three bytes.
            Err(error) if error.error_len().is_none() => (unchecked.len() - error.valid_up_to()) as u8,
            Err(_) => return Err(NOT_UTF8),
        };
        Ok(())
    }

    fn finish_message(
        &mut self,
        opcode: Opcode,
        take: &mut dyn FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        self.fragments_len = 0;
        self.unfinished_char_len = 0;
        // For text this is the second check, the price of having no unsafe code; only messages in pieces pay
        // it.
        hand_out(opcode, &mem::take(&mut self.buffer), take)
    }

    fn control_from_buffer(
        &mut self,
        opcode: Opcode,
        take: &mut dyn FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        if self.fragments_len == 0 {
            let payload = mem::take(&mut self.buffer);
            return self.control(opcode, &payload, take);
        }
        let payload = self.buffer.split_off(self.fragments_len);
        self.control(opcode, &payload, take)
    }

    fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        take: &mut dyn FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        match opcode {
            Opcode::Ping => take(Received::Ping(payload)),
            Opcode::Pong => take(Received::Pong(payload)),
            _ => {
                let (code, reason) = close::decode(payload)?;
                self.phase = Phase::Closed;
                take(Received::Close { code, reason });
            }
        }
        Ok(())
    }
}

const NOT_UTF8: Violation = Violation::not_utf8("text is not UTF-8");

fn hand_out(opcode: Opcode, message: &[u8], take: &mut dyn FnMut(Received<'_>)) -> Result<(), Violation> {
    if opcode == Opcode::Text {
        take(Received::Text(std::str::from_utf8(message).map_err(|_| NOT_UTF8)?));
    } else {
        take(Received::Binary(message));
    }
    Ok(())
}

/// The bytes of a header that was cut.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

impl PartialHeader {
    /// The header and how much of `input` belonged to it; or keeps all of `input` and asks for more.
    fn fill(&mut self, input: &[u8]) -> Result<Option<(FrameHeader, usize)>, Violation> {
        if self.len == 0
            && let Some(decoded) = FrameHeader::decode(input)?
        {
            return Ok(Some(decoded));
        }
        let kept = usize::from(self.len);
        let end = HEADER_BYTES_MAX.min(kept + input.len());
        self.bytes[kept..end].copy_from_slice(&input[..end - kept]);
        let decoded = FrameHeader::decode(&self.bytes[..end])?;
        // An unfinished header is shorter than the longest one, so all of the input is kept and `end` fits.
        self.len = end as u8;
        Ok(decoded.map(|(header, header_len)| (header, header_len - kept)))
    }
}

#[cfg(test)]
mod tests;
