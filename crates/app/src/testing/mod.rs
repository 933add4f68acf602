//! What tests of applications need: a log in memory with a clock that a test moves, an engine that answers as
//! late as the test wants, and futures dropped at every await.

mod broken;
mod drops;
mod late;
mod world;

pub use broken::{send_and_reset, serve};
pub use drops::{dropped_after, poll_once};
pub use late::LateEngine;
pub use world::{T0, World};
