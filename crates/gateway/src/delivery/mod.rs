//! Fan-out: how committed events reach the readers that wait for them.
//!
//! Readers are spread over shards. A commit marks its channels in the shards that watch them; each shard's
//! task then passes over the channel's readers and writes to their sockets itself, taking everything a reader
//! has not seen, so that a burst becomes one write. A reader whose socket is full, or that is behind the
//! tail, is left to its own task. Both paths call [`Reader::drain`].
//!
//! Invariants:
//! - A publisher never waits for a reader: a commit only sets marks.
//! - A channel that a reader watches is marked by every commit after the reader's first drain began.
//! - Locks are taken in one order: watches, shard, reader.

mod context;
mod drain;
mod hub;
mod namespaces;
mod polled;
mod reader;
mod shard;
mod shared;
mod sink;
mod state;
mod transport;
mod watch;

pub(crate) use context::Delivery;
pub(crate) use drain::{Fetched, Outcome};
pub(crate) use hub::Fanout;
pub use namespaces::ConnectedNamespace;
pub(crate) use namespaces::{Direct, NamespaceSession, Namespaces};
pub(crate) use polled::{Handover, Wait, WaitError};
pub(crate) use reader::{Reader, ReaderInfo, ReaderStats, UNSENT_BYTES_MAX, Wire};
pub(crate) use sink::{BufferSink, SocketSink};
pub(crate) use state::{Mode, PollTerms};
