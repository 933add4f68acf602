//! Commands as jobs: any command line, live.
//!
//! ```text
//! server                                        │ a process of its own            │ the command's process group
//!                                               │                                 │
//! runner ── spawns ── child ── control socket ──▶ supervise: waits, stops, reaps ──▶ argv, no shell
//!   ▲  ▲                                        │   (the socket's end means: the  │   │
//!   │  └── lines ◀── stdout, stderr ────────────┼──── server is gone)             │   └ whatever it starts
//!   └── parse: steps, percentages; journal: the lines, bounded
//! ```
//! The supervisor outlives a server that is killed and ends everything the command has started, so nothing is left behind.
//!
//! Knows: orders, processes. Does not know: who asked, how it is shown.

pub(crate) mod api;
pub(crate) mod child;
pub(crate) mod files;
pub(crate) mod journal;
mod lines;
mod parse;
pub(crate) mod plan;
pub(crate) mod programs;
pub(crate) mod runner;
pub(crate) mod supervise;

pub use child::{Ended, Running, Start, Supervisor, start};
pub(crate) use lines::LINE_BYTES_MAX;
pub use lines::{Lines, read_lines};
pub(crate) use parse::cut;
pub use parse::{Parser, PatternError, Told};
