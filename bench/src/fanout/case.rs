//! One case of the fan-out: its transport, its subscribers, and what is published to them.

use crate::peers::Transport;
use serde::Serialize;

/// A case with no messages: only memory is measured.
const NO_MESSAGES: usize = 0;

/// One table: these subscribers, so many in flight.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Case {
    pub(crate) transport: Transport,
    pub(crate) subscribers: usize,
    pub(crate) in_flight: usize,
    pub(crate) messages: usize,
    pub(crate) rounds: usize,
    pub(crate) payload: u16,
}

impl Case {
    pub(crate) fn is_idle(&self) -> bool {
        self.messages == NO_MESSAGES
    }

    /// The same with connections that only wait.
    pub(crate) fn idle(self) -> Self {
        Self { messages: NO_MESSAGES, in_flight: 0, ..self }
    }
}
