//! The log: one append-only sequence of events, read by many cursors.
//!
//! A publisher appends a [`Batch`]; the [`Engine`] gives it offsets, commits it and tells its follower, the
//! [`Log`]. The log keeps the newest events of every channel in memory (the [`tail`]), so a reader that is
//! live never touches the engine. A reader is a [`Subscription`]: channels and cursors, nothing else.
//!
//! Invariants:
//! - Offsets rise over the whole log; an offset once seen never means another event.
//! - Followers see committed events only, in offset order.
//! - A reader behind retention is told of the gap, exactly: [`Gap`].

mod append;
mod channel;
mod clock;
#[cfg(feature = "contract")]
pub mod contract;
mod cursor;
mod engine;
mod event;
mod follow;
mod gap;
mod idempotency;
mod keys;
mod limit;
mod log;
mod memory;
mod retention;
mod steady;
mod store;
mod subscription;
pub mod tail;

pub use channel::{Channel, ChannelError, ChannelPattern};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use cursor::{Cursor, CursorError, Epoch, Offset, Position};
pub use engine::{
    AppendError, Appended, Batch, BoxFuture, ChannelState, Damage, Engine, Expect, Follower, ReadBatch,
    ReadError, ReadRequest, TrimError,
};
pub use event::{
    APPLICATION_SLOT, ENCODING_SLOTS, Event, EventName, EventNameError, IdempotencyKey, IdempotencyKeyError,
    Payload, Publication,
};
pub use follow::{Follow, Followed, Started};
pub use gap::{Gap, GapReason};
pub use idempotency::{IdempotencyWindow, Lookup, fingerprint};
pub use keys::{ByKey, KeyLimits, KeyScope};
pub use limit::ReadLimit;
pub use log::{CommitListener, Log};
pub use memory::MemoryEngine;
pub use retention::{Durability, Keep, Retention, RetentionRule, RetentionRules};
pub use steady::SteadyClock;
pub use store::{ChannelStore, StoredChannel};
pub use subscription::{Peek, Subscription};
pub use tail::{ChannelTail, TailConfig};
