//! Commands as jobs: any command line, live.
//!
//! ```text
//! server                                        │ a process of its own            │ the process group
//!                                               │                                 │
//! runner ── spawns ── child ── control socket ──▶ supervise: waits, stops, reaps ──▶ argv, no shell
//!   ▲  ▲                                        │   (the socket's end means: the  │   │
//!   │  └── lines ◀── stdout, stderr ────────────┼──── server is gone)             │   └ whatever it starts
//!   └── parser: steps, percentages; journal: the lines, bounded
//! ```
//! The supervisor outlives a server that is killed and ends everything the command has started, so nothing is
//! left behind.

pub(crate) mod api;
pub(crate) mod child;
mod figures;
pub(crate) mod files;
mod handover;
mod journal;
mod lines;
pub(crate) mod parser;
mod phases;
mod plan;
mod programs;
mod progress;
pub(crate) mod runner;
mod screen;
mod shares;
pub(crate) mod supervise;
pub(crate) mod text;

pub use child::{Ended, Running, Start, Streams, Supervisor, start_with};
pub(crate) use journal::LINE_NUMBER_MAX;
pub(crate) use lines::LINE_BYTES_MAX;
pub use lines::Lines;
pub use parser::{ParsedLine, Parser, PatternError};
pub use text::cut;
