//! What the load generator is told at its start.

use crate::peers::{Peer, Transport};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    pub(crate) peer: Peer,
    #[arg(long)]
    pub(crate) transport: Transport,
    /// Host and port of the server.
    #[arg(long)]
    pub(crate) address: String,
    #[arg(long)]
    pub(crate) subscribers: usize,
    /// Bytes of one payload.
    #[arg(long)]
    pub(crate) payload: usize,
}
