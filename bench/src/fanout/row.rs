//! One line of the fan-out's table: a server's figures, and its ratios to the others in the same cycles.

use super::contestant::Figures;
use crate::peers::Peer;
use crate::stats::Spread;
use serde::Serialize;

/// A server's line in a table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) peer: Peer,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) figures: Option<Figures>,
    /// Server CPU per delivery over the floor's, of each cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) over_floor: Option<Spread>,
    /// The same over that of Socket.IO on Node, where that takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) over_socketio: Option<Spread>,
    /// Memory a connection over that of Socket.IO on Node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_over_socketio: Option<f64>,
}

impl Row {
    pub(crate) fn without_figures(peer: Peer) -> Self {
        Self {
            peer,
            note: None,
            figures: None,
            over_floor: None,
            over_socketio: None,
            memory_over_socketio: None,
        }
    }

    /// A peer that is missing is no fault; the server that is to be measured is.
    pub(crate) fn is_sound(&self) -> bool {
        self.figures.as_ref().map_or(self.peer != Peer::Anywire, Figures::is_sound)
    }
}
